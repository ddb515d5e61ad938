use std::time::Duration;

use trueup_terraform::http::{Address, Credentials, HttpError, Settings, read};
use trueup_terraform::secret::Secret;
use trueup_terraform::state::{State, StateError};

use crate::server::{Answer, Server, answer};
use crate::state_text;

fn address(port: u16, rest: &str) -> Address {
    format!("http://127.0.0.1:{port}{rest}").parse().unwrap()
}

/// Reads a server's `/state`; whatever happens, the server was asked nothing but GET.
async fn read_from(settings: &Settings, say: impl Fn() -> Answer + Send + Sync + 'static) -> Result<State, HttpError> {
    let server = Server::start(move |_| say()).await;
    let read = read(&address(server.port, "/state"), settings).await;
    assert_eq!(server.methods(), ["GET"]);
    read
}

#[tokio::test]
async fn a_state_is_read_with_credentials_that_are_not_printed() {
    let server = Server::start(|_| answer("200 OK", state_text("{}"))).await;
    let credentials = Credentials { username: "anna".into(), password: Secret::new("hunter2".into()) };
    let settings = Settings { credentials: Some(credentials), ..Settings::default() };
    let address: Address = format!("http://old:hunter1@127.0.0.1:{}/state/prod?token=hunter3", server.port).parse().unwrap();
    let state = read(&address, &settings).await.unwrap();
    assert_eq!(state.location, format!("http://127.0.0.1:{}/state/prod", server.port));
    assert_eq!(state.serial, 118);
    let request = &server.requests()[0];
    // `anna:hunter2` in base64.
    assert_eq!(request.authorization.as_deref(), Some("Basic YW5uYTpodW50ZXIy"));
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/state/prod?token=hunter3"));
    assert!(!format!("{address} {address:?} {settings:?} {state:?}").contains("hunter"));
}

#[tokio::test]
async fn credentials_in_the_address_are_used() {
    let server = Server::start(|_| answer("403 Forbidden", "")).await;
    let address: Address = format!("http://anna:hunter2@127.0.0.1:{}/state", server.port).parse().unwrap();
    let error = read(&address, &Settings::default()).await.unwrap_err();
    assert_eq!(server.requests()[0].authorization.as_deref(), Some("Basic YW5uYTpodW50ZXIy"));
    assert!(!format!("{error} {error:?}").contains("hunter"), "{error:?}");
}

#[tokio::test]
async fn each_status_has_its_error() {
    let settings = Settings::default();
    let error = async |status: &'static str| read_from(&settings, move || answer(status, "no")).await.unwrap_err();
    assert!(matches!(error("404 Not Found").await, HttpError::NoStateYet { .. }));
    assert!(matches!(error("401 Unauthorized").await, HttpError::Refused { .. }));
    assert!(matches!(error("403 Forbidden").await, HttpError::Refused { .. }));
    assert!(matches!(error("500 Internal Server Error").await, HttpError::ServerFails { .. }));
    assert!(matches!(error("503 Service Unavailable").await, HttpError::ServerFails { .. }));
    assert!(matches!(error("423 Locked").await, HttpError::Unexpected { .. }));
    assert!(matches!(error("302 Found").await, HttpError::Redirected { host: None, .. }));
    let no_content = || Answer::Bytes(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_vec());
    assert!(matches!(read_from(&settings, no_content).await, Err(HttpError::NoStateYet { .. })));
}

#[tokio::test]
async fn a_body_that_is_no_state_is_refused() {
    let settings = Settings::default();
    let error = async |body: &'static str| match read_from(&settings, move || answer("200 OK", body)).await {
        Err(HttpError::State { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    assert!(matches!(error("").await, StateError::Empty));
    assert!(matches!(error("<html>").await, StateError::NotJson(_)));
    assert!(matches!(error("{\"version\":4").await, StateError::Truncated { .. }));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_state() {
    let whole = state_text("{}");
    // All of the document came, but more was promised.
    let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{whole}", whole.len() + 1).into_bytes();
    let read = read_from(&Settings::default(), move || Answer::Bytes(bytes.clone())).await;
    assert!(matches!(read, Err(HttpError::Transport { .. })), "{read:?}");
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused() {
    let whole = state_text("{}");
    let length = whole.len() as u64;
    let served = move || answer("200 OK", &whole);
    let exactly = Settings { max_bytes: length, ..Settings::default() };
    assert!(read_from(&exactly, served.clone()).await.is_ok());
    let less = Settings { max_bytes: length - 1, ..Settings::default() };
    assert!(matches!(read_from(&less, served).await, Err(HttpError::TooLarge { .. })));
}

#[tokio::test]
async fn a_body_of_many_chunks_is_read() {
    let outputs: serde_json::Map<_, _> = (0..4_000)
        .map(|index| (format!("output_{index}"), serde_json::json!({"value": "x".repeat(index % 100), "type": "string"})))
        .collect();
    let whole = state_text(&serde_json::Value::Object(outputs).to_string());
    let state = read_from(&Settings::default(), move || answer("200 OK", &whole)).await.unwrap();
    assert_eq!(state.outputs.len(), 4_000);
}

#[tokio::test]
async fn a_silent_server_is_left_in_time() {
    let settings = Settings { timeout: Duration::from_millis(200), ..Settings::default() };
    assert!(matches!(read_from(&settings, || Answer::Silence).await, Err(HttpError::TimedOut { .. })));
    let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = read(&address(refused, "/state"), &settings).await.unwrap_err();
    assert!(matches!(error, HttpError::Transport { .. }), "{error:?}");
}

#[tokio::test]
async fn redirects_stay_within_one_host() {
    let away = Server::start(|_| answer("200 OK", state_text("{}"))).await;
    let elsewhere = format!("HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:{}/x?token=t\r\nContent-Length: 0\r\n\r\n", away.port);
    let server = Server::start(move |request| match request.path.as_str() {
        "/old" => Answer::Bytes(b"HTTP/1.1 302 F\r\nLocation: /new\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()),
        "/loop" => Answer::Bytes(b"HTTP/1.1 302 F\r\nLocation: /loop\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()),
        "/new" => answer("200 OK", state_text("{}")),
        _ => Answer::Bytes(elsewhere.clone().into_bytes()),
    })
    .await;
    let settings = Settings::default();
    assert!(read(&address(server.port, "/old"), &settings).await.is_ok());
    assert!(matches!(read(&address(server.port, "/loop"), &settings).await, Err(HttpError::Redirected { .. })));
    let error = read(&address(server.port, "/away"), &settings).await.unwrap_err();
    assert!(matches!(&error, HttpError::Redirected { host: Some(host), .. } if host == "127.0.0.1"), "{error:?}");
    assert_eq!(away.methods(), Vec::<String>::new(), "the other server, on another port, was not asked");
    assert!(server.methods().iter().all(|method| method == "GET"));
}

#[test]
fn what_is_no_address_is_refused() {
    for text in ["", "state", "ftp://host/state", "file:///state", "http://", "s3://bucket/key"] {
        assert!(matches!(text.parse::<Address>(), Err(HttpError::NotAnAddress)), "{text}");
    }
}

//! GitHub's side of an app: it verifies what the app signed (by `openssl`), and gives tokens that end.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::repository::Asked;

/// A key pair as GitHub hands it out.
#[derive(Debug)]
pub struct Keys {
    folder: TempDir,
    /// The private key, in PEM.
    pub private: String,
}

impl Keys {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        openssl(&["genrsa", "-traditional", "-out", &at("private.pem"), "2048"]);
        openssl(&["rsa", "-in", &at("private.pem"), "-pubout", "-out", &at("public.pem")]);
        let private = std::fs::read_to_string(at("private.pem")).expect("a key");
        assert!(private.starts_with("-----BEGIN RSA PRIVATE KEY-----"), "as GitHub's files begin");
        Self { folder, private }
    }

    pub fn private_file(&self) -> PathBuf {
        self.folder.path().join("private.pem")
    }

    /// Whether this key signed these bytes, in the words of `openssl`.
    fn signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let (text, signed) = (self.folder.path().join("text"), self.folder.path().join("signature"));
        std::fs::write(&text, bytes).expect("written");
        std::fs::write(&signed, signature).expect("written");
        let mut command = Command::new("openssl");
        command.args(["dgst", "-sha256", "-verify"]).arg(self.folder.path().join("public.pem"));
        let output = command.arg("-signature").arg(&signed).arg(&text).output().expect("openssl runs");
        output.status.success() && output.stdout.starts_with(b"Verified OK")
    }
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().expect("openssl runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An app that is registered at the server.
#[derive(Debug)]
pub struct Registered {
    pub keys: Keys,
    pub id: u64,
    pub installation: u64,
    pub is_installed: bool,
    /// What its owners granted it.
    pub granted: Value,
    /// How many seconds a token lasts.
    pub life: i64,
    /// How its tokens begin; they end in a number but for the first one.
    pub prefix: String,
    /// Each token that was given, with its end and what was asked for.
    pub tokens: Vec<(String, i64, Value)>,
}

impl Registered {
    pub fn new() -> Self {
        let granted = json!({"contents": "write", "pull_requests": "write", "metadata": "read", "actions": "write"});
        let (keys, prefix) = (Keys::new(), "right".to_owned());
        Self { keys, id: 4711, installation: 99, is_installed: true, granted, life: 3600, prefix, tokens: Vec::new() }
    }

    /// The answer to what an app asks as such, or a refusal; `None` where a token's request may go on.
    pub fn admit(&mut self, asked: &Asked<'_>, body: &Value) -> Option<(u16, Value)> {
        let bearer = asked.authorization.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let access_tokens = format!("/app/installations/{}/access_tokens", self.installation);
        let of_the_app = asked.path.starts_with("/app/") || asked.path.ends_with("/installation");
        if !of_the_app {
            let is_good = self.tokens.iter().any(|(token, end, _)| token == bearer && asked.now < *end);
            return (!is_good).then(|| refusal(401, "Bad credentials"));
        }
        if let Err(reason) = self.verify(bearer, asked.now) {
            return Some(refusal(401, reason));
        }
        Some(match asked.path {
            "/repos/acme/platform/installation" if self.is_installed => (200, installation(self.installation, self.id)),
            path if path == access_tokens => self.grant(asked.now, body),
            _ => refusal(404, "Not Found"),
        })
    }

    /// As GitHub does: the signature, who signed, and that it is of now, and for no longer than ten minutes.
    fn verify(&self, bearer: &str, now: i64) -> Result<(), &'static str> {
        let (signed, signature) = bearer.rsplit_once('.').ok_or("A JSON web token could not be decoded")?;
        let (header, claims) = signed.split_once('.').ok_or("A JSON web token could not be decoded")?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64");
        let value = |part: &str| serde_json::from_slice::<Value>(&decoded(part)).expect("JSON");
        if value(header)["alg"] != "RS256" || !self.keys.signed(signed.as_bytes(), &decoded(signature)) {
            return Err("A JSON web token could not be decoded");
        }
        let claims = value(claims);
        let time = |name: &str| claims[name].as_i64().expect("a number");
        if claims["iss"] != self.id {
            return Err("'Issuer' claim ('iss') must be an Integer");
        }
        if time("iat") > now {
            return Err("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued");
        }
        if time("exp") <= now || time("exp") > now + 600 {
            return Err("'Expiration time' claim ('exp') is too far in the future");
        }
        Ok(())
    }

    fn grant(&mut self, now: i64, body: &Value) -> (u16, Value) {
        let asked = body["permissions"].as_object().expect("permissions");
        if asked.iter().any(|(name, level)| self.granted[name] != *level) {
            return refusal(422, "The permissions requested are not granted to this installation.");
        }
        let number = self.tokens.len();
        let token = if number == 0 { self.prefix.clone() } else { format!("{}{number}", self.prefix) };
        let end = now + self.life;
        self.tokens.push((token.clone(), end, body.clone()));
        let expires = jiff::Timestamp::from_second(end).expect("a time").to_string();
        (201, json!({"token": token, "expires_at": expires, "permissions": asked, "repository_selection": "selected"}))
    }
}

fn refusal(status: u16, message: &str) -> (u16, Value) {
    (status, json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()}))
}

/// An installation as GitHub's description has it.
fn installation(id: u64, app: u64) -> Value {
    let mut value: Value = serde_json::from_str(include_str!("../../../testdata/github/installation.json")).expect("JSON");
    value["id"] = id.into();
    value["app_id"] = app.into();
    value
}

//! `/healthz`, `/readyz` and `/metrics` on one port.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::Progress;
use crate::stop::Stop;

/// Answers until the stop.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn listen(address: SocketAddr, progress: Arc<Progress>, stop: Stop) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on `{address}`: choose another with --listen"))?;
    tracing::info!(address = %listener.local_addr().context("a listener has an address")?, "answering /healthz, /readyz and /metrics");
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(progress);
    Ok(tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(async move { stop.requested().await }).await;
        if let Err(error) = served {
            tracing::error!(%error, "no longer answering");
        }
    }))
}

async fn healthz(State(progress): State<Arc<Progress>>) -> impl IntoResponse {
    answer(progress.health(std::time::Instant::now()))
}

async fn readyz(State(progress): State<Arc<Progress>>) -> impl IntoResponse {
    answer(progress.readiness(std::time::Instant::now()))
}

fn answer(state: Result<&'static str, String>) -> (StatusCode, String) {
    match state {
        Ok(text) => (StatusCode::OK, format!("{text}\n")),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn metrics(State(progress): State<Arc<Progress>>) -> impl IntoResponse {
    match progress.metrics.text() {
        Ok(text) => {
            (StatusCode::OK, [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{error}\n"))
        }
    }
}

//! Answers: JSON, and the one place where a kind of error becomes an HTTP status.

use crate::api::{Failure, to_json};
use crate::core::{Error, Kind, Result, error::fail};
use axum::body::Body;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An error on its way out.
pub(super) struct Refusal(Error);

impl From<Error> for Refusal {
    fn from(e: Error) -> Self {
        Self(e)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = status(self.0.kind());
        if status.is_server_error() {
            tracing::error!("{}", self.0.chain());
        } else {
            tracing::debug!("{}", self.0.chain());
        }
        let body = to_json(&Failure::from(&self.0)).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::NotFound | Kind::NoAttribute => StatusCode::NOT_FOUND,
        Kind::Denied | Kind::NotPermitted | Kind::ReadOnly => StatusCode::FORBIDDEN,
        Kind::Exists | Kind::NotEmpty | Kind::Busy | Kind::Conflict | Kind::Deadlock => {
            StatusCode::CONFLICT
        }
        Kind::Invalid
        | Kind::NotDirectory
        | Kind::IsDirectory
        | Kind::NameTooLong
        | Kind::SymlinkLoop
        | Kind::CrossDevice
        | Kind::TooManyLinks
        | Kind::BadHandle
        | Kind::Version => StatusCode::BAD_REQUEST,
        Kind::TooLarge | Kind::TooBig => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Range => StatusCode::RANGE_NOT_SATISFIABLE,
        Kind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Kind::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Unavailable | Kind::Interrupted | Kind::NoLocks => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Io | Kind::Corrupt => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Sends JSON that is written already.
pub(super) fn json(bytes: Vec<u8>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        Body::from(bytes),
    )
        .into_response()
}

pub(super) fn reply(value: &impl Serialize) -> std::result::Result<Response, Refusal> {
    Ok(json(to_json(value)?))
}

/// Runs what blocks off the runtime's threads.
pub(super) async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(Error::new(Kind::Io, "the request failed inside the daemon").caused_by(e)),
    }
}

pub(super) async fn no_route(uri: Uri) -> std::result::Result<Response, Refusal> {
    Ok(fail(
        Kind::NotFound,
        format!("nothing answers at {}", uri.path()),
    )?)
}

//! `GET` and `PUT /files/PATH`: bytes, streamed.

use super::percent;
use super::reply::{Refusal, blocking, reply};
use super::who::Connection;
use crate::api::Context;
use crate::api::stream::{Onto, PIECE, Reading, Writing, Written};
use crate::core::{Error, FsPath, Kind, Result};
use crate::doors::daemon::Daemon;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use std::sync::Arc;

type Answer = std::result::Result<Response, Refusal>;

/// How many bytes of a refused upload are taken in after the refusal.
const DRAIN_MAX: usize = 64 << 20;

/// What of a file is wanted; which part, where no `Range` header says it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    offset: Option<u64>,
    length: Option<u64>,
    /// Of the file's versions, instead of its present content.
    version: Option<u64>,
}

/// How a file is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    #[serde(default)]
    append: u8,
    /// Make the directories above it that are missing.
    #[serde(default)]
    parents: u8,
}

pub(super) async fn get(
    State(daemon): State<Arc<Daemon>>,
    ConnectInfo(from): ConnectInfo<Connection>,
    Query(part): Query<Part>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let path = path_of(&uri)?;
    let range = headers
        .get(header::RANGE)
        .and_then(|v| v.to_str().ok())
        .and_then(range_of);
    let reading = blocking(move || {
        let caller = from.caller(&daemon, &headers)?;
        let engine = &daemon.nexus.engine;
        match part.version {
            Some(number) => Reading::open_version(engine, &caller, &path, number),
            None => Reading::open(engine, &caller, &path),
        }
    });
    let reading = reading.await?;
    let size = reading.size;
    let Some(range) = range else {
        return Ok(whole(reading.range(part.offset.unwrap_or(0), part.length)));
    };
    let Some((offset, length)) = range.within(size) else {
        let told = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, told).into_response());
    };
    let reading = reading.range(offset, length);
    let last = (offset + reading.left()).saturating_sub(1);
    let told = [(
        header::CONTENT_RANGE,
        format!("bytes {offset}-{last}/{size}"),
    )];
    Ok((StatusCode::PARTIAL_CONTENT, told, whole(reading)).into_response())
}

fn whole(reading: Reading) -> Response {
    let told = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, reading.left().to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ];
    let pieces = futures_util::stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        let next = blocking(move || Ok((reading.piece(), reading))).await;
        match next {
            Ok((Ok(Some(piece)), reading)) => Some((Ok(piece), Some(reading))),
            Ok((Ok(None), _)) => None,
            Ok((Err(e), _)) | Err(e) => {
                tracing::error!("{}", e.chain());
                Some((Err(e), None))
            }
        }
    });
    (told, Body::from_stream(pieces)).into_response()
}

/// One range of a `Range` header (RFC 9110 §14.1.2). Several at once are answered with the whole file.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    From(u64, Option<u64>),
    Last(u64),
}

fn range_of(text: &str) -> Option<Range> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    match (from, to) {
        ("", last) => Some(Range::Last(last.parse().ok()?)),
        (from, "") => Some(Range::From(from.parse().ok()?, None)),
        (from, to) => {
            let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
            (from <= to).then(|| Range::From(from, Some((to - from).saturating_add(1))))
        }
    }
}

impl Range {
    /// Offset and length within a file; `None` when it begins behind its end.
    fn within(&self, size: u64) -> Option<(u64, Option<u64>)> {
        match *self {
            Self::From(offset, length) => (offset < size).then_some((offset, length)),
            Self::Last(n) => (n > 0 && size > 0).then(|| (size.saturating_sub(n), None)),
        }
    }
}

pub(super) async fn put(
    State(daemon): State<Arc<Daemon>>,
    ConnectInfo(from): ConnectInfo<Connection>,
    Query(how): Query<How>,
    headers: HeaderMap,
    uri: Uri,
    mut body: Body,
) -> Answer {
    let done = upload(daemon, (from, headers), (uri, how), &mut body).await;
    if done.is_err() {
        // Whoever sends on would find the connection closed before he has read why.
        tokio::spawn(drain(body));
    }
    reply(&done?)
}

async fn upload(
    daemon: Arc<Daemon>,
    (from, headers): (Connection, HeaderMap),
    (uri, how): (Uri, How),
    body: &mut Body,
) -> Result<Written> {
    let path = path_of(&uri)?;
    // The first piece arrives before the file is touched: a small upload that breaks off changes nothing.
    let mut piece = next_piece(body).await?;
    let mut writing = blocking(move || {
        let caller = from.caller(&daemon, &headers)?;
        let cx = Context {
            nexus: &daemon.nexus,
            caller: &caller,
            tell: &mut |_| true,
        };
        let onto = if how.append == 0 {
            Onto::Replace
        } else {
            Onto::Append
        };
        Writing::open(&cx, &path, onto, how.parents != 0)
    })
    .await?;
    while !piece.is_empty() {
        writing = blocking(move || writing.write(&piece).map(|()| writing)).await?;
        piece = next_piece(body).await?;
    }
    blocking(move || writing.finish()).await
}

/// Takes in and forgets what is on its way of an upload that was refused, for a while.
async fn drain(mut body: Body) {
    let mut left = DRAIN_MAX;
    while left > 0 {
        let Some(Ok(frame)) = body.frame().await else {
            return;
        };
        let len = frame.data_ref().map_or(0, Bytes::len);
        left = left.saturating_sub(len.max(1));
    }
}

/// The next bytes of a body, as many as fit into one piece; none at its end.
async fn next_piece(body: &mut Body) -> Result<Bytes> {
    let mut piece = BytesMut::new();
    while piece.len() < PIECE {
        let Some(frame) = body.frame().await else {
            break;
        };
        let broken = |e| Error::new(Kind::Io, "the upload broke off").caused_by(e);
        if let Ok(data) = frame.map_err(broken)?.into_data() {
            if piece.is_empty() && data.len() >= PIECE {
                return Ok(data);
            }
            piece.extend_from_slice(&data);
        }
    }
    Ok(piece.freeze())
}

fn path_of(uri: &Uri) -> Result<FsPath> {
    let path = uri.path().strip_prefix("/files").unwrap_or_default();
    FsPath::parse(&percent::decode(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_writes_them() {
        assert_eq!(range_of("bytes=2-5"), Some(Range::From(2, Some(4))));
        assert_eq!(range_of("bytes=2-"), Some(Range::From(2, None)));
        assert_eq!(range_of("bytes=-3"), Some(Range::Last(3)));
        assert_eq!(range_of("bytes=5-2"), None);
        assert_eq!(range_of("bytes=0-1,4-5"), None);
    }

    #[test]
    fn a_range_behind_the_end_is_none() {
        assert_eq!(Range::From(4, None).within(4), None);
        assert_eq!(Range::From(3, None).within(4), Some((3, None)));
        assert_eq!(Range::Last(9).within(4), Some((0, None)));
        assert_eq!(Range::Last(1).within(0), None);
    }
}

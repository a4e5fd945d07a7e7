//! Answers of the daemon that come line by line.

use super::socket::{broken, parse};
use crate::api::Progress;
use crate::api::failure::Wrong;
use crate::core::Result;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

/// A line of a long answer.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line<R> {
    Progress(Progress),
    Reply(R),
    Error(Wrong),
}

/// An answer that is being read.
pub(super) struct Lines {
    body: Incoming,
    /// What came behind the last line.
    rest: Vec<u8>,
}

impl Lines {
    pub(super) fn of(body: Incoming) -> Self {
        let rest = Vec::new();
        Self { body, rest }
    }

    /// The next line; `None` behind the last one.
    pub(super) fn next<T: DeserializeOwned>(&mut self, runtime: &Runtime) -> Result<Option<T>> {
        let mut looked_at = 0;
        loop {
            let end = self.rest[looked_at..].iter().position(|b| *b == b'\n');
            if let Some(end) = end {
                let line: Vec<u8> = self.rest.drain(..=looked_at + end).collect();
                return parse(&line).map(Some);
            }
            looked_at = self.rest.len();
            match runtime.block_on(self.body.frame()) {
                Some(frame) => {
                    let data = frame.map_err(broken)?.into_data().unwrap_or_default();
                    self.rest.extend_from_slice(&data);
                }
                None if self.rest.is_empty() => return Ok(None),
                // It says why it is none.
                None => return parse(&self.rest).map(Some),
            }
        }
    }
}

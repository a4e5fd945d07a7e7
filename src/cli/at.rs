//! `--at WHEN`: the same command on the tree as it was.

use super::client::Client;
use super::paths;
use crate::api::moment::When;
use crate::core::{Result, Text};
use clap::Args;
use std::ffi::OsStr;

/// When the tree is meant.
#[derive(Debug, Args)]
pub(super) struct At {
    /// As it was: 10m-ago, yesterday, 2026-11-22T10:00, op:8123, a snapshot's name
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    at: Option<String>,
}

impl At {
    /// How many bytes the moment adds in front of a path that [`At::find`] gave.
    pub(super) fn prefix(&self, found: &Text) -> usize {
        let is_slash = |byte: &&u8| **byte == b'/';
        let mut slashes = found
            .0
            .iter()
            .enumerate()
            .filter(|(_, byte)| is_slash(byte));
        match self.at {
            Some(_) => slashes.nth(2).map_or(0, |(at, _)| at),
            None => 0,
        }
    }

    /// The place in Nexus that an argument stands for at that time. All that a command asks for is of one moment.
    pub(super) fn find(&self, client: &Client, argument: &OsStr) -> Result<Text> {
        let path = paths::in_nexus(client, argument)?;
        let Some(when) = self.at.clone() else {
            return Ok(path);
        };
        let asked = When {
            when,
            path: Some(path.clone()),
        };
        let op = client.call(asked)?.op;
        Ok(Text([format!("/.at/op:{op}").as_bytes(), &path.0].concat()))
    }
}

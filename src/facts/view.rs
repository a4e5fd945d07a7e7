//! `/.nexus`: facts as files.

use super::events::{self, Events};
use super::log::{self, Filter};
use super::stats::{Stats, Whoami};
use crate::core::config::socket_of;
use crate::core::{Caller, Config, Error, Kind, Name, Result, error::fail};
use crate::fs::feed::Feed;
use crate::fs::view::Item;
use crate::fs::{Engine, View};
use bytes::Bytes;
use serde::Serialize;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

/// How many operations `/.nexus/log` shows.
const LINES: u32 = 1000;
/// How many looks at the log that takes at most.
const LOOKS: u32 = 10;
const ITEMS: [(&str, u64); 6] = [
    ("stats", 1),
    ("whoami", 2),
    ("version", 3),
    ("log", 4),
    ("control.sock", 5),
    ("events", EVENTS),
];

/// The number of `events`, which is no fact but a feed of them.
const EVENTS: u64 = 6;

/// The view behind `/.nexus`.
pub struct Facts(Weak<Engine>);

impl Facts {
    /// Makes the view of an engine that will own it.
    pub fn of(engine: &Arc<Engine>) -> Self {
        Self(Arc::downgrade(engine))
    }

    fn engine(&self) -> Result<Arc<Engine>> {
        let closing = || Error::new(Kind::Unavailable, "the store is closing");
        self.0.upgrade().ok_or_else(closing)
    }
}

impl View for Facts {
    fn name(&self) -> &'static str {
        ".nexus"
    }

    fn item(&self, caller: &Caller, id: u64) -> Result<Item> {
        let engine = self.engine()?;
        match id {
            0 => directory(),
            1 => json(&Stats::of(&engine, caller)?),
            2 => json(&Whoami::of(&engine, caller)),
            3 => Ok(Item::File(Bytes::from(format!("{}\n", super::VERSION)))),
            4 => lines(&engine, caller),
            5 => Ok(Item::Link(
                socket(engine.config()).into_os_string().into_vec(),
            )),
            EVENTS => events::most(&engine, caller).map(Item::Feed),
            _ => fail(Kind::NotFound, format!("no item {id} in .nexus")),
        }
    }

    fn feed(&self, caller: &Caller, id: u64) -> Result<Arc<dyn Feed>> {
        if id != EVENTS {
            return fail(Kind::NotFound, format!("no feed {id} in .nexus"));
        }
        Ok(Arc::new(Events::open(&self.engine()?, caller)?))
    }
}

fn directory() -> Result<Item> {
    let named = |(name, id): &(&str, u64)| Ok((Name::new(name.as_bytes())?, *id));
    ITEMS
        .iter()
        .map(named)
        .collect::<Result<_>>()
        .map(Item::Directory)
}

/// The daemon's socket: the one for others, while there is one.
fn socket(config: &Config) -> PathBuf {
    let others = std::fs::read_link(config.runtime()).map(|dir| socket_of(&dir));
    let open = others.ok().filter(|socket| socket.exists());
    open.unwrap_or_else(|| config.socket())
}

/// The newest lines, oldest first: what one look at the log gives, or a few where it gives none.
fn lines(engine: &Engine, caller: &Caller) -> Result<Item> {
    let mut before = None;
    for _ in 0..LOOKS {
        let filter = Filter {
            before,
            limit: LINES,
            ..Filter::default()
        };
        let page = log::read(engine, caller, &filter)?;
        if page.first <= 1 || !page.records.is_empty() {
            let mut out = Vec::new();
            for record in &page.records {
                write_json(&mut out, record)?;
            }
            return Ok(Item::File(out.into()));
        }
        before = Some(page.first);
    }
    Ok(Item::File(Bytes::new()))
}

fn json(value: &impl Serialize) -> Result<Item> {
    let mut out = Vec::new();
    write_json(&mut out, value)?;
    Ok(Item::File(out.into()))
}

pub(super) fn write_json(out: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    let failed = |e| Error::new(Kind::Io, "a fact cannot be written as JSON").caused_by(e);
    serde_json::to_writer(&mut *out, value).map_err(failed)?;
    out.push(b'\n');
    Ok(())
}

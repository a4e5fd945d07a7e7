//! `/.nexus/events`: the log as it grows, one line of JSON an operation, for whoever reads.

use super::log::{self, Filter};
use super::view::write_json;
use crate::core::{Caller, Error, Kind, Op, Result};
use crate::fs::feed::{Feed, Ready};
use crate::fs::{Engine, Reader};
use crate::meta::log_query::Query;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// How many operations are read at a time.
const LINES: u32 = 100;

/// The longest line: two paths of which JSON makes six bytes a byte, and what else there is. A power of two.
const LINE_MAX: u64 = 1 << 16;

/// The events of one open file.
pub(super) struct Events {
    engine: Weak<Engine>,
    state: Mutex<State>,
}

struct State {
    /// The last operation that was given, or that whoever reads may not see.
    at: Op,
    /// What was given last, and where it stands in the file: a reader that was interrupted asks for it again.
    given: Bytes,
    offset: u64,
    /// The rest of a line that did not fit.
    rest: Bytes,
}

impl Events {
    /// Begins behind the newest operation of the caller's tenant.
    pub(super) fn open(engine: &Arc<Engine>, caller: &Caller) -> Result<Self> {
        let tenant = Reader::new(engine, caller)?.tenant();
        Ok(Self {
            engine: Arc::downgrade(engine),
            state: Mutex::new(State {
                at: engine.log_end(tenant)?,
                given: Bytes::new(),
                offset: 0,
                rest: Bytes::new(),
            }),
        })
    }

    fn engine(&self) -> Result<Arc<Engine>> {
        let closing = || Error::new(Kind::Unavailable, "the store is closing");
        self.engine.upgrade().ok_or_else(closing)
    }
}

impl Feed for Events {
    fn read(&self, caller: &Caller, offset: u64, len: usize) -> Result<Bytes> {
        let engine = self.engine()?;
        // What was read for somebody who is nobody now is not given to him.
        Reader::new(&engine, caller)?;
        let mut state = self.state.lock();
        let read_once = || Error::new(Kind::Invalid, "events are read once, from first to last");
        let skipped = offset.checked_sub(state.offset).ok_or_else(read_once)?;
        let again = usize::try_from(skipped).map_or(&[][..], |skipped| {
            state.given.get(skipped..).unwrap_or_default()
        });
        if !again.is_empty() {
            return Ok(state.given.slice_ref(&again[..len.min(again.len())]));
        }
        if skipped != state.given.len() as u64 {
            return Err(read_once());
        }
        let bytes = state.next(&engine, caller, len)?;
        (state.offset, state.given) = (offset, bytes.clone());
        Ok(bytes)
    }

    fn ready(&self, caller: &Caller) -> Result<Ready> {
        let engine = self.engine()?;
        let mut state = self.state.lock();
        if !state.rest.is_empty() {
            return Ok(Ready::Yes);
        }
        let tenant = Reader::new(&engine, caller)?.tenant();
        let first = lines(&engine, caller, state.at, 1)?;
        if !first.records.is_empty() {
            // It is judged again when it is read.
            return Ok(Ready::Yes);
        }
        state.at = Op(first.last);
        Ok(Ready::After(tenant, state.at))
    }
}

impl State {
    /// The next lines that fit into `len` bytes; of one that is longer, the beginning.
    fn next(&mut self, engine: &Engine, caller: &Caller, len: usize) -> Result<Bytes> {
        if !self.rest.is_empty() {
            return Ok(self.rest.split_to(len.min(self.rest.len())));
        }
        let page = lines(engine, caller, self.at, LINES)?;
        let mut out = Vec::new();
        for record in &page.records {
            let mut line = Vec::new();
            write_json(&mut line, record)?;
            // The first was taken whole: what of it does not fit is the rest.
            if !out.is_empty() && out.len() + line.len() > len {
                break;
            }
            out.extend(line);
            self.at = Op(record.op);
        }
        if page.records.is_empty() {
            self.at = Op(page.last);
        }
        let mut out = Bytes::from(out);
        self.rest = out.split_off(len.min(out.len()));
        Ok(out)
    }
}

/// How many bytes there can be at most by now. It grows with every operation: tail(1) reads on when it does, up to it.
pub(super) fn most(engine: &Engine, caller: &Caller) -> Result<u64> {
    let tenant = Reader::new(engine, caller)?.tenant();
    Ok(engine.log_end(tenant)?.0.saturating_mul(LINE_MAX))
}

fn lines(engine: &Engine, caller: &Caller, after: Op, limit: u32) -> Result<log::LogPage> {
    let filter = Filter {
        query: Query::default(),
        after: Some(after.0),
        before: None,
        limit,
    };
    log::read(engine, caller, &filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::tests::{World, alice};

    /// Reads all there is in pieces, each up to `len` bytes, and asks for each once more, as after an interruption.
    fn pieces(events: &Events, len: usize) -> Vec<u8> {
        let mut all: Vec<u8> = Vec::new();
        loop {
            let piece = events.read(&alice(), all.len() as u64, len).unwrap();
            assert!(piece.len() <= len, "{} of {len} bytes", piece.len());
            if piece.is_empty() {
                return all;
            }
            for asked in [len, 1, len] {
                let again = events.read(&alice(), all.len() as u64, asked).unwrap();
                assert_eq!(again, piece[..asked.min(piece.len())]);
            }
            let half = piece.len() / 2;
            let behind = events.read(&alice(), (all.len() + half) as u64, len);
            assert_eq!(behind.unwrap(), piece[half..]);
            all.extend_from_slice(&piece);
        }
    }

    #[test]
    fn pieces_of_any_size_are_all_the_lines() {
        let w = World::new();
        let events: Vec<_> = (1..=1000)
            .map(|_| Events::open(w.engine(), &alice()).unwrap())
            .collect();
        for name in ["a", "a-longer-name", "b"] {
            w.write(&alice(), &format!("/workspace/{name}"), b"x")
                .unwrap();
        }
        let page = lines(w.engine(), &alice(), events[0].state.lock().at, LINES).unwrap();
        let mut expected = Vec::new();
        for line in &page.records {
            write_json(&mut expected, line).unwrap();
        }
        assert!(page.records.len() >= 3);
        for (events, len) in events.iter().zip(1..) {
            assert_eq!(pieces(events, len), expected, "{len} bytes at a time");
        }
    }
}

//! The store in this process.

use super::next_piece;
use crate::api::stream::{Onto, Reading, Writing, Written};
use crate::api::{self, Asked, Command, Context, Peer, Progress};
use crate::core::{Caller, Config, FsPath, Result};
use crate::nexus::Nexus;
use std::io::{Read, Write};

pub(in crate::cli) struct Embedded {
    nexus: Nexus,
    caller: Caller,
}

impl Drop for Embedded {
    /// Leaves the database complete, as a daemon does when it ends.
    fn drop(&mut self) {
        if let Err(e) = self.nexus.engine.settle() {
            tracing::warn!(
                "the next command brings what was done to the database: {}",
                e.chain()
            );
        }
    }
}

impl Embedded {
    pub(super) fn open(config: Config, asked: &Asked) -> Result<Self> {
        let nexus = Nexus::open(config)?;
        let caller = api::local(&nexus, &Peer::myself(), asked)?;
        Ok(Self { nexus, caller })
    }

    pub(super) fn call<C: Command>(
        &self,
        command: C,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<C::Reply> {
        let mut cx = Context {
            nexus: &self.nexus,
            caller: &self.caller,
            tell: &mut |progress| {
                tell(progress);
                true
            },
        };
        api::run(command, &mut cx)
    }

    pub(super) fn read(
        &self,
        path: &[u8],
        version: Option<u64>,
        out: &mut dyn Write,
    ) -> Result<()> {
        let (engine, path) = (&self.nexus.engine, FsPath::parse(path)?);
        let mut reading = match version {
            Some(number) => Reading::open_version(engine, &self.caller, &path, number)?,
            None => Reading::open(engine, &self.caller, &path)?,
        };
        while let Some(piece) = reading.piece()? {
            out.write_all(&piece)?;
        }
        Ok(())
    }

    pub(super) fn write(
        &self,
        path: &[u8],
        mut input: Box<dyn Read + Send>,
        onto: Onto,
        parents: bool,
    ) -> Result<Written> {
        let path = FsPath::parse(path)?;
        let cx = Context {
            nexus: &self.nexus,
            caller: &self.caller,
            tell: &mut |_| true,
        };
        // The first piece is read before the file is touched: it may be what the input is made from.
        let mut piece = next_piece(&mut input)?;
        let mut file = Writing::open(&cx, &path, onto, parents)?;
        while !piece.is_empty() {
            file.write(&piece)?;
            piece = next_piece(&mut input)?;
        }
        file.finish()
    }
}

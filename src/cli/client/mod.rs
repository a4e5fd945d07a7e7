//! A way to the engine: through the daemon's socket when one runs, in this process when none does.

mod embedded;
mod lines;
mod socket;

pub(super) use embedded::Embedded;
pub(super) use socket::Socket;

use crate::api::follow::Follow;
use crate::api::stream::{Onto, PIECE, Written};
use crate::api::{Asked, Command, Progress};
use crate::core::{Config, Kind, Result, error::fail};
use std::io::{Read, Write};
use std::time::Duration;

/// How often, and how long apart, a store is tried that another command has open.
const TRIES: u32 = 250;
const PAUSE: Duration = Duration::from_millis(20);

pub(super) enum Client {
    Embedded(Box<Embedded>),
    Socket(Box<Socket>),
}

impl Client {
    /// Takes the daemon if one answers, otherwise opens the store. Waits for another command that has it open.
    pub(super) fn open(config: &Config, asked: &Asked) -> Result<Self> {
        let mut tries = 0;
        loop {
            match Socket::connect(&config.socket(), asked.clone()) {
                Err(e) if e.kind() == Kind::Unavailable => {}
                other => return Ok(Self::Socket(Box::new(other?))),
            }
            match Embedded::open(config.clone(), asked) {
                Err(e) if e.kind() == Kind::Busy && tries < TRIES => tries += 1,
                other => return Ok(Self::Embedded(Box::new(other?))),
            }
            std::thread::sleep(PAUSE);
        }
    }

    pub(super) fn call<C: Command>(&self, command: C) -> Result<C::Reply> {
        match self {
            Self::Embedded(e) => e.call(command, &mut |_| ()),
            Self::Socket(s) => s.call(&command),
        }
    }

    /// The same for long work: `tell` hears how far it has come.
    pub(super) fn call_telling<C: Command>(
        &self,
        command: C,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<C::Reply> {
        match self {
            Self::Embedded(e) => e.call(command, tell),
            Self::Socket(s) => s.call_telling(&command, tell),
        }
    }

    /// Reads a file: its present content, or one of its versions.
    pub(super) fn read(
        &self,
        path: &[u8],
        version: Option<u64>,
        out: &mut dyn Write,
    ) -> Result<()> {
        match self {
            Self::Embedded(e) => e.read(path, version, out),
            Self::Socket(s) => s.read(path, version, out),
        }
    }

    pub(super) fn write(
        &self,
        path: &[u8],
        input: Box<dyn Read + Send>,
        onto: Onto,
        parents: bool,
    ) -> Result<Written> {
        match self {
            Self::Embedded(e) => e.write(path, input, onto, parents),
            Self::Socket(s) => s.write(path, input, onto, parents),
        }
    }

    /// The tenant that is asked, if one was said.
    pub(super) fn tenant(&self) -> Option<&str> {
        match self {
            Self::Socket(s) => s.tenant(),
            // Without a daemon there is no mount that could be of another.
            Self::Embedded(_) => None,
        }
    }

    /// Asks for what comes, and for what comes behind that, until nothing can come or `each` fails. Fails with `Unavailable` when
    /// no daemon runs.
    pub(super) fn follow<C: Follow>(
        &self,
        command: C,
        each: &mut dyn FnMut(&C::Reply) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Embedded(_) => fail(
                Kind::Unavailable,
                "no daemon runs, so nothing can change while this command has the store open",
            ),
            Self::Socket(s) => s.follow(command, each),
        }
    }

    /// The daemon, if one runs.
    pub(super) fn socket(&self) -> Option<&Socket> {
        match self {
            Self::Socket(s) => Some(s),
            Self::Embedded(_) => None,
        }
    }
}

/// Reads as many bytes as are moved at a time; none at the end of the input.
fn next_piece(input: &mut (dyn Read + Send)) -> std::io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    input.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

//! Where the store is, and as whom it is asked: the options every command takes.

use super::client::{Client, Socket};
use super::label;
use super::mounted;
use super::session;
use crate::api::Asked;
use crate::core::config::{self, socket_of};
use crate::core::{Config, Error, Kind, Result, error::fail};
use clap::Args;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Args)]
pub(super) struct Place {
    /// Where the store is [default: that of the mount one works on, else $XDG_DATA_HOME/nexus]
    #[arg(long, global = true, env = "NEXUS_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The daemon's socket [default: control.sock in the data directory]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Whose tree [default: default]
    #[arg(long, global = true, env = "NEXUS_TENANT", value_name = "NAME")]
    pub(super) tenant: Option<String>,
    /// The agent that acts: one of yours, or a name for the log [env: NEXUS_AGENT]
    #[arg(long, global = true, value_name = "NAME")]
    agent: Option<String>,
    /// The session it acts in, for the log [env: NEXUS_SESSION]
    #[arg(long, global = true, value_name = "NAME")]
    session: Option<String>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Place {
    pub(super) fn data_dir(&self) -> Result<PathBuf> {
        let beside = self.socket.as_deref().map(Path::parent);
        match beside {
            Some(Some(dir)) => config::data_dir(Some(dir.to_owned())),
            _ => config::data_dir(self.data_dir.clone()),
        }
    }

    pub(super) fn config(&self) -> Result<Config> {
        Ok(Config::new(self.data_dir()?))
    }

    /// The socket of the daemon of the data directory, whatever one works on: for what makes mounts.
    pub(super) fn own_socket(&self) -> Result<PathBuf> {
        match &self.socket {
            Some(path) => Ok(std::path::absolute(path)?),
            None => Ok(socket_of(&self.data_dir()?)),
        }
    }

    /// The socket of the daemon that is meant.
    pub(super) fn socket(&self) -> Result<PathBuf> {
        match self.mount()? {
            Some(mount) => Ok(mount.socket),
            None => self.own_socket(),
        }
    }

    /// The mount that says which daemon is meant, where nobody said it or who said it may not go there.
    fn mount(&self) -> Result<Option<Near>> {
        if self.socket.is_some() {
            return Ok(None);
        }
        let said = self.data_dir.is_some().then(|| self.data_dir());
        let said = said.transpose()?;
        if said.as_deref().is_some_and(|dir| !is_closed(dir)) {
            return Ok(None);
        }
        match (near()?, said) {
            (Some(mount), _) => Ok(Some(mount)),
            (None, None) => Ok(None),
            (None, Some(dir)) => fail(
                Kind::Denied,
                format!(
                    "{} is open to its owner alone: {WORK_THERE}{}",
                    dir.display(),
                    choice()
                ),
            ),
        }
    }

    /// The same place with the tenant, the agent and the session of the mount that is worked on, where nobody named others.
    fn resolved(&self) -> Result<(Self, Option<PathBuf>)> {
        let Some(mount) = self.mount()? else {
            return Ok((self.clone(), self.socket.clone()));
        };
        let mut place = self.clone();
        if let Some(there) = mounted::whoami(&mount.dir) {
            place.tenant = place.tenant.or(there.tenant);
            place.agent = self.agent().or(there.agent);
            place.session = self.session().or(there.session);
        }
        Ok((place, Some(mount.socket)))
    }

    /// The same, and the socket of the daemon that is meant.
    pub(super) fn found(&self) -> Result<(Self, PathBuf)> {
        let (place, socket) = self.resolved()?;
        let socket = socket.map_or_else(|| place.own_socket(), Ok)?;
        Ok((place, std::path::absolute(socket)?))
    }

    pub(super) fn asked(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            agent: self.agent(),
            session: self.session(),
            umask: Some(own_umask()),
        }
    }

    /// The agent that acts.
    pub(super) fn agent(&self) -> Option<String> {
        self.agent.clone().or_else(|| config::env("NEXUS_AGENT"))
    }

    /// The session that it acts in.
    pub(super) fn session(&self) -> Option<String> {
        self.session
            .clone()
            .or_else(|| config::env("NEXUS_SESSION"))
    }

    /// The same for a command whose `--agent` and `--session` say whose work it is about, not who acts.
    pub(super) fn about_others(&self) -> Self {
        Self {
            agent: None,
            session: None,
            ..self.clone()
        }
    }

    /// The daemon if one runs, otherwise the store itself; with `--socket`, and on a mount, only the daemon there. No store is
    /// made: a typing error would be answered from an empty one.
    pub(super) fn client(&self) -> Result<Client> {
        let client = self.way()?;
        // A name from the environment was told of by whoever put it there (`nexus run`).
        if let Some(name) = &self.agent {
            label::tell_if_none(&client, name);
        }
        Ok(client)
    }

    fn way(&self) -> Result<Client> {
        let (place, socket) = self.resolved()?;
        if let Some(socket) = socket {
            return Socket::connect(&std::path::absolute(socket)?, place.asked())
                .map(|daemon| Client::Socket(Box::new(daemon)));
        }
        let config = place.config()?;
        if !config.database().exists() {
            return fail(Kind::NotFound, no_store(&config.data_dir));
        }
        Client::open(&config, &place.asked())
    }

    /// The same store as another place, wherever the process stands.
    pub(super) fn at(data_dir: PathBuf) -> Self {
        Self {
            data_dir: Some(data_dir),
            socket: None,
            tenant: None,
            agent: None,
            session: None,
            json: false,
        }
    }
}

const WORK_THERE: &str = "work below a mount of it, or name a path there";

/// A mount that is worked on, and its daemon's socket.
struct Near {
    dir: PathBuf,
    socket: PathBuf,
}

/// The mount of the first path on the command line that is below one, else that of the working directory.
fn near() -> Result<Option<Near>> {
    let said = std::env::args_os().skip(1);
    let paths = said
        .take_while(|word| word != "--")
        .filter(|word| word.as_bytes().contains(&b'/'))
        .map(PathBuf::from);
    let mut paths = paths.chain([PathBuf::from(".")]);
    let Some(dir) = paths.find_map(|path| mounted::holding(&path)) else {
        return Ok(None);
    };
    match mounted::socket(&dir) {
        Ok(socket) => Ok(Some(Near { dir, socket })),
        // Another store than the one that is meant would answer.
        Err(e) => Err(Error::new(
            Kind::Unavailable,
            format!(
                "the mount at {} does not tell its daemon: to who is no user there it is not shown \
                 (an administrator makes one with `nexusctl user create NAME --uid N`), else mount there again, or say --data-dir",
                dir.display()
            ),
        )
        .caused_by(e)),
    }
}

/// Whether a data directory is there, but not for us.
fn is_closed(dir: &Path) -> bool {
    let asked = std::fs::metadata(socket_of(dir));
    asked.is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied)
}

fn no_store(dir: &Path) -> String {
    if let Some(hidden) = session::hides(dir) {
        return hidden;
    }
    format!(
        "no store at {}: `nexus mount DIR` and `nexus init` make one; where there is one, {WORK_THERE}, or say --data-dir{}",
        dir.display(),
        choice()
    )
}

/// What is mounted on this machine, for whoever has to choose.
fn choice() -> String {
    let all = mounted::shown(&mounted::all());
    all.map_or(String::new(), |all| format!(" (mounted: {all})"))
}

/// Reads this process's umask; there is no way to read it but to set it.
fn own_umask() -> u32 {
    let old = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    nix::sys::stat::umask(old);
    old.bits()
}

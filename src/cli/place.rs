//! Where the store is, and as whom it is asked: the options every command takes.

use super::client::{Client, Socket};
use crate::api::Asked;
use crate::core::config::{self, socket_of};
use crate::core::{Config, Result};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Args)]
pub(super) struct Place {
    /// Where the store is [default: $XDG_DATA_HOME/nexus]
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

    pub(super) fn socket(&self) -> Result<PathBuf> {
        match &self.socket {
            Some(path) => Ok(std::path::absolute(path)?),
            None => Ok(socket_of(&self.data_dir()?)),
        }
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

    /// The daemon if one runs, otherwise the store itself; with `--socket` only the daemon there.
    pub(super) fn client(&self) -> Result<Client> {
        if self.socket.is_some() {
            return Socket::connect(&self.socket()?, self.asked()).map(Client::Socket);
        }
        Client::open(&self.config()?, &self.asked())
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

/// Reads this process's umask; there is no way to read it but to set it.
fn own_umask() -> u32 {
    let old = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    nix::sys::stat::umask(old);
    old.bits()
}

//! `nexus chmod`, `chown`, `chgrp` and `why`.

use super::place::Place;
use super::{output, paths};
use crate::api::owners::{Chgrp, Chmod, Chown};
use crate::api::why::{Because, Why, Wish};
use crate::core::Result;
use clap::{Subcommand, ValueEnum};
use std::ffi::OsString;

#[derive(Debug, Subcommand)]
pub(super) enum OwnerCommand {
    /// Change the mode: in octal, as 0o640, 0640 or 640
    Chmod {
        mode: String,
        #[arg(required = true)]
        paths: Vec<OsString>,
    },
    /// Change the owner: a user of the tenant, or a number
    Chown {
        owner: String,
        #[arg(required = true)]
        paths: Vec<OsString>,
    },
    /// Change the group: a group of the tenant, or a number
    Chgrp {
        group: String,
        #[arg(required = true)]
        paths: Vec<OsString>,
    },
    /// Explain why somebody may do something to a path, or may not
    Why {
        /// A user, or `agent:NAME`
        who: String,
        op: Op,
        path: OsString,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Op {
    Read,
    Write,
    Execute,
    /// What only an owner may
    Own,
}

impl From<Op> for Wish {
    fn from(op: Op) -> Self {
        match op {
            Op::Read => Self::Read,
            Op::Write => Self::Write,
            Op::Execute => Self::Execute,
            Op::Own => Self::Own,
        }
    }
}

pub(super) fn run(place: &Place, command: OwnerCommand) -> Result<()> {
    let client = place.client()?;
    match command {
        OwnerCommand::Chmod { mode, paths } => paths.iter().try_for_each(|path| {
            let (path, mode) = (paths::in_nexus(&client, path)?, mode.clone());
            output::quiet(place.json, &client.call(Chmod { path, mode })?)
        }),
        OwnerCommand::Chown { owner, paths } => paths.iter().try_for_each(|path| {
            let (path, owner) = (paths::in_nexus(&client, path)?, owner.clone());
            output::quiet(place.json, &client.call(Chown { path, owner })?)
        }),
        OwnerCommand::Chgrp { group, paths } => paths.iter().try_for_each(|path| {
            let (path, group) = (paths::in_nexus(&client, path)?, group.clone());
            output::quiet(place.json, &client.call(Chgrp { path, group })?)
        }),
        OwnerCommand::Why { who, op, path } => {
            let path = paths::in_nexus(&client, &path)?;
            let why = client.call(Why {
                subject: who,
                op: op.into(),
                path,
            })?;
            output::show(place.json, &why, explained(&why))
        }
    }
}

fn explained(why: &Because) -> String {
    let (sign, may) = if why.allowed {
        ("✓", "may")
    } else {
        ("✗", "may not")
    };
    let op = match why.op {
        Wish::Read => "read",
        Wish::Write => "write",
        Wish::Execute => "execute",
        Wish::Own => "own",
    };
    format!(
        "{sign} {} {may} {op} {}\n  layer    {}\n  because  {}",
        why.subject, why.path, why.layer, why.because
    )
}

//! `nexus trash`.

use super::place::Place;
use super::undo;
use super::wanted::WantedArgs;
use super::{output, paths};
use crate::api::trash::{Deleted, TrashList, TrashRestore};
use crate::core::{Kind, Result, error::fail};
use clap::Subcommand;
use std::ffi::OsString;

#[derive(Debug, Subcommand)]
pub(super) enum TrashCommand {
    /// List what was deleted and is gone still, the newest first
    List {
        #[command(flatten)]
        wanted: Box<WantedArgs>,
        /// What went with a directory, too
        #[arg(long)]
        all: bool,
        /// How many
        #[arg(short = 'n', long, default_value_t = 100)]
        limit: u32,
    },
    /// Bring it back: by the path it had, or by the number of the operation
    Restore {
        #[arg(required = true)]
        what: Vec<OsString>,
        /// Put it beside what took its name meanwhile, as NAME.undo-OP
        #[arg(long)]
        force_copy: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

pub(super) fn run(place: &Place, command: TrashCommand) -> Result<()> {
    match command {
        TrashCommand::List { wanted, all, limit } => list(place, &wanted, all, limit),
        TrashCommand::Restore {
            what,
            force_copy,
            dry_run,
        } => {
            for one in what {
                restore(place, &one, force_copy, dry_run)?;
            }
            Ok(())
        }
    }
}

fn list(place: &Place, wanted: &WantedArgs, all: bool, limit: u32) -> Result<()> {
    let (client, wanted) = wanted.asked(place)?;
    let found = client.call(TrashList { wanted, all, limit })?;
    let row = |d: &Deleted| {
        let who = d.agent.as_deref().or(d.user.as_deref());
        let slash = if d.directory { "/" } else { "" };
        vec![
            d.op.to_string(),
            super::log::short(&d.time),
            output::or_dash(who),
            d.command.clone(),
            format!("{}{slash}", d.path),
        ]
    };
    let head = ["op", "deleted", "by", "command", "path"];
    output::listed(place.json, &found, &head, found.deleted.iter().map(row))
}

fn restore(place: &Place, what: &OsString, aside: bool, dry_run: bool) -> Result<()> {
    let client = place.client()?;
    let op = what.to_str().and_then(|word| word.parse().ok());
    if op == Some(0) {
        return fail(Kind::Invalid, "operations are counted from 1");
    }
    let path = match op {
        Some(_) => None,
        None => Some(paths::in_nexus(&client, what)?),
    };
    let restored = client.call(TrashRestore {
        op,
        path,
        aside,
        dry_run,
    })?;
    let how = if dry_run {
        "would be restored"
    } else {
        "restored"
    };
    undo::told(place, &restored, how)
}

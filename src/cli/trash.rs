//! `nexus trash`.

use super::client::Client;
use super::place::Place;
use super::undo::{self, Ways};
use super::wanted::WantedArgs;
use super::{output, paths};
use crate::api::log::Wanted;
use crate::api::trash::{Deleted, Emptied, Trash, TrashEmpty, TrashList, TrashRestore};
use crate::api::undo::Asked;
use crate::core::{Kind, Result, error::fail};
use crate::history::Answer;
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
        #[arg(
            short = 'n',
            long,
            default_value_t = 100,
            allow_negative_numbers = true
        )]
        limit: u32,
    },
    /// Bring it back: by the path it had, or by the number of the operation
    Restore {
        #[arg(required = true)]
        what: Vec<OsString>,
        #[command(flatten)]
        ways: Ways,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Take your own deletions out of the trash; history keeps them until it is forgotten (nexusctl gc)
    Empty {
        #[command(flatten)]
        wanted: Box<WantedArgs>,
        /// Only say what would be taken out
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

pub(super) fn run(place: &Place, command: TrashCommand) -> Result<()> {
    match command {
        TrashCommand::List { wanted, all, limit } => list(place, &wanted, all, limit),
        TrashCommand::Restore {
            what,
            ways,
            dry_run,
            yes,
        } => {
            for one in what {
                restore(place, &one, ways.answer(), (dry_run, yes))?;
            }
            Ok(())
        }
        TrashCommand::Empty {
            wanted,
            dry_run,
            yes,
        } => empty(place, &wanted, dry_run, yes),
    }
}

fn list(place: &Place, wanted: &WantedArgs, all: bool, limit: u32) -> Result<()> {
    let (client, wanted) = wanted.asked(place)?;
    let found = newest(&client, wanted, all, limit)?;
    let row = |d: &Deleted| {
        let slash = if d.directory { "/" } else { "" };
        vec![
            d.op.to_string(),
            super::log::short(&d.time),
            by(d),
            d.command.clone(),
            format!("{}{slash}", d.path),
        ]
    };
    let head = ["op", "deleted", "by", "command", "path"];
    output::listed(place.json, &found, &head, found.deleted.iter().map(row))?;
    if found.deleted.is_empty() {
        eprintln!("nothing in the trash");
    }
    Ok(())
}

/// Who deleted it, as the log has it.
fn by(deleted: &Deleted) -> String {
    let user = output::or_dash(deleted.user.as_deref());
    match &deleted.agent {
        Some(agent) => format!("{user}+{agent}"),
        None => user,
    }
}

/// The newest `limit` deletions: as many answers as it takes.
fn newest(client: &Client, mut wanted: Wanted, all: bool, limit: u32) -> Result<Trash> {
    // None is asked for as the usual number is.
    let limit = if limit == 0 { 100 } else { limit };
    let (mut found, mut left) = (Vec::new(), limit);
    loop {
        let page = client.call(TrashList {
            wanted: wanted.clone(),
            all,
            limit: left,
        })?;
        found.extend(page.deleted);
        left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        if left == 0 || page.more.is_none_or(|more| more == 0) {
            let (deleted, more) = (found, page.more);
            return Ok(Trash { deleted, more });
        }
        wanted.last = page.more;
    }
}

fn restore(
    place: &Place,
    what: &OsString,
    answer: Answer,
    (dry_run, yes): (bool, bool),
) -> Result<()> {
    let client = place.client()?;
    let op = what.to_str().and_then(|word| word.parse().ok());
    if op == Some(0) {
        return fail(Kind::Invalid, "operations are counted from 1");
    }
    let path = match op {
        Some(_) => None,
        None => Some(paths::in_nexus(&client, what)?),
    };
    undo::sure(place, (dry_run, yes), Asked::Trash, |dry_run| {
        client.call(TrashRestore {
            op,
            path: path.clone(),
            answer,
            dry_run,
        })
    })
}

fn empty(place: &Place, wanted: &WantedArgs, dry_run: bool, yes: bool) -> Result<()> {
    let (client, wanted) = wanted.asked(place)?;
    let command = TrashEmpty {
        wanted,
        dry_run: true,
    };
    if dry_run || undo::asks(place, yes) {
        let planned = client.call(command.clone())?;
        told(place, &planned, "would be taken out of the trash")?;
        if dry_run {
            return Ok(());
        }
        if planned.deletions > 0 && !undo::confirmed("Take them out?")? {
            return fail(Kind::Invalid, "nothing was changed");
        }
    }
    let done = client.call(TrashEmpty {
        dry_run: false,
        ..command
    })?;
    told(place, &done, "taken out of the trash")
}

fn told(place: &Place, emptied: &Emptied, how: &str) -> Result<()> {
    if place.json {
        return output::json(emptied);
    }
    let Emptied {
        deletions,
        listed,
        others,
        ..
    } = emptied;
    let with = match deletions.saturating_sub(*listed) {
        0 => String::new(),
        more => format!(" and {more} of what went with a directory"),
    };
    let size = output::size(emptied.bytes);
    output::line(format!(
        "{listed} deletions{with} {how} ({size}, which history keeps until `nexusctl gc --keep-within`)"
    ))?;
    if *others > 0 {
        output::line(format!("{others} stay: what they deleted was not yours"))?;
    }
    Ok(())
}

//! `nexus snapshot`.

use super::client::Client;
use super::place::Place;
use super::undo::SkipArgs;
use super::versions::differences;
use super::{log, output, paths, undo};
use crate::api::snapshots::{Snapshot, SnapshotCreate, SnapshotDelete, SnapshotList, SnapshotShow};
use crate::api::undo::Restore;
use crate::api::versions::Diff;
use crate::core::{Error, Kind, Result, Text};
use clap::Subcommand;
use std::ffi::OsString;

#[derive(Debug, Subcommand)]
pub(super) enum SnapshotCommand {
    /// Give a directory as it is now a name
    Create {
        name: String,
        #[arg(default_value = "/")]
        path: OsString,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// List the snapshots of directories that you may see
    List,
    /// Show one
    Show { name: String },
    /// Show what has changed since, or between two
    Diff {
        name: String,
        /// Another snapshot, or a time
        #[arg(default_value = "now")]
        other: String,
        /// Only what is below this [default: the snapshot's directory]
        path: Option<OsString>,
    },
    /// Make the directory, or something in it, what it was; an operation that can be undone
    Restore {
        name: String,
        /// Only this
        path: Option<OsString>,
        #[command(flatten)]
        skip: SkipArgs,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Forget a name; the past stays
    Delete { name: String },
}

pub(super) fn run(place: &Place, command: SnapshotCommand) -> Result<()> {
    let client = place.client()?;
    match command {
        SnapshotCommand::Create {
            name,
            path,
            description,
        } => {
            let path = paths::in_nexus(&client, &path)?;
            let made = client.call(SnapshotCreate {
                name,
                path,
                description,
            })?;
            let text = format!("{} is {} as of op:{}", made.name, whose(&made), made.op);
            output::show(place.json, &made, text)
        }
        SnapshotCommand::List => {
            let reply = client.call(SnapshotList {})?;
            let head = ["name", "op", "time", "path", "by", "description"];
            let rows = reply.snapshots.iter().map(row);
            output::listed(place.json, &reply, &head, rows)
        }
        SnapshotCommand::Show { name } => show(place, &client.call(SnapshotShow { name })?),
        SnapshotCommand::Diff { name, other, path } => {
            let path = match path {
                Some(path) => paths::in_nexus(&client, &path)?,
                None => directory(&client, &name)?,
            };
            let (from, to) = (Some(name), Some(other));
            let told = client.call(Diff { path, from, to })?;
            if place.json {
                return output::json(&told);
            }
            output::raw(&differences(&told)?)
        }
        SnapshotCommand::Restore {
            name,
            path,
            skip,
            dry_run,
            yes,
        } => {
            let path = match path {
                Some(path) => paths::in_nexus(&client, &path)?,
                None => directory(&client, &name)?,
            };
            let what = Restore {
                path,
                at: Some(name),
                version: None,
                answer: skip.answer(),
                dry_run,
            };
            undo::restored(place, &client, &what, yes)
        }
        SnapshotCommand::Delete { name } => {
            output::quiet(place.json, &client.call(SnapshotDelete { name })?)
        }
    }
}

/// Where a snapshot's directory was.
fn directory(client: &Client, name: &str) -> Result<Text> {
    let name = name.to_owned();
    let found = client.call(SnapshotShow { name })?;
    let none = || {
        let message = "its directory is nowhere that you can walk to: say a path";
        Error::new(Kind::NotFound, message)
    };
    found.path.ok_or_else(none)
}

fn whose(s: &Snapshot) -> String {
    let path = s.path.as_ref().map(Text::to_string);
    path.unwrap_or_else(|| format!("node {}", s.ino))
}

fn maker(s: &Snapshot) -> String {
    let user = s.user.clone().unwrap_or_else(|| format!("uid {}", s.uid));
    let agent = s.agent.as_ref().map_or(String::new(), |a| format!("+{a}"));
    format!("{user}{agent}")
}

fn row(s: &Snapshot) -> Vec<String> {
    vec![
        s.name.clone(),
        s.op.to_string(),
        log::short(&s.time),
        whose(s),
        maker(s),
        output::or_dash(s.description.as_deref()),
    ]
}

fn show(place: &Place, s: &Snapshot) -> Result<()> {
    if place.json {
        return output::json(s);
    }
    let lines = [
        ("name", s.name.clone()),
        ("path", whose(s)),
        ("op", s.op.to_string()),
        ("made", log::short(&s.time)),
        ("by", maker(s)),
        ("about", output::or_dash(s.description.as_deref())),
    ];
    let mut lines = lines.iter();
    lines.try_for_each(|(key, value)| output::line(format!("{key:9} {value}")))
}

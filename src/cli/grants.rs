//! `nexus rebac`: relationships given, taken back and listed; questions and types are beside it.

use super::changes::{self, ChangesArgs};
use super::checks::{self, CheckArgs};
use super::holders::{self, ExpandArgs, ObjectsArgs, SubjectsArgs};
use super::log::short;
use super::output::{self, listed, or_dash};
use super::paths;
use super::place::Place;
use super::sentence::{Meaning, Sentence};
use super::types::{self, TypeCommand};
use crate::api::boundaries::{RebacRestrict, RebacUnrestrict};
use crate::api::grants::{RebacGrant, RebacList, RebacRevoke, TupleInfo};
use crate::api::groups::{GroupAdd, GroupRemove};
use crate::core::{Kind, Result, error::fail};
use clap::{Args, Subcommand};
use std::ffi::OsString;

#[derive(Debug, Subcommand)]
pub(super) enum GrantCommand {
    /// Give somebody a role on a file, on a directory and all below it, or a relation to an object of your own types
    Grant(NewGrant),
    /// The same; `create agent alice member-of group developers` puts somebody into a group
    Create(NewGrant),
    /// Take a grant back, by what it says
    Revoke(Sentence),
    /// Take a grant back, by its number
    Delete {
        /// As `rebac list` shows it
        tuple_id: u64,
    },
    /// List grants: on what is yours and to you, or all for an administrator
    List(ListArgs),
    /// Tell whether grants alone give somebody a relation; exit code 3 when they do not. `nexus why` weighs owner, mode and lists too
    Check(CheckArgs),
    /// Tell who has a relation by grants alone; `nexus who` weighs owner, mode and lists too
    Expand(ExpandArgs),
    /// Tell which subjects of some types have a relation to an object of your own types
    Subjects(SubjectsArgs),
    /// Tell to what grants give somebody a relation; with --under, what of a directory he may use by whatever lets him
    Objects(ObjectsArgs),
    /// Let grants from above end at a directory; the owner's do not
    Restrict { path: OsString },
    /// Let grants from above hold again below a directory
    Unrestrict { path: OsString },
    /// Types of objects of your own, beside files and groups
    #[command(subcommand)]
    Type(TypeCommand),
    /// Tell every grant, revoke, boundary and type, as they came; with --follow also those to come
    Changes(ChangesArgs),
}

#[derive(Debug, Args)]
pub(super) struct NewGrant {
    #[command(flatten)]
    sentence: Sentence,
    /// How long it holds, as in 7d or 12h, or a time as in 2030-01-31T12:00:00Z [default: until it is revoked]
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    expires: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// user, agent, group, or a type of your own
    #[arg(long, value_name = "TYPE")]
    subject_type: Option<String>,
    /// The name
    #[arg(long, value_name = "NAME")]
    subject_id: Option<String>,
    #[arg(long)]
    relation: Option<String>,
    /// file, or a type of your own
    #[arg(long, value_name = "TYPE")]
    object_type: Option<String>,
    /// The name of an object of your own types
    #[arg(long, value_name = "NAME")]
    object_id: Option<String>,
    /// Those on this very path
    #[arg(long, value_name = "PATH")]
    object_path: Option<OsString>,
}

pub(super) fn run(place: &Place, command: GrantCommand) -> Result<()> {
    match command {
        GrantCommand::Grant(new) | GrantCommand::Create(new) => create(place, new),
        GrantCommand::Revoke(sentence) => revoke(place, sentence),
        GrantCommand::Delete { tuple_id } => {
            let gone = place.client()?.call(RebacRevoke::Tuple { tuple_id })?;
            output::show(place.json, &gone, deleted(tuple_id))
        }
        GrantCommand::List(args) => list(place, args),
        GrantCommand::Check(args) => checks::run(place, args),
        GrantCommand::Expand(args) => holders::expand(place, args),
        GrantCommand::Subjects(args) => holders::subjects(place, args),
        GrantCommand::Objects(args) => holders::objects(place, args),
        GrantCommand::Restrict { path } => {
            let client = place.client()?;
            let path = paths::in_nexus(&client, &path)?;
            let shown = path.to_string();
            let done = client.call(RebacRestrict { path })?;
            let already = if done.changed { "" } else { " already" };
            let text = format!("grants from above end at {shown}{already}");
            output::show(place.json, &done, text)
        }
        GrantCommand::Unrestrict { path } => {
            let client = place.client()?;
            let path = paths::in_nexus(&client, &path)?;
            let shown = path.to_string();
            let done = client.call(RebacUnrestrict { path })?;
            let text = if done.changed {
                format!("grants from above hold at {shown}")
            } else {
                format!("there was no boundary at {shown}: grants from above hold")
            };
            output::show(place.json, &done, text)
        }
        GrantCommand::Type(command) => types::run(place, command),
        GrantCommand::Changes(args) => changes::run(place, &args),
    }
}

const CREATED: &str = "✓ Created relationship tuple";

fn deleted(tuple_id: u64) -> String {
    format!("✓ Deleted relationship tuple {tuple_id}")
}

fn create(place: &Place, new: NewGrant) -> Result<()> {
    let client = place.client()?;
    match new.sentence.meaning()? {
        Meaning::Related {
            subject,
            relation,
            to,
        } => {
            let made = client.call(RebacGrant {
                subject,
                relation,
                on: paths::on(&client, to)?,
                expires: new.expires,
                condition: None,
            })?;
            output::show(place.json, &made, created(&made))
        }
        Meaning::Member { .. } if new.expires.is_some() => {
            fail(Kind::Invalid, "a membership does not expire")
        }
        Meaning::Member { member, group } => {
            let text = format!("{CREATED}\n  {member} is in group {group}");
            output::show(place.json, &client.call(GroupAdd { group, member })?, text)
        }
    }
}

fn created(t: &TupleInfo) -> String {
    let until = t.expires.as_deref().map(short);
    let until = until.map(|end| format!("\n  Expires: {end}"));
    let until = until.unwrap_or_default();
    format!("{CREATED}\n  Tuple ID: {}{until}", number(t))
}

fn revoke(place: &Place, sentence: Sentence) -> Result<()> {
    let client = place.client()?;
    match sentence.meaning()? {
        Meaning::Related {
            subject,
            relation,
            to,
        } => {
            let gone = client.call(RebacRevoke::Said {
                subject,
                relation,
                on: paths::on(&client, to)?,
            })?;
            output::show(place.json, &gone, deleted(gone.tuple_id))
        }
        Meaning::Member { member, group } => {
            let text = format!("{member} is out of group {group}");
            let done = client.call(GroupRemove { group, member })?;
            output::show(place.json, &done, text)
        }
    }
}

fn list(place: &Place, args: ListArgs) -> Result<()> {
    let client = place.client()?;
    let at = args.object_path;
    let path = at.map(|path| paths::in_nexus(&client, &path)).transpose()?;
    let all = client.call(RebacList {
        subject_type: args.subject_type,
        subject_id: args.subject_id,
        relation: args.relation,
        object_type: args.object_type,
        object_id: args.object_id,
        path,
    })?;
    let head = ["id", "subject", "relation", "object", "expires"];
    listed(place.json, &all, &head, all.tuples.iter().map(row))?;
    if all.restricted && !place.json {
        output::line("restricted: grants from above end here")?;
    }
    Ok(())
}

/// The number of a tuple, if it has one.
fn number(t: &TupleInfo) -> String {
    let number = t.tuple_id.map(|id| id.to_string());
    or_dash(number.as_deref())
}

fn row(t: &TupleInfo) -> Vec<String> {
    let expires = t.expires.as_deref().map(short);
    let expires = or_dash(expires.as_deref());
    let of = match &*t.subject_relation {
        "" => String::new(),
        relation => format!("#{relation}"),
    };
    vec![
        number(t),
        format!("{}:{}{of}", t.subject_type, t.subject_id),
        t.relation.clone(),
        format!("{}:{}", t.object_type, t.object_id),
        if t.expired {
            format!("{expires} (ended)")
        } else {
            expires
        },
    ]
}

//! `nexus rebac`: grants and what is asked about them.

use super::output::{self, listed, or_dash};
use super::paths;
use super::place::Place;
use super::sentence::{Meaning, Phrase, Sentence};
use crate::api::grants::{
    RebacGrant, RebacList, RebacRestrict, RebacRevoke, RebacUnrestrict, TupleInfo,
};
use crate::api::groups::{GroupAdd, GroupCheck, GroupRemove};
use crate::api::holders::{RebacCheck, RebacExpand, RebacObjects};
use crate::core::{Kind, Result, error::fail};
use clap::{Args, Subcommand};
use std::ffi::OsString;

#[derive(Debug, Subcommand)]
pub(super) enum GrantCommand {
    /// Give somebody a role on a file, or on a directory and all below it
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
    /// Tell whether grants give somebody a role; exit code 3 when they do not
    Check(Sentence),
    /// Tell who has a role by grants
    Expand {
        #[command(flatten)]
        phrase: Phrase,
        /// Users and agents only, no groups
        #[arg(long)]
        leaves: bool,
    },
    /// Tell on what grants give somebody a role
    Objects(ObjectsArgs),
    /// Let grants from above end at a directory; the owner's do not
    Restrict { path: OsString },
    /// Let grants from above hold again below a directory
    Unrestrict { path: OsString },
}

#[derive(Debug, Args)]
pub(super) struct NewGrant {
    #[command(flatten)]
    sentence: Sentence,
    /// How long it holds, as in 7d or 12h, or a time as in 2030-01-31T12:00:00Z [default: until it is revoked]
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// user, agent or group
    #[arg(long, value_name = "TYPE")]
    subject_type: Option<String>,
    /// The name
    #[arg(long, value_name = "NAME")]
    subject_id: Option<String>,
    #[arg(long)]
    relation: Option<String>,
    /// Those on this very path
    #[arg(long, value_name = "PATH")]
    object_path: Option<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct ObjectsArgs {
    /// user, agent or group
    subject_type: String,
    subject: String,
    #[arg(long)]
    relation: String,
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
        GrantCommand::Check(sentence) => check(place, sentence),
        GrantCommand::Expand { phrase, leaves } => expand(place, phrase, leaves),
        GrantCommand::Objects(args) => objects(place, args),
        GrantCommand::Restrict { path } => {
            let client = place.client()?;
            let path = paths::in_nexus(&client, &path)?;
            let text = format!("grants from above end at {path}");
            output::show(place.json, &client.call(RebacRestrict { path })?, text)
        }
        GrantCommand::Unrestrict { path } => {
            let client = place.client()?;
            let path = paths::in_nexus(&client, &path)?;
            let text = format!("grants from above hold at {path}");
            output::show(place.json, &client.call(RebacUnrestrict { path })?, text)
        }
    }
}

const CREATED: &str = "✓ Created relationship tuple";

fn deleted(tuple_id: u64) -> String {
    format!("✓ Deleted relationship tuple {tuple_id}")
}

fn create(place: &Place, new: NewGrant) -> Result<()> {
    let client = place.client()?;
    match new.sentence.meaning()? {
        Meaning::Role {
            subject,
            relation,
            path,
        } => {
            let made = client.call(RebacGrant {
                subject,
                relation,
                path: paths::in_nexus(&client, &path)?,
                expires: new.expires,
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
    let until = t.expires.as_ref().map(|end| format!("\n  Expires: {end}"));
    let until = until.unwrap_or_default();
    format!("{CREATED}\n  Tuple ID: {}{until}", t.tuple_id)
}

fn revoke(place: &Place, sentence: Sentence) -> Result<()> {
    let client = place.client()?;
    match sentence.meaning()? {
        Meaning::Role {
            subject,
            relation,
            path,
        } => {
            let gone = client.call(RebacRevoke::Said {
                subject,
                relation,
                path: paths::in_nexus(&client, &path)?,
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
        path,
    })?;
    let head = ["id", "subject", "relation", "object", "expires"];
    listed(place.json, &all, &head, all.tuples.iter().map(row))
}

fn row(t: &TupleInfo) -> Vec<String> {
    let expires = or_dash(t.expires.as_deref());
    vec![
        t.tuple_id.to_string(),
        format!("{}:{}", t.subject_type, t.subject_id),
        t.relation.clone(),
        format!("{}:{}", t.object_type, t.object_id),
        if t.expired {
            format!("{expires} (ended)")
        } else {
            expires
        },
    ]
}

fn check(place: &Place, sentence: Sentence) -> Result<()> {
    let client = place.client()?;
    let (answer, question) = match sentence.meaning()? {
        Meaning::Role {
            subject,
            relation,
            path,
        } => {
            let path = paths::in_nexus(&client, &path)?;
            let question = format!("{subject} {relation} {path}");
            let asked = RebacCheck {
                subject,
                relation,
                path,
            };
            (client.call(asked)?, question)
        }
        Meaning::Member { member, group } => {
            let question = format!("{member} member-of group {group}");
            (client.call(GroupCheck { group, member })?, question)
        }
    };
    let words = if answer.granted {
        "✓ GRANTED"
    } else {
        "✗ DENIED"
    };
    output::show(place.json, &answer, words)?;
    if answer.granted {
        return Ok(());
    }
    // The exit code is the answer for scripts.
    fail(Kind::Denied, format!("no relationship gives {question}"))
}

fn expand(place: &Place, phrase: Phrase, leaves: bool) -> Result<()> {
    let client = place.client()?;
    let (relation, path) = phrase.meaning()?;
    let path = paths::in_nexus(&client, &path)?;
    let found = client.call(RebacExpand {
        relation,
        path,
        leaves,
    })?;
    if place.json {
        return output::json(&found);
    }
    let mut subjects = found.subjects.iter();
    subjects.try_for_each(|(kind, name)| output::line(format!("{kind}:{name}")))
}

fn objects(place: &Place, args: ObjectsArgs) -> Result<()> {
    let found = place.client()?.call(RebacObjects {
        subject: format!("{}:{}", args.subject_type, args.subject),
        relation: args.relation,
    })?;
    if place.json {
        return output::json(&found);
    }
    let mut objects = found.objects.iter();
    objects.try_for_each(|path| output::line(path.to_string()))
}

//! `nexus rebac expand`, `subjects`, `objects`: who has a relation, and to what; `nexus who`: who may.

use super::output;
use super::paths;
use super::place::Place;
use super::sentence::Phrase;
use crate::access::rebac::Cut;
use crate::api::holders::{RebacExpand, RebacObjects, RebacSubjects, Subjects};
use crate::api::who::{Allowed, Who};
use crate::api::why::Wish;
use crate::core::Result;
use clap::{Args, ValueEnum};
use std::ffi::OsString;

#[derive(Debug, Args)]
pub(super) struct ExpandArgs {
    #[command(flatten)]
    phrase: Phrase,
    /// Users and agents only, no groups
    #[arg(long)]
    leaves: bool,
}

#[derive(Debug, Args)]
pub(super) struct SubjectsArgs {
    #[command(flatten)]
    phrase: Phrase,
    /// user, agent, group#member, or a type of your own, alone or with #RELATION; may be said several times
    #[arg(long = "type", value_name = "TYPE", required = true)]
    types: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ObjectsArgs {
    /// user, agent, group, or a type of your own
    subject_type: String,
    subject: String,
    #[arg(long)]
    relation: String,
    /// A type of your own [default: file]
    #[arg(long = "type", value_name = "TYPE")]
    object_type: Option<String>,
    /// Below this directory, and by every line of the rule: owners, lists and modes as well as grants
    #[arg(long, value_name = "DIR", conflicts_with = "object_type")]
    under: Option<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct WhoArgs {
    /// read, write, execute, or own: what only an owner may
    op: Op,
    path: OsString,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Op {
    Read,
    Write,
    Execute,
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

/// Asks for pages until there are no more.
pub(super) fn who(place: &Place, args: &WhoArgs) -> Result<()> {
    let client = place.client()?;
    let path = paths::in_nexus(&client, &args.path)?;
    let mut all = Vec::new();
    let mut after = Some(0);
    while let Some(last) = after {
        let page = client.call(Who {
            op: args.op.into(),
            path: path.clone(),
            after: last,
        })?;
        all.extend(page.subjects);
        after = page.next;
    }
    all.sort();
    if place.json {
        return output::json(&Allowed {
            subjects: all,
            next: None,
        });
    }
    all.iter().try_for_each(output::line)
}

pub(super) fn expand(place: &Place, args: ExpandArgs) -> Result<()> {
    let client = place.client()?;
    let (relation, to) = args.phrase.meaning()?;
    let found = client.call(RebacExpand {
        relation,
        on: paths::on(&client, to)?,
        leaves: args.leaves,
    })?;
    show(place, &found)
}

pub(super) fn subjects(place: &Place, args: SubjectsArgs) -> Result<()> {
    let client = place.client()?;
    let (relation, to) = args.phrase.meaning()?;
    let found = client.call(RebacSubjects {
        relation,
        on: paths::on(&client, to)?,
        types: args.types,
    })?;
    show(place, &found)
}

fn show(place: &Place, found: &Subjects) -> Result<()> {
    if place.json {
        return output::json(found);
    }
    if found.subjects.is_empty() && found.cut.is_none() {
        eprintln!("nobody by grants alone");
    }
    for (kind, name) in &found.subjects {
        output::line(format!("{kind}:{name}"))?;
    }
    incomplete(found.cut);
    Ok(())
}

pub(super) fn objects(place: &Place, args: ObjectsArgs) -> Result<()> {
    let client = place.client()?;
    let under = args.under.map(|dir| paths::in_nexus(&client, &dir));
    let under = under.transpose()?;
    let ask = |from| {
        client.call(RebacObjects {
            subject: format!("{}:{}", args.subject_type, args.subject),
            relation: args.relation.clone(),
            object_type: args.object_type.clone(),
            under: under.clone(),
            from,
        })
    };
    let mut found = ask(Vec::new())?;
    while let Some(from) = found.next.take() {
        let more = ask(from)?;
        found.objects.extend(more.objects);
        found.next = more.next;
    }
    if place.json {
        return output::json(&found);
    }
    for object in &found.objects {
        output::line(object.to_string())?;
    }
    incomplete(found.cut);
    Ok(())
}

/// Tells whoever reads a list that there may be more.
fn incomplete(cut: Option<Cut>) {
    if let Some(cut) = cut {
        eprintln!("there may be more, which is unknown: {cut}");
    }
}

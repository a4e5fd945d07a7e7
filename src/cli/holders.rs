//! `nexus rebac expand`, `subjects`, `objects`: who has a relation, and to what.

use super::output;
use super::paths;
use super::place::Place;
use super::sentence::Phrase;
use crate::access::rebac::Cut;
use crate::api::holders::{RebacExpand, RebacObjects, RebacSubjects, Subjects};
use crate::core::Result;
use clap::Args;

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
    for (kind, name) in &found.subjects {
        output::line(format!("{kind}:{name}"))?;
    }
    incomplete(found.cut);
    Ok(())
}

pub(super) fn objects(place: &Place, args: ObjectsArgs) -> Result<()> {
    let found = place.client()?.call(RebacObjects {
        subject: format!("{}:{}", args.subject_type, args.subject),
        relation: args.relation,
        object_type: args.object_type,
    })?;
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

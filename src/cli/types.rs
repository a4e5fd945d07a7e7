//! `nexus rebac type`: types of objects of a tenant's own.

use super::input;
use super::output::{self, listed, names};
use super::place::Place;
use crate::access::rebac::Format;
use crate::api::types::{RebacTypeDelete, RebacTypeList, RebacTypeSet, RebacTypeShow, TypeInfo};
use crate::core::Result;
use clap::Subcommand;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum TypeCommand {
    /// Define types, new or anew, all or none of a file's
    Set {
        /// JSON, or YAML when its name ends so; `-` is standard input, in either
        file: PathBuf,
    },
    /// List the types
    List,
    /// Show the definition of a type, as `set` takes it
    Show { name: String },
    /// Take a type away, with every tuple that names an object of it
    Delete { name: String },
}

pub(super) fn run(place: &Place, command: TypeCommand) -> Result<()> {
    match command {
        TypeCommand::Set { file } => set(place, &file),
        TypeCommand::List => list(place),
        TypeCommand::Show { name } => show(place, name),
        TypeCommand::Delete { name } => {
            let gone = place.client()?.call(RebacTypeDelete { name })?;
            let text = format!("type {} is gone, with {} tuples", gone.name, gone.tuples);
            output::show(place.json, &gone, text)
        }
    }
}

fn set(place: &Place, file: &Path) -> Result<()> {
    let format = if input::is_standard(file) {
        Format::Yaml
    } else {
        Format::of(file)
    };
    let definitions = format.read(&input::text(file)?);
    let definitions = definitions.map_err(|e| e.context(file.display()))?;
    let done = place.client()?.call(RebacTypeSet(definitions))?;
    if place.json {
        return output::json(&done);
    }
    for t in &done.types {
        let idle = match t.idle {
            0 => String::new(),
            n => format!("; {n} of its {} tuples count for nothing now", t.tuples),
        };
        output::line(format!("✓ type {}: {}{idle}", t.name, relations(t)))?;
    }
    Ok(())
}

fn list(place: &Place) -> Result<()> {
    let all = place.client()?.call(RebacTypeList {})?;
    let row = |t: &TypeInfo| {
        let (tuples, idle) = (t.tuples.to_string(), t.idle.to_string());
        vec![t.name.to_string(), relations(t), tuples, idle]
    };
    let head = ["type", "relations", "tuples", "not counting"];
    listed(place.json, &all, &head, all.types.iter().map(row))
}

fn relations(t: &TypeInfo) -> String {
    let relations = t.definition.relations.keys();
    names(&relations.map(ToString::to_string).collect::<Vec<_>>())
}

fn show(place: &Place, name: String) -> Result<()> {
    let found = place.client()?.call(RebacTypeShow { name })?;
    let document = json!({"types": {found.name.as_str(): found.definition}});
    output::show(place.json, &found, format!("{document:#}"))
}

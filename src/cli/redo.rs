//! `nexus redo`.

use super::place::Place;
use super::undo::{Ways, sure};
use crate::api::redo::Redo;
use crate::api::undo::Asked;
use crate::core::{Error, Kind, Result};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct RedoArgs {
    /// The number of the undo [default: your newest that was not undone]
    #[arg(value_name = "OP", value_parser = number)]
    op: Option<u64>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    ways: Ways,
}

pub(super) fn run(place: &Place, args: &RedoArgs) -> Result<()> {
    let client = place.client()?;
    let (op, answer) = (args.op, args.ways.answer());
    sure(place, (args.dry_run, args.yes), Asked::Undo, |dry_run| {
        client.call(Redo {
            op,
            answer,
            dry_run,
        })
    })
}

/// Reads `8123` or `op:8123`.
fn number(text: &str) -> Result<u64> {
    let digits = text.strip_prefix("op:").unwrap_or(text);
    digits.parse().map_err(|e| {
        let message = format!("{text:?} is no number of an operation");
        Error::new(Kind::Invalid, message).caused_by(e)
    })
}

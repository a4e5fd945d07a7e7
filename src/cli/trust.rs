//! What proves the log: `nexusctl log head` and `nexusctl verify`.

use super::admin::checked;
use super::output::{self, Bar};
use super::place::Place;
use crate::api::receipt::{LogHead, Receipt};
use crate::api::store::Verify;
use crate::core::{Error, Kind, Result, error::fail};
use clap::{Args, Subcommand};
use std::io::Read as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum LogCommand {
    /// Print a receipt of the newest operation, one line of JSON, for `verify --from`
    Head,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Only that the log still has what these receipts say, whole up to them and since; `-`: standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

pub(super) fn log(place: &Place, command: &LogCommand) -> Result<()> {
    match command {
        LogCommand::Head => output::json(&place.client()?.call(LogHead {})?),
    }
}

pub(super) fn verify(place: &Place, args: &VerifyArgs) -> Result<()> {
    let from = args.from.as_deref().map(receipts).transpose()?;
    let client = place.client()?;
    let mut bar = Bar::new("verifying", place.json);
    let command = Verify {
        from: from.unwrap_or_default(),
    };
    let report = client.call_telling(command, &mut |p| bar.tell(p))?;
    drop(bar);
    checked(place, &report)
}

/// The receipts in a file, one a line.
fn receipts(file: &Path) -> Result<Vec<Receipt>> {
    let at = |e: Error| e.context(file.display());
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file).map_err(|e| at(e.into()))?;
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let read = |line| {
        serde_json::from_str(line)
            .map_err(|e| at(Error::new(Kind::Invalid, format!("no receipt: {e}")).caused_by(e)))
    };
    let all: Vec<Receipt> = lines.map(read).collect::<Result<_>>()?;
    if all.is_empty() {
        return fail(
            Kind::Invalid,
            format!(
                "{}: no receipt: `nexusctl log head` prints one",
                file.display()
            ),
        );
    }
    Ok(all)
}

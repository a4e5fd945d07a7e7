//! `nexusctl rebac`: the words of `nexus rebac`, and policy tests.

use super::grants::{self, GrantCommand};
use super::output;
use super::place::Place;
use crate::access::rebac::Format;
use crate::access::rebac::conformance::{Report, Tally};
use crate::core::{Clock, Error, Kind, Result, error::fail};
use clap::Subcommand;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum RebacCommand {
    /// Run policy tests, in JSON or YAML; needs no store and no daemon
    Test {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    #[command(flatten)]
    Grant(GrantCommand),
}

pub(super) fn run(place: &Place, command: RebacCommand) -> Result<()> {
    match command {
        RebacCommand::Test { files } => test(place, &files),
        RebacCommand::Grant(command) => grants::run(place, command),
    }
}

fn test(place: &Place, files: &[PathBuf]) -> Result<()> {
    let mut report = Report::default();
    for file in files {
        add(&mut report, file).map_err(|e| e.context(file.display()))?;
    }
    if place.json {
        output::json(&report)?;
    } else {
        tell(&report)?;
    }
    ended(&report)
}

fn ended(report: &Report) -> Result<()> {
    if report.is_clean() {
        return Ok(());
    }
    let Tally { passed, failed, .. } = report.cases;
    fail(
        Kind::Invalid,
        format!("{failed} of {} policy tests failed", passed + failed),
    )
}

fn add(report: &mut Report, file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).map_err(Error::from)?;
    report.run(&text, Format::of(file), Clock::System.now())
}

fn tell(report: &Report) -> Result<()> {
    let row = |(feature, tally): (&String, &Tally)| {
        let counts = [tally.passed, tally.failed, tally.skipped];
        let counts = counts.iter().map(usize::to_string);
        [feature.clone()].into_iter().chain(counts).collect()
    };
    let head = ["feature", "passed", "failed", "skipped"];
    output::table(&head, report.features.iter().map(row))?;
    for skip in &report.skipped {
        output::line(format!("skipped {}: needs {}", skip.case, skip.feature))?;
    }
    for failure in &report.failures {
        let (case, step) = (&failure.case, failure.step);
        output::line(format!("failed {case}, step {step}: {}", failure.message))?;
    }
    let Tally {
        passed,
        failed,
        skipped,
    } = report.cases;
    output::line(format!(
        "{passed} passed, {failed} failed, {skipped} skipped; {} answers as expected",
        report.assertions
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const CASE: &str = "[{id: one, steps: [{op: schema, types: {t: {relations: {r: {rewrite: {nil: true}}}}}}, \
        {op: check, object: t:1, relation: r, subject: t:2, expect: EXPECT}]}]";

    fn outcome(expect: &str) -> Result<()> {
        let mut file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        file.write_all(CASE.replace("EXPECT", expect).as_bytes())
            .unwrap();
        let mut report = Report::default();
        add(&mut report, file.path())?;
        ended(&report)
    }

    #[test]
    fn a_policy_test_that_fails_fails_the_command() {
        assert!(outcome("false").is_ok());
        assert_eq!(outcome("true").unwrap_err().kind(), Kind::Invalid);
    }
}

//! What a run of policy tests found.

use super::form::Case;
use super::run::run;
use crate::access::rebac::document::Format;
use crate::core::{Result, Time};
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

/// What a run of policy tests found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    pub cases: Tally,
    /// Questions that were answered as expected.
    pub assertions: usize,
    /// The cases that require a feature, by feature.
    pub features: BTreeMap<String, Tally>,
    pub failures: Vec<Failure>,
    pub skipped: Vec<Skip>,
}

/// A case that failed, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub case: String,
    /// From 1.
    pub step: usize,
    pub message: String,
}

/// A case that was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skip {
    pub case: String,
    /// The feature it requires.
    pub feature: &'static str,
}

impl Report {
    /// Runs every case of a file's text. `now` is the time for steps that do not say one.
    pub fn run(&mut self, text: &str, format: Format, now: Time) -> Result<()> {
        for case in format.read::<Vec<Case>>(text)? {
            self.case(&case, now);
        }
        Ok(())
    }

    /// Whether nothing failed.
    pub fn is_clean(&self) -> bool {
        self.cases.failed == 0
    }

    fn case(&mut self, case: &Case, now: Time) {
        let id = || case.id.clone();
        let seen = if let Some(feature) = case.lacks() {
            self.skipped.push(Skip {
                case: id(),
                feature,
            });
            Tally::SKIPPED
        } else {
            let run = run(case, now);
            self.assertions += run.assertions;
            let passed = run.failure.is_none();
            self.failures
                .extend(run.failure.map(|(step, message)| Failure {
                    case: id(),
                    step,
                    message,
                }));
            if passed { Tally::PASSED } else { Tally::FAILED }
        };
        self.cases.add(seen);
        for feature in &case.requires {
            self.features.entry(feature.clone()).or_default().add(seen);
        }
    }
}

impl Tally {
    const NONE: Self = Self {
        passed: 0,
        failed: 0,
        skipped: 0,
    };
    const PASSED: Self = Self {
        passed: 1,
        ..Self::NONE
    };
    const FAILED: Self = Self {
        failed: 1,
        ..Self::NONE
    };
    const SKIPPED: Self = Self {
        skipped: 1,
        ..Self::NONE
    };

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str, format: Format) -> Report {
        let mut report = Report::default();
        report.run(text, format, Time(0)).unwrap();
        report
    }

    /// The cases that are known to hold, from mount-tests/conformance: all but those that need conditions.
    #[test]
    fn the_conformance_suite_passes() {
        let suite = include_str!("../../../../mount-tests/conformance/openfga.json");
        let report = report(suite, Format::Json);
        assert!(report.is_clean(), "{:#?}", report.failures);
        assert!(
            report
                .skipped
                .iter()
                .all(|skip| skip.feature == "condition")
        );
        let Tally {
            passed, skipped, ..
        } = report.cases;
        assert_eq!((passed + skipped, passed > 120), (160, true));
    }

    const OWN: &str = "
- id: lent-for-an-hour
  requires: [expiry]
  steps:
    - op: schema
      types:
        user: {}
        file: {relations: {reader: {rewrite: {this: true}, types: [{type: user}]}}}
    - op: write
      tuples: [{object: file:1, relation: reader, subject: user:a, expires_at: 2026-01-01T01:00:00Z}]
    - {op: check, object: file:1, relation: reader, subject: user:a, now: 2026-01-01T00:59:59Z, expect: true}
    - {op: check, object: file:1, relation: reader, subject: user:a, now: 2026-01-01T01:00:00Z, expect: false}
    - {op: write, tuples: [{object: file:1, relation: reader, subject: 'user:*'}], expect: error}
    - {op: delete, tuples: [{object: file:1, relation: reader, subject: user:a}]}
    - {op: list_objects, subject: user:a, relation: reader, type: file, expect: []}
";

    #[test]
    fn a_policy_test_can_be_yaml_and_set_its_clock() {
        let report = report(OWN, Format::Yaml);
        assert!(report.is_clean(), "{:?}", report.failures);
        assert_eq!((report.cases.passed, report.assertions), (1, 4));
        assert_eq!(report.features["expiry"].passed, 1);
    }

    #[test]
    fn a_case_that_fails_says_at_which_step_and_what_was_answered() {
        let wrong = OWN.replace("00:59:59Z, expect: true", "00:59:59Z, expect: unknown");
        let failures = report(&wrong, Format::Yaml).failures;
        assert_eq!(failures[0].step, 3);
        let told = "check user:a reader of file:1: expected unknown, got yes";
        assert_eq!(failures[0].message, told);
    }

    #[test]
    fn a_key_that_nothing_reads_is_a_mistake() {
        for wrong in [
            OWN.replace("now:", "time:"),
            OWN.replace(
                "relation: reader, subject: user:a}]}",
                "relation: reader, subject: user:a}], depth: 3}",
            ),
            OWN.replace("op: delete", "op: remove"),
        ] {
            assert_eq!(report(&wrong, Format::Yaml).cases.failed, 1, "{wrong}");
        }
    }

    #[test]
    fn a_write_with_a_condition_fails_its_case() {
        let wrong = OWN.replace("expires_at: 2026-01-01T01:00:00Z", "condition: {name: x}");
        let report = report(&wrong, Format::Yaml);
        assert!(
            report.failures[0]
                .message
                .contains("conditions are not supported")
        );
    }
}

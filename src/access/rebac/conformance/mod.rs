//! Policy tests: files of cases that say what a configuration and its tuples must answer.
//!
//! The form is `rebac-conformance/1`, which mount-tests/conformance/README.md describes.

mod form;
mod run;
mod report;

pub use report::{Failure, Report, Skip, Tally};

//! Relationships to objects of types that tenants define themselves: defined, given, taken back, asked about.
//!
//! Files are judged elsewhere (`policy`, `access::decide`); what is here never decides about the tree. The tuples of both lie
//! in one table and have one log.

mod names;
mod graph;
mod types;
mod give;
mod charge;
mod ask;

pub use ask::{Inquiry, Reasons};
pub(super) use graph::Relations;
pub use types::Defined;

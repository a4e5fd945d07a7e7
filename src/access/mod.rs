//! Who may do what. [`decide`] is the only judge; nothing else in Nexus answers that question.
//!
//! Today's layers are namespaces and UNIX modes; ACLs and the relationship graph join behind the same call.

pub mod namespace;
mod unix;
pub mod decide;
pub mod rebac;

pub use decide::{Right, decide};

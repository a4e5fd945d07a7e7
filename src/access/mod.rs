//! Who may do what. [`decide`] is the only judge; nothing else in Nexus answers that question.
//!
//! Three layers, one answer: UNIX modes with lists, the relationship graph, and a deny that beats both.

pub mod rights;
pub mod acl;
pub mod posix_acl;
pub mod domain;
pub mod relation;
pub mod namespace;
mod unix;
pub mod chain;
pub mod ground;
pub mod gain;
pub mod decide;
pub mod rebac;

pub use chain::{Chain, Reach};
pub use decide::{Layer, Standing, decide};
pub use ground::Ground;
pub use rights::{Right, Rights};
pub use unix::Bits;

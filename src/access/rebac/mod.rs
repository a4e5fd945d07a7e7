//! The relationship graph: a configuration, tuples, and one evaluator that answers who has what on what.
//!
//! Nothing here does I/O or keeps an answer. A question's part of the graph is explored nearest first ([`graph`]), then
//! solved as one system of equations ([`solve`]); so cycles and diamonds cost no more than their size, and a limit makes
//! an answer *unknown*, which is refused, also where it stands under an exclusion.

mod name;
mod tuple;
mod schema;
mod validate;
mod standard;
mod own;
mod names;
mod store;
mod facts;
mod answer;
mod graph;
mod solve;
mod check;
mod explain;
mod subjects;
mod objects;
mod document;
pub mod conformance;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod props;

pub use answer::{
    Answer, CANDIDATES_MAX, Cut, HOPS_MAX, Limits, Listing, TUPLES_MAX, VERTICES_MAX, Verdict,
    WORK_MAX,
};
pub use check::Evaluator;
pub use document::Format;
pub use explain::{Explanation, Gap};
pub use name::{ObjectId, Relation, TypeName};
pub use own::Definitions;
pub use schema::{Allowed, RelationDef, Rewrite, Schema, Ttu, TypeDef};
pub use standard::{canonical, canonical_tuple, standard};
pub use store::Store;
pub use subjects::{Principals, SubjectFilter};
pub use tuple::{ObjectRef, Subject, Tuple};

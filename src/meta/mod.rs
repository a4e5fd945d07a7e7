//! Rows and what they mean: nodes, entries, extended attributes, tenants, and the operation log.
//!
//! Functions here turn rows into words and back; deciding what may change, and doing it, is `fs`'s.

pub mod sum;
mod page;
mod batch;
mod op_set;
pub mod node;
pub mod entry;
pub mod xattr;
pub mod tenant;
pub mod numbers;
pub mod principal;
pub mod tuple;
pub mod object_type;
pub mod snapshot;
pub mod horizon;
pub mod log;
mod particulars;
pub mod log_query;
mod whole;
pub mod cache;
pub mod timeline;
pub mod life;
pub mod draft;
pub mod edit;
mod texts;
pub mod guards;
pub mod roster;
mod apply;
mod pending;
mod ahead;
pub mod store;
mod present;
mod past;

pub use edit::{Edit, Edits};
pub use entry::Entry;
pub use horizon::{Horizon, Horizons};
pub use log::{OpKind, Record};
pub use node::{FileKind, Node};
pub use object_type::ObjectType;
pub use op_set::OpSet;
pub use page::{Page, PastKey};
pub use particulars::{Particulars, Request};
pub use past::Last;
pub use principal::{Agent, Group, Key, Member, Principal, Subject, SubjectKind, User};
pub use roster::Roster;
pub use snapshot::Snapshot;
pub use store::Store;
pub use tenant::{Namespace, Tenant};
pub use xattr::Xattr;

//! The engine: what a filesystem means, one file per family of POSIX calls.
//!
//! Nodes inside, paths at the edge: every call takes numbers and names, and [`Engine::resolve`] is the only
//! walker. Everything that can be refused takes the [`Caller`](crate::core::Caller) first and asks
//! [`access::decide`](crate::access::decide()). Every change goes through [`commit`], which writes effect and log record
//! in one transaction.

pub mod engine;
pub mod commit;
mod waits;
pub mod events;
mod looks;
pub mod view;
pub mod feed;
mod process;
mod transient;
mod revision;
mod home;
mod namespace;
mod principals;
mod policy;
mod tuples;
mod relations;
mod reach;
mod ground;
mod visible;
mod gone;
mod grant;
mod acl;
mod alone;
mod holders;
mod explain;
mod audit;
mod reader;
mod lookup;
mod marks;
mod attr;
mod carry;
mod create;
mod remove;
mod rename;
mod revise;
mod handle;
mod open_file;
mod kept;
mod read;
mod write;
mod draft;
mod range;
mod dir;
mod xattr;
pub(crate) mod privileges;
mod memory;
mod former;
mod past;
mod horizon;
mod forget;
mod buried;
mod sweep;
mod reserve;
mod snapshot;
mod trash;
mod seed;
mod dangling;
pub mod check;
mod receipt;
mod lineage;
mod traces;
mod ledger;
mod tenancy;
pub mod verify;
#[cfg(test)]
pub(crate) mod tests;

pub use acl::{AclOf, entry_words};
pub use alone::Alone;
pub use attr::{SetAttr, SetTime, StatFs};
pub use dir::DirEntry;
pub use engine::Engine;
pub use events::{Event, Notice, Stream, Wake};
pub use explain::{Explanation, Obstacle};
pub use forget::{Forgetting, Keep, Thinned};
pub use grant::To;
pub use handle::{Access, OpenFlags};
pub use looks::Looks;
pub use lookup::Found;
pub use past::Moment;
pub use principals::{Estate, Holder};
pub use range::Allocate;
pub use reader::Reader;
pub use receipt::Receipt;
pub use relations::{Defined, Inquiry, Reasons};
pub use rename::RenameMode;
pub use revise::{Naming, Revision, Title};
pub use sweep::Unreferenced;
pub use view::View;
pub use xattr::SetMode;

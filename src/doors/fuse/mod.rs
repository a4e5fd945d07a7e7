//! The mount: FUSE requests in, one call of the engine, a reply out.
//!
//! A door decides nothing. It knows who asks ([`caller`](Identity)), how numbers look to the kernel, and which errno a kind
//! of error is; everything else is the engine's. What the kernel keeps is exact: the engine tells what others changed.

mod errno;
mod numbers;
mod acl;
mod answer;
mod single;
mod caller;
mod company;
mod open;
mod door;
mod past;
mod names;
mod nodes;
mod files;
mod locks;
mod dir;
mod session;
mod reply;
mod filesystem;
mod uring;
mod notify;
mod readahead;
mod options;
mod transport;
mod health;
mod mountinfo;
mod abort;
mod mount;

pub use abort::abort;
pub use caller::Identity;
pub use health::{Health, health};
pub use mount::{Mounted, clear_stale, discard, mount};
pub use mountinfo::{Point, points};
pub use options::MountOptions;

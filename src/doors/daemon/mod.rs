//! The daemon: one process a data directory, which holds the store open, its mounts, and the control socket.

mod burial;
mod claim;
mod keep;
mod lending;
mod mounting;
mod remembered;
mod request;
mod runtime;

pub use burial::{bury, lingers};
pub use keep::housekeep;
pub use lending::{LendRequest, Lent};
pub use mounting::{Daemon, Unmounted};
pub use remembered::forget;
pub use request::{
    Bound, IdentityKind, MountInfo, MountRequest, Mounts, Pending, Standing, Status,
};

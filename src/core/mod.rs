//! The ground floor: our own words. No I/O happens here.

pub mod error;
pub mod clock;
pub mod ids;
pub mod path;
pub mod text;
pub mod caller;
pub mod config;
pub mod thread;
// Tests count allocations instead.
#[cfg(not(test))]
mod heap;

pub use caller::Caller;
pub use clock::{Clock, Latest, Time};
pub use config::Config;
pub use error::{Error, Kind, Result};
pub use ids::{HandleId, Hash, Ino, KeyId, MountId, Op, PrincipalId, TenantId};
pub use path::{FsPath, Name};
pub use text::Text;

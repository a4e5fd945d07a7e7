//! What a store tells about itself: its log, its figures, who is asking. Read under `/.nexus` and by every door.

pub mod log;
mod events;
pub mod changes;
pub mod summary;
pub mod stats;
mod view;

pub use changes::{ChangeLine, Changes};
pub use log::{Filter, LogLine, LogPage};
pub use stats::{Stats, Whoami};
pub use summary::Summary;
pub use view::Facts;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

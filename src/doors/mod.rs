//! Ways in. A door does three things: arguments in, one call of the engine, reply out.

pub mod fuse;
pub mod daemon;
pub mod control;
pub mod serve;

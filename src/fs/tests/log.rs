//! The log: who reads it, what proves it, what damage to it is found.

mod flips;
mod missing;
mod reader;
mod receipt;

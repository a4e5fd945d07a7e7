//! The log: who reads it, what proves it, what damage to it is found.

mod dangling;
mod flips;
mod missing;
mod postgres;
mod reader;
mod town;
mod receipt;

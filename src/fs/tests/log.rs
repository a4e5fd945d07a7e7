//! The log: who reads it, what proves it, what damage to it is found.

mod columns;
mod dangling;
mod elsewhere;
mod flips;
mod missing;
mod postgres;
mod reader;
mod rows;
mod town;
mod receipt;

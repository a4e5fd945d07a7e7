//! Nexus: a filesystem for people and AI agents who work on the same files.
//!
//! The order of these lines is the order of the floors, from the ground up: a module uses what stands above
//! its line here and nothing below. `mount-tests/tidy.rs` holds that.

pub mod core;
pub mod db;
pub mod journal;
pub mod blob;
pub mod meta;
pub mod access;
pub mod fs;
pub mod history;
pub mod facts;
pub mod nexus;
pub mod api;
pub mod doors;
pub mod cli;

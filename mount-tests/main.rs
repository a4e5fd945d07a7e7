//! Real mounts, real binaries, real tools: everything a user meets, as a user meets it.
//!
//! Random tests print their seed; `NEXUS_SEED=n` repeats one. The environment makes long runs: see each file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, failing loudly is the point"
)]

mod dice;
mod disk;
mod drive;
mod hammer;
mod historian;
mod person;
mod served;
mod shell;
mod world;

mod posix;
mod tools;
mod again;
mod agents;
mod undo;
mod saves;
mod forget;
mod doors;
mod twice;
mod locks;
mod log;
mod people;
mod tenants;
mod sharing;
mod guests;
mod neighbours;
mod alone;
mod unmount;
mod revoke;
mod crash;
mod corpse;
mod model;
mod powercut;
mod budget;
mod crowd;
mod store;
mod verify;
mod input;
mod past;
mod grep;
mod hindsight;
mod commands;

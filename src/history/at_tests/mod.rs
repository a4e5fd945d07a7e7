//! The past on an engine: right, read-only, and nobody's who may not see it today.

mod replay;
mod long_log;
mod calls;
mod today;
mod alike;
mod moved;
mod versions;
mod compared;
mod snapshots;
mod forget;
mod forget_beside;
mod pages;

use super::At;
use crate::core::{Caller, Op, Result};
use crate::fs::tests::principals::boss;
use crate::fs::tests::{World, path};
use crate::fs::{Engine, View};
use std::sync::Arc;

fn world() -> World {
    World::looking(|engine: &Arc<Engine>| Box::new(At::of(engine)) as Box<dyn View>)
}

/// The newest operation.
fn head(w: &World) -> Op {
    w.engine().last_moment(&boss()).unwrap().op
}

/// A path as of an operation.
fn then(op: Op, at: &str) -> String {
    format!("/.at/op:{op}{at}")
}

/// The names in a directory.
fn names(w: &World, who: &Caller, at: &str) -> Result<Vec<String>> {
    let dir = w.engine().resolve(who, &path(at))?;
    let listed = w.engine().list(who, dir.ino)?;
    Ok(listed.iter().map(|e| e.name.to_string()).collect())
}

//! Redo: an undo is undone.

use super::Command;
use super::context::Context;
use super::undo::{Found, Undo, Undoing, record};
use crate::core::{Caller, Kind, Op, Result, Text, error::fail};
use crate::history::{self, Answer, OpSet};
use crate::meta::log_query::{Cursor, Query, page};
use crate::meta::{OpKind, Record};
use serde::{Deserialize, Serialize};

const PAGE: u32 = 100;
/// How many pages of undos are looked through for one's own newest.
const LOOKS: usize = 100;

/// Does again what an undo took back: that one, or the caller's newest that was not undone itself. It is an undo of the undo, with all
/// that this takes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redo {
    /// The operation that undid it.
    pub op: Option<u64>,
    /// What to do where something depends on what would be done again.
    pub answer: Answer,
    /// Only say what would be done.
    pub dry_run: bool,
}

impl Command for Redo {
    const NAME: &'static str = "redo";
    type Reply = Undoing;

    fn run(self, cx: &mut Context<'_>) -> Result<Undoing> {
        let undo = match self.op {
            Some(op) => named(cx, Op(op))?,
            None => newest(cx)?,
        };
        let done = Undo {
            ops: Some(undo.op.to_string()),
            answer: self.answer,
            dry_run: self.dry_run,
            ..Undo::default()
        };
        let newest = Some(Found {
            op: undo.op.0,
            kind: undo.kind.name().to_owned(),
            path: Text(undo.path),
        });
        Ok(Undoing {
            newest,
            ..done.run(cx)?
        })
    }
}

/// An undo by its number.
fn named(cx: &Context<'_>, op: Op) -> Result<Record> {
    match record(cx, Some(op))? {
        Some(record) if record.kind == OpKind::Undo => Ok(record),
        Some(record) => fail(
            Kind::Invalid,
            format!(
                "operation {op} ({}) is no undo: `nexus undo {op}` takes it back",
                record.kind.name()
            ),
        ),
        None => fail(Kind::NotFound, format!("no operation {op}")),
    }
}

/// The caller's newest undo of something else than undos, unless somebody has undone that.
fn newest(cx: &Context<'_>) -> Result<Record> {
    let query = Query {
        kinds: vec![OpKind::Undo],
        ..Query::default()
    };
    let (mut off, mut at) = (OpSet::default(), Cursor::NEWEST);
    for _ in 0..LOOKS {
        let found = page(
            &mut *cx.engine().store().read()?,
            cx.tenant()?,
            &query,
            at,
            PAGE,
        )?;
        let is_end = found.len() < PAGE as usize;
        for (undo, _) in found {
            at = at.moved(undo.op);
            if off.has(undo.op) {
                continue;
            }
            let ops = history::named_by(&undo)?;
            if is_by(cx.caller, &undo) && !has_undos(cx, &ops)? {
                return Ok(undo);
            }
            off.join(&ops);
        }
        if is_end {
            break;
        }
    }
    fail(
        Kind::NotFound,
        "nothing that you have undone is left to be done again: see `nexus log --kind undo`",
    )
}

fn is_by(caller: &Caller, undo: &Record) -> bool {
    undo.author.uid == caller.uid && undo.author.agent.as_deref() == caller.agent.as_deref()
}

/// Whether undos are among some operations: then to undo these was to do something again.
fn has_undos(cx: &Context<'_>, ops: &OpSet) -> Result<bool> {
    let undos = Query {
        kinds: vec![OpKind::Undo],
        first: ops.first(),
        last: ops.last(),
        ..Query::default()
    };
    let mut tx = cx.engine().store().read()?;
    let found = page(&mut *tx, cx.tenant()?, &undos, Cursor::NEWEST, PAGE)?;
    Ok(found.iter().any(|(undo, _)| ops.has(undo.op)))
}

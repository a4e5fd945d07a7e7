//! Who may do something to a path, and what below a directory somebody may: by the judge, with owners, modes and lists.

use super::Command;
use super::context::{Context, found_at};
use super::level::Level;
use super::why::Wish;
use crate::access::Right;
use crate::core::{Kind, PrincipalId, Result, Text};
use crate::meta::Subject;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many users and agents one answer looks at.
const JUDGED: usize = 1000;
/// How many files and directories one answer looks at.
pub(super) const LOOKED_AT: usize = 5000;

/// Tells which users and agents may do something to a path, whatever lets them: grants, lists, modes, ownership. A page of the
/// tenant's principals at a time. For the path's owners and administrators, who may everything and are not listed for that.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    pub op: Wish,
    pub path: Text,
    /// What the last page said is `next`.
    #[serde(default)]
    pub after: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Allowed {
    /// `user:bob`, `agent:coder`.
    pub subjects: Vec<String>,
    /// There are more to look at: ask again with this as `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

impl Command for Who {
    const NAME: &'static str = "who";
    type Reply = Allowed;

    fn run(self, cx: &mut Context<'_>) -> Result<Allowed> {
        let (path, node) = found_at(cx, &self.path)?;
        let page = (PrincipalId(self.after), JUDGED);
        let found = cx
            .engine()
            .who_may(cx.caller, node.ino, self.op.into(), page);
        let (found, next) = found.map_err(|e| e.context(path))?;
        Ok(Allowed {
            subjects: found.iter().map(Subject::to_string).collect(),
            next: next.map(|id| id.0),
        })
    }
}

/// What of a tree somebody may, in the order of its directories: a page of it.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub found: Vec<Text>,
    /// Where to go on; nothing at the end.
    pub next: Option<Vec<u64>>,
}

/// Looks at a directory, and at all below it that the caller sees, from a place on, `most` of it: what a subject may do something
/// to. Of others than himself a caller is told what is his.
pub(super) fn below(
    cx: &Context<'_>,
    top: &Text,
    (subject, right): (&Subject, Right),
    (from, most): (Vec<u64>, usize),
) -> Result<Page> {
    let (top, node) = found_at(cx, top)?;
    let mut page = Page::default();
    let mut from = VecDeque::from(from);
    if from.is_empty() {
        // Fails for who may not ask about the top.
        let why = cx.engine().explain(cx.caller, subject, node.ino, right);
        let why = why.map_err(|e| e.context(&top))?;
        page.found.extend(why.allowed.then(|| Text(top.to_bytes())));
    }
    let mut within = Vec::new();
    if node.is_dir() {
        within.extend(listed(Level::enter(cx, top, node.ino, &mut from))?);
    }
    let mut looked_at = 0;
    while let Some(level) = within.last_mut() {
        let Some(entry) = level.next(cx)? else {
            within.pop();
            continue;
        };
        let path = level.dir.join(entry.name);
        // The page before ended in it, or below it.
        let is_on_trail = entry.cookie == level.begin;
        if !is_on_trail {
            from.clear();
            looked_at += 1;
            match cx
                .engine()
                .explain(cx.caller, subject, entry.node.ino, right)
            {
                Ok(why) => page
                    .found
                    .extend(why.allowed.then(|| Text(path.to_bytes()))),
                Err(e) if matches!(e.kind(), Kind::NotPermitted | Kind::NotFound) => {}
                Err(e) => return Err(e),
            }
        }
        if looked_at >= most {
            page.next = Some(within.iter().map(|level| level.at).collect());
            break;
        }
        if entry.node.is_dir() {
            within.extend(listed(Level::enter(cx, path, entry.node.ino, &mut from))?);
        }
    }
    Ok(page)
}

/// Nothing for a directory that the caller may not list, or that is gone.
fn listed(level: Result<Option<Level>>) -> Result<Option<Level>> {
    match level {
        Err(e) if matches!(e.kind(), Kind::Denied | Kind::NotFound) => Ok(None),
        level => level,
    }
}

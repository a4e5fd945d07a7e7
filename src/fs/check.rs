//! fsck: whether the rows of the present make a tree, and are what the log says they are.

use super::dangling;
use super::engine::Engine;
use crate::core::{Ino, Result, TenantId};
use crate::db::Tx;
use crate::meta::node::Tense;
use crate::meta::{FileKind, Node, Page, entry, node, tenant, xattr};
use std::collections::HashMap;

/// How many rows one query of a check fetches.
pub(super) const PAGE: u32 = 2048;
/// How many problems a report lists; a broken store has enough with these.
const PROBLEMS_MAX: usize = 1000;

/// What a check looked at and what it found wrong.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Rows and blobs looked at.
    pub checked: u64,
    /// One sentence each; empty when all is well.
    pub problems: Vec<String>,
}

impl Report {
    pub(super) fn problem(&mut self, what: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(what.into());
        }
    }

    /// Takes the value of a step, or notes why it could not be taken.
    pub(super) fn note<T>(&mut self, step: Result<T>) -> Option<T> {
        step.map_err(|e| self.problem(e.chain())).ok()
    }
}

/// What has to be known of every node to judge the tree.
struct Seen {
    tenant: TenantId,
    kind: FileKind,
    nlink: u32,
    parent: Ino,
    names: u32,
    subdirs: u32,
}

/// The rows of the present, reduced.
#[derive(Default)]
pub(super) struct Present {
    nodes: HashMap<Ino, Seen>,
    states: HashMap<TenantId, i64>,
    /// Deleted tenants that are forgotten: what is left of them goes, a little at a time, and is no tree.
    forgotten: Vec<TenantId>,
}

impl Present {
    /// Whether a node is there, and a tenant's.
    pub(super) fn has(&self, tenant: TenantId, ino: Ino) -> bool {
        self.nodes
            .get(&ino)
            .is_some_and(|node| node.tenant == tenant)
    }

    fn add_state(&mut self, tenant: TenantId, sum: i64) {
        if self.forgotten.contains(&tenant) {
            return;
        }
        let state = self.states.entry(tenant).or_default();
        *state = state.wrapping_add(sum);
    }
}

impl Engine {
    /// Checks every tenant's tree; administrators only. Holds one read of the database, and stops nobody.
    pub fn fsck(&self, caller: &crate::core::Caller) -> Result<Report> {
        super::namespace::admin(caller)?;
        let mut report = Report::default();
        let mut tx = self.store.read()?;
        // One read, one state: what commits meanwhile is not seen.
        let tenants = tenant::tenants(&mut *tx)?;
        let mut present = Present {
            forgotten: tenant::forgotten(&mut *tx)?,
            ..Present::default()
        };
        // What of one table cannot be read keeps nobody from the next one, but ends a read.
        for scan in [scan_nodes, scan_entries, scan_xattrs] {
            let scanned = scan(&mut *tx, &mut present, &mut report);
            if report.note(scanned).is_none() {
                tx = self.store.read()?;
            }
        }
        let scanned = dangling::scan_relations(&mut *tx, &present, &tenants, &mut report);
        if report.note(scanned).is_none() {
            tx = self.store.read()?;
        }
        for t in &tenants {
            let Some(head) = report.note(tenant::head(&mut *tx, t.id)) else {
                continue;
            };
            let state = present.states.get(&t.id).copied().unwrap_or(0);
            super::principals::scan_principals(&mut *tx, t, &mut report);
            if state != head.state {
                report.problem(format!(
                    "tenant {}: the rows are not what operation {} left behind",
                    t.name, head.op
                ));
            }
        }
        for id in present.states.keys() {
            if !tenants.iter().any(|t| t.id == *id) {
                let message = format!(
                    "tenant {}, in table tenants, is missing, and nodes of it are there",
                    id.0
                );
                report.problem(message);
            }
        }
        judge(&present, &tenants, &mut report);
        Ok(report)
    }
}

/// Visits every row of a table with its key, a page at a time from behind `after`.
pub(super) fn each_row<K, T>(
    mut after: K,
    mut page: impl FnMut(&K) -> Result<Page<K, T>>,
    mut visit: impl FnMut(&K, Result<T>),
) -> Result<()> {
    loop {
        let rows = page(&after)?;
        if rows.is_empty() {
            return Ok(());
        }
        for (key, row) in rows {
            visit(&key, row);
            after = key;
        }
    }
}

fn scan_nodes(tx: &mut dyn Tx, present: &mut Present, report: &mut Report) -> Result<()> {
    let page = |after: &(u64, u64)| node::page(tx, Tense::Present, *after, PAGE);
    each_row((0, 0), page, |_, row| {
        report.checked += 1;
        if let Some(node) = report.note(row) {
            present.add_state(node.tenant, node.sum());
            present.nodes.insert(node.ino, seen(&node));
        }
    })
}

fn seen(node: &Node) -> Seen {
    let Node {
        tenant,
        kind,
        nlink,
        parent,
        ..
    } = *node;
    Seen {
        tenant,
        kind,
        nlink,
        parent,
        names: 0,
        subdirs: 0,
    }
}

fn scan_entries(tx: &mut dyn Tx, present: &mut Present, report: &mut Report) -> Result<()> {
    let page = |after: &(u64, Vec<u8>)| entry::page(tx, (after.0, &after.1), PAGE);
    each_row((0, Vec::new()), page, |_, row| {
        report.checked += 1;
        if let Some(entry) = report.note(row) {
            judge_entry(&entry, present, report);
        }
    })
}

fn judge_entry(entry: &entry::Entry, present: &mut Present, report: &mut Report) {
    let name = format!("entry {:?} of directory {}", entry.name, entry.parent);
    let Some(child) = present.nodes.get_mut(&entry.ino) else {
        return report.problem(format!(
            "{name} stands for node {}, which does not exist",
            entry.ino
        ));
    };
    if present.forgotten.contains(&child.tenant) {
        return;
    }
    child.names += 1;
    let (tenant, is_dir) = (child.tenant, child.kind == FileKind::Directory);
    let one_name = is_dir || child.nlink == 1;
    let unsaid = !is_dir && child.parent == Ino(0);
    if !unsaid && (!one_name || child.parent != entry.parent) {
        report.problem(format!(
            "{name}: node {} says that it is in directory {}",
            entry.ino, child.parent
        ));
    }
    match present.nodes.get_mut(&entry.parent) {
        Some(dir) if dir.kind == FileKind::Directory && dir.tenant == tenant => {
            dir.subdirs += u32::from(is_dir);
        }
        Some(_) => report.problem(format!("{name}: that is no directory of the same tenant")),
        None => report.problem(format!("{name}: that directory does not exist")),
    }
    present.add_state(tenant, entry.sum());
}

fn scan_xattrs(tx: &mut dyn Tx, present: &mut Present, report: &mut Report) -> Result<()> {
    let page = |after: &(u64, Vec<u8>)| xattr::page(tx, (after.0, &after.1), PAGE);
    each_row((0, Vec::new()), page, |_, row| {
        report.checked += 1;
        let Some(attribute) = report.note(row) else {
            return;
        };
        match present.nodes.get(&attribute.ino) {
            Some(node) => present.add_state(node.tenant, attribute.sum()),
            None => report.problem(format!(
                "an attribute belongs to node {}, which does not exist",
                attribute.ino
            )),
        }
    })
}

fn judge(present: &Present, tenants: &[crate::meta::Tenant], report: &mut Report) {
    let is_there = |node: &Seen| !present.forgotten.contains(&node.tenant);
    for (ino, node) in present.nodes.iter().filter(|(_, node)| is_there(node)) {
        let is_dir = node.kind == FileKind::Directory;
        let is_root = tenants.iter().any(|t| t.root == *ino);
        let (names, links) = match (is_dir, is_root) {
            (true, true) => (0, 2 + node.subdirs),
            (true, false) => (1, 2 + node.subdirs),
            (false, _) => (node.nlink, node.names),
        };
        if node.names != names || node.names == 0 && !is_root {
            report.problem(format!(
                "node {ino} has {} names instead of {names}",
                node.names
            ));
        }
        if node.nlink != links {
            report.problem(format!(
                "node {ino} says it has {} links, and has {links}",
                node.nlink
            ));
        }
        if is_dir && !reaches_root(present, *ino) {
            report.problem(format!("directory {ino} is not below any root"));
        }
    }
}

fn reaches_root(present: &Present, ino: Ino) -> bool {
    let mut at = ino;
    for _ in 0..=present.nodes.len() {
        match present.nodes.get(&at).map(|n| n.parent) {
            Some(Ino(0)) => return true,
            Some(up) => at = up,
            None => return false,
        }
    }
    false
}

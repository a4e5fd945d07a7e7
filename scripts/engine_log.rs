//! A long log for scripts/bench: records by the million on a small tree, through the store, whose hashes chain.

use nexus::core::{Caller, Ino, Name, Op, Result, TenantId, Time};
use nexus::fs::Engine;
use nexus::meta::log::Author;
use nexus::meta::tenant::Head;
use nexus::meta::{Edit, Edits, OpKind, Record};

/// Directories beside the large one, and files in each of them.
const DIRECTORIES: u64 = 1000;
const FILES: u64 = 10;
/// Files of the large directory, about which every third operation is.
const LARGE: u64 = 10_000;
/// Operations of one session: agents have some sessions each, users many.
const SESSION: u64 = 500;
/// One operation of so many is of a command that nothing else is of.
const ONCE: u64 = 10_000;
/// Records of one change: no engine makes so many at once, and none has to make as many in all.
const CHANGE: u64 = 500;

/// Makes a tree with `make`, and then `count` operations on it.
pub(crate) fn fill(
    engine: &Engine,
    who: &Caller,
    top: Ino,
    count: u64,
    make: impl Fn(Ino, &Name) -> Result<()>,
) -> Result<()> {
    let mut files = Vec::new();
    for dir in 0..=DIRECTORIES {
        let (name, many) = match dir {
            0 => ("large".to_owned(), LARGE),
            n => (format!("d{n}"), FILES),
        };
        let parent = engine.mkdir(who, top, &Name::new(name.as_bytes())?, 0o755)?;
        for n in 0..many {
            let file = Name::new(format!("f{n}.txt").as_bytes())?;
            make(parent.ino, &file)?;
            let ino = engine.lookup(who, parent.ino, &file)?.ino;
            files.push((ino, format!("/workspace/{name}/{file}").into_bytes()));
        }
    }
    let tenant = TenantId(1);
    let mut head = engine.store().head(tenant)?;
    let first = engine.clock().now();
    for n in (0..count).step_by(usize::try_from(CHANGE).unwrap_or(1)) {
        let mut edits = Edits::default();
        for n in n..count.min(n + CHANGE) {
            let large = usize::try_from(LARGE).unwrap_or(0);
            let dice = usize::try_from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33).unwrap_or(0);
            let (ino, path) = match n % 3 {
                0 => &files[dice % large],
                _ => &files[large + dice % (files.len() - large)],
            };
            let record = Record {
                tenant,
                op: Op(head.op.0 + 1),
                // A year of it, or so.
                time: Time(first.0 + i64::try_from(n).unwrap_or(0) * 3_000_000),
                kind: [
                    OpKind::Write,
                    OpKind::Chmod,
                    OpKind::Times,
                    OpKind::SetXattr,
                ][dice % 4],
                ino: *ino,
                path: path.clone(),
                path2: None,
                author: author(n),
                undo: format!(
                    "{{\"size\":{},\"dirs\":[[{ino},{}]]}}",
                    dice % 10_000,
                    first.0
                ),
                state: head.state,
            };
            let hash = record.chain(&head.hash);
            head = Head {
                op: record.op,
                hash,
                ..head
            };
            edits.push(Edit::Log(Box::new(record), hash));
        }
        edits.push(Edit::Head(tenant, head));
        engine.store().commit(edits)?;
    }
    Ok(())
}

fn author(n: u64) -> Author {
    let session = n / SESSION;
    let usual = ["sh", "vim", "rsync", "python3"][usize::try_from(session % 4).unwrap_or(0)];
    Author {
        user: Some(format!("user{}", session % 7)),
        agent: (!session.is_multiple_of(3)).then(|| format!("agent{}", session % 40)),
        session: (!session.is_multiple_of(3)).then(|| format!("s{session}")),
        uid: u32::try_from(2000 + session % 7).unwrap_or(2000),
        pid: u32::try_from(1000 + session % 30_000).unwrap_or(1000),
        comm: if n % ONCE == ONCE / 2 { "once" } else { usual }.to_owned(),
    }
}

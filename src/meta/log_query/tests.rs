//! Pages compared with a plain filter over the same records, on both databases; and that each way uses its index.

use super::reading::{Bounds, Index, Way};
use super::*;
use crate::core::{FsPath, Ino};
use crate::db::{Db, Postgres, Sqlite, server::Server};
use crate::db::{Param, Row};
use crate::meta::log::{self, Author};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::sync::atomic::{AtomicU32, Ordering};

const PATHS: [&str; 9] = [
    "/", "/a", "/a/b", "/a/b/c", "/a/bc", "/a.", "/a0", "/b", "/\u{ff}",
];
const KINDS: [OpKind; 4] = [OpKind::Create, OpKind::Rename, OpKind::Grant, OpKind::Undo];
const NAMES: [&str; 3] = ["ann", "bob", ""];

fn path() -> impl Strategy<Value = FsPath> {
    let parse = |path: &str| FsPath::parse(path.as_bytes()).unwrap();
    proptest::sample::select(&PATHS[..]).prop_map(parse)
}

fn name() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(proptest::sample::select(&NAMES[..]).prop_map(str::to_owned))
}

/// A record without its number, whose time is a step from the one before it.
fn plain() -> Record {
    Record {
        tenant: TenantId(0),
        op: Op(0),
        time: Time(1),
        kind: OpKind::Write,
        ino: Ino(17),
        path: b"/a/b".to_vec(),
        path2: None,
        author: Author {
            user: Some("ann".to_owned()),
            agent: Some("fixer".to_owned()),
            session: Some("s1".to_owned()),
            uid: 1,
            pid: 1,
            comm: "sh".to_owned(),
        },
        undo: "{}".to_owned(),
        state: 0,
    }
}

/// Now and then the clock goes back.
fn record() -> impl Strategy<Value = Record> {
    let who = (name(), name(), name());
    let what = (proptest::sample::select(&KINDS[..]), path());
    (who, what, proptest::option::of(path()), -3..20_i64).prop_map(
        |((user, agent, session), (kind, path), path2, step)| Record {
            time: Time(step),
            kind,
            path: path.to_bytes(),
            path2: path2.map(|path| path.to_bytes()),
            author: Author {
                comm: session.clone().unwrap_or_else(|| "sh".to_owned()),
                user,
                agent,
                session,
                ..plain().author
            },
            ..plain()
        },
    )
}

fn query() -> impl Strategy<Value = Query> {
    let op = || proptest::option::of((0..60_u64).prop_map(Op));
    let time = || proptest::option::weighted(0.3, (-5..500_i64).prop_map(Time));
    let kinds = proptest::collection::vec(proptest::sample::select(&KINDS[..]), 0..3);
    let names = (name(), name(), name(), name());
    (
        proptest::option::of(path()),
        names,
        kinds,
        (time(), time()),
        (op(), op()),
        proptest::bool::ANY,
    )
        .prop_map(
            |(
                path,
                (user, agent, session, command),
                kinds,
                (since, until),
                (first, last),
                reaching,
            )| Query {
                path,
                user,
                agent,
                session,
                command,
                kinds,
                since,
                until,
                first,
                last,
                reaching,
            },
        )
}

/// Where a time lies in a list of records, by the same halving as the database is asked with.
fn passed(records: &[Record], at: Time) -> u64 {
    let (mut low, mut high) = (0, records.len() + 1);
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        if records[middle - 1].time <= at {
            low = middle;
        } else {
            high = middle;
        }
    }
    low as u64
}

fn fits(all: &[Record], query: &Query, record: &Record) -> bool {
    let is = |wanted: &Option<String>, found: Option<&str>| {
        wanted.is_none() || wanted.as_deref() == found
    };
    let under = |path: &[u8]| {
        let dir = query.path.as_ref().map(FsPath::to_bytes);
        dir.is_none_or(|dir| {
            dir == b"/" || path == dir || path.starts_with(&[&dir[..], b"/"].concat())
        })
    };
    // Of what changes many nodes it may be one of those below its path.
    let reaches = || {
        let dir = [record.path.strip_suffix(b"/").unwrap_or(&record.path), b"/"].concat();
        let path = query.path.as_ref().map(FsPath::to_bytes);
        query.reaching && record.kind == OpKind::Undo && path.is_some_and(|p| p.starts_with(&dir))
    };
    let author = &record.author;
    (under(&record.path) || reaches() || record.path2.as_deref().is_some_and(under))
        && is(&query.user, author.user.as_deref())
        && is(&query.agent, author.agent.as_deref())
        && is(&query.session, author.session.as_deref())
        && is(&query.command, Some(&author.comm))
        && (query.kinds.is_empty() || query.kinds.contains(&record.kind))
        && query.first.is_none_or(|first| record.op >= first)
        && query.last.is_none_or(|last| record.op <= last)
        && (query.since).is_none_or(|t| record.op.0 > passed(all, Time(t.0 - 1)))
        && (query.until).is_none_or(|t| record.op.0 <= passed(all, t))
}

/// Numbers the records of a log and writes them down.
fn write(db: &dyn Db, mut records: Vec<Record>) -> Vec<Record> {
    static TENANTS: AtomicU32 = AtomicU32::new(100);
    let tenant = TenantId(TENANTS.fetch_add(1, Ordering::Relaxed));
    let mut tx = db.begin().unwrap();
    let mut time = 0;
    for (n, record) in records.iter_mut().enumerate() {
        (record.tenant, record.op) = (tenant, Op(n as u64 + 1));
        time += record.time.0;
        record.time = Time(time);
        log::append(&mut *tx, record, &Hash([7; 32])).unwrap();
    }
    tx.commit().unwrap();
    records
}

/// Reads everything that fits, a page at a time.
fn pages(db: &dyn Db, tenant: TenantId, query: &Query, from: Cursor, limit: u32) -> Vec<Record> {
    let mut tx = db.read().unwrap();
    let (mut all, mut at) = (Vec::new(), from);
    loop {
        let found = page(&mut *tx, tenant, query, at, limit).unwrap();
        let is_last = found.len() < limit as usize;
        all.extend(found.into_iter().map(|(record, _)| record));
        let Some(record) = all.last().filter(|_| !is_last) else {
            return all;
        };
        at = match from {
            Cursor::After(_) => Cursor::After(record.op),
            Cursor::Before(_) => Cursor::Before(record.op),
        };
    }
}

/// The same by looks that end soon, whatever they find.
fn looks(db: &dyn Db, tenant: TenantId, query: &Query, from: Cursor, limit: u32) -> Vec<Record> {
    let mut tx = db.read().unwrap();
    let (mut all, mut at) = (Vec::new(), from);
    let bounds = Bounds {
        fetched: 3,
        read: 4,
    };
    while let Some(span) = span(&mut *tx, tenant, query, at).unwrap() {
        let reading = Reading {
            tenant,
            query,
            from: at,
            span,
            limit,
            bounds,
        };
        let found = reading.read(&mut *tx).unwrap();
        let is_full = found.records.len() == limit as usize;
        assert!(found.upto.is_none() || !is_full);
        all.extend(found.records.into_iter().map(|(record, _)| record));
        let last = all.last().map(|record: &Record| record.op);
        match found.upto.or(last.filter(|_| is_full)) {
            Some(op) => at = at.moved(op),
            None => break,
        }
    }
    all
}

fn pages_have_what_fits(db: &dyn Db, cases: u32) {
    let mut runner = TestRunner::new(Config::with_cases(cases));
    let records = proptest::collection::vec(record(), 0..50);
    let queries = proptest::collection::vec(query(), 8);
    let all = (records, queries, 1..20_u32);
    let outcome = runner.run(&all, |(records, queries, limit)| {
        let records = write(db, records);
        let Some(tenant) = records.first().map(|r| r.tenant) else {
            return Ok(());
        };
        for query in &queries {
            for record in &records {
                let wanted = fits(&records, query, record);
                prop_assert!(
                    query.fits(record).is_none_or(|found| found == wanted),
                    "{:?}",
                    query
                );
            }
            let fitting = records.iter().filter(|r| fits(&records, query, r));
            let mut wanted: Vec<_> = fitting.cloned().collect();
            let found = pages(db, tenant, query, Cursor::OLDEST, limit);
            prop_assert_eq!(&found, &wanted, "oldest first: {:?}", query);
            let found = looks(db, tenant, query, Cursor::OLDEST, limit);
            prop_assert_eq!(&found, &wanted, "look by look: {:?}", query);
            wanted.reverse();
            let found = pages(db, tenant, query, Cursor::NEWEST, limit);
            prop_assert_eq!(&found, &wanted, "newest first: {:?}", query);
            let found = looks(db, tenant, query, Cursor::NEWEST, limit);
            prop_assert_eq!(&found, &wanted, "backwards, look by look: {:?}", query);
        }
        Ok(())
    });
    outcome.unwrap();
}

fn sqlite() -> (tempfile::TempDir, Sqlite) {
    let dir = tempfile::tempdir().unwrap();
    let db = Sqlite::open(&dir.path().join("nexus.db")).unwrap();
    db.migrate().unwrap();
    (dir, db)
}

#[test]
fn pages_have_every_record_that_fits_once_and_in_order() {
    let (_dir, db) = sqlite();
    pages_have_what_fits(&db, 300);
}

#[test]
fn pages_are_the_same_on_postgresql() {
    let server = Server::start();
    let db = Postgres::connect(&server.database("log")).unwrap();
    db.migrate().unwrap();
    pages_have_what_fits(&db, 40);
}

/// Tells how the database runs every statement that a page makes.
struct Explain<'a>(&'a mut dyn Tx, Vec<String>);

impl Tx for Explain<'_> {
    fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        // One record at an end of the log is found without any other condition.
        if !sql.ends_with("ORDER BY op DESC LIMIT 1") {
            let rows = self.0.query(&format!("EXPLAIN QUERY PLAN {sql}"), params)?;
            self.1
                .extend(rows.iter().map(|row| row.text(3).unwrap().to_owned()));
        }
        self.0.query(sql, params)
    }

    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        self.0.execute(sql, params)
    }

    fn commit(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// How the database may read: along an index, or by number.
const STEPS: [&str; 6] = [
    "SEARCH log USING PRIMARY KEY (tenant=? AND op",
    "SEARCH log USING COVERING INDEX log_by_",
    "COMPOUND QUERY",
    "LIST SUBQUERY",
    "LEFT-MOST",
    "UNION ALL",
];

#[test]
fn no_way_sorts_or_reads_what_it_does_not_need() {
    let (_dir, db) = sqlite();
    let records = write(&db, vec![plain(); 2000]);
    let some = |value: &str| Some(value.to_owned());
    let path = FsPath::parse(b"/a").ok();
    let queries = [
        Query::default(),
        Query {
            session: some("s1"),
            path,
            ..Query::default()
        },
        Query {
            agent: some("fixer"),
            ..Query::default()
        },
        Query {
            user: some("ann"),
            kinds: KINDS.to_vec(),
            ..Query::default()
        },
        Query {
            path: FsPath::parse(b"/none").ok(),
            ..Query::default()
        },
        Query {
            path: FsPath::parse(b"/none/of/these").ok(),
            reaching: true,
            ..Query::default()
        },
        Query {
            path: FsPath::parse(b"/a/none").ok(),
            reaching: true,
            ..Query::default()
        },
        Query {
            kinds: vec![OpKind::Undo, OpKind::Write],
            ..Query::default()
        },
        Query {
            command: some("sh"),
            ..Query::default()
        },
        Query {
            command: some("none"),
            kinds: vec![OpKind::Mkdir],
            path: FsPath::parse(b"/a").ok(),
            ..Query::default()
        },
    ];
    for query in &queries {
        for from in [Cursor::NEWEST, Cursor::After(Op(1000))] {
            let mut tx = db.read().unwrap();
            let mut explain = Explain(&mut *tx, Vec::new());
            page(&mut explain, records[0].tenant, query, from, 10).unwrap();
            for step in explain.1 {
                let is_known = STEPS.iter().any(|start| step.starts_with(start));
                assert!(is_known, "{query:?} {from:?}: {step}");
            }
        }
    }
}

#[test]
fn the_narrowest_way_is_taken() {
    let (_dir, db) = sqlite();
    let mut records = vec![plain(); 2000];
    for (n, record) in records.iter_mut().enumerate() {
        if n % 500 == 0 {
            record.author.session = Some("rare".to_owned());
            record.path = b"/rare/x".to_vec();
        }
    }
    let records = write(&db, records);
    let some = |value: &str| Some(value.to_owned());
    let way = |path: &str, session: &str| {
        let query = Query {
            path: FsPath::parse(path.as_bytes()).ok(),
            session: some(session).filter(|name| !name.is_empty()),
            user: some("ann"),
            // As many as of the user, and met as soon: the first of these is taken.
            command: some("sh"),
            kinds: vec![OpKind::Write, OpKind::Mkdir],
            ..Query::default()
        };
        let reading = Reading {
            tenant: records[0].tenant,
            query: &query,
            from: Cursor::NEWEST,
            span: (Op(0), Op(2000)),
            limit: 10,
            bounds: BOUNDS,
        };
        match reading.way(&mut *db.read().unwrap()).unwrap() {
            Way::Listed(ops) => format!("{} listed", ops.len()),
            Way::Along(Index::Of(column, value)) => format!("{} {value}", column.name()),
            Way::Along(Index::Kinds(_)) => "kinds".to_owned(),
            Way::All => "all".to_owned(),
        }
    };
    assert_eq!(way("/rare", "s1"), "4 listed");
    assert_eq!(way("/a", "s1"), "session s1");
    assert_eq!(way("/rare", "rare"), "session rare");
    assert_eq!(way("/a", ""), "user_name ann");
    assert_eq!(way("/none", ""), "0 listed");
}

/// Of records that are many the way is taken whose records lie furthest apart, and it is left after some of them.
#[test]
fn a_look_for_what_never_fits_ends() {
    let (_dir, db) = sqlite();
    let mut records = vec![plain(); 6000];
    for (n, record) in records.iter_mut().enumerate() {
        // Those of one command or kind are in every page, and never the same.
        match n % 4 {
            0 => record.author.comm = "rsync".to_owned(),
            2 => record.kind = OpKind::Mkdir,
            _ => {}
        }
        // A directory in which nothing was done for long.
        if n < 2000 {
            record.path = b"/old".to_vec();
        }
    }
    let records = write(&db, records);
    let look = |query: &Query, from: Cursor| {
        let mut tx = db.read().unwrap();
        let mut explain = Explain(&mut *tx, Vec::new());
        let reading = Reading {
            tenant: records[0].tenant,
            query,
            from,
            span: span(&mut *explain.0, records[0].tenant, query, from)
                .unwrap()
                .unwrap(),
            limit: 10,
            bounds: Bounds {
                fetched: 256,
                read: 1000,
            },
        };
        let found = reading.read(&mut explain).unwrap();
        (found.records.len(), found.upto.map(|op| op.0), explain.1)
    };
    let both = Query {
        command: Some("rsync".to_owned()),
        kinds: vec![OpKind::Mkdir],
        user: Some("ann".to_owned()),
        ..Query::default()
    };
    let (found, upto, steps) = look(&both, Cursor::NEWEST);
    assert_eq!((found, upto), (0, Some(4977)));
    assert!(steps.last().unwrap().contains("PRIMARY KEY"), "{steps:?}");
    let (found, upto, _) = look(&both, Cursor::OLDEST);
    assert_eq!((found, upto), (0, Some(1023)));
    let old = Query {
        path: FsPath::parse(b"/old").ok(),
        ..Query::default()
    };
    let (found, upto, _) = look(&old, Cursor::NEWEST);
    assert_eq!((found, upto), (0, Some(5001)));
    let (found, upto, _) = look(&old, Cursor::OLDEST);
    assert_eq!((found, upto), (10, None));
}

//! A tenant that was deleted, asked for by who was in it, and by somebody of the next one of its name who kept what the other had:
//! numbers, cursors, moments.

use super::{Village, boss};
use crate::core::{Caller, FsPath, HandleId, Ino, Kind, TenantId};
use crate::fs::{Access, Found, Moment, OpenFlags};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Words that only the deleted tenant knew.
const SECRETS: [&str; 4] = ["zebra", "quagga", "okapi", "bongo"];
const UID: u32 = 21_001;
/// More lines than one page of a search holds.
const LINES: usize = 1001;

/// A tenant `acme`, and ann, who is in it.
fn acme(v: &Village) -> (Caller, Caller) {
    v.must(&boss(), "tenant-create", &json!({"name": "acme"}));
    let id = v.nexus.engine.tenant("acme").unwrap().id;
    let boss = Caller::engine(id);
    v.must(&boss, "user-create", &json!({"user": "ann", "uid": UID}));
    (member(v, id), boss)
}

fn member(v: &Village, id: TenantId) -> Caller {
    let user = v.nexus.engine.user(id, "ann").unwrap();
    v.nexus.engine.confirm(&Caller {
        user: Some(user.name.as_str().into()),
        user_id: Some(user.id),
        uid: user.uid,
        gid: user.gid,
        admin: false,
        ..Caller::engine(id)
    })
}

fn find(v: &Village, who: &Caller, at: &str) -> Found {
    let path = FsPath::parse(at.as_bytes()).unwrap();
    v.nexus.engine.resolve(who, &path).unwrap()
}

/// What somebody who was in the tenant has kept.
struct Kept {
    /// Pages that go on, and everything else that he might ask for.
    asks: Vec<(&'static str, Value)>,
    moment: Moment,
    /// Nodes of the tree, present and past, and of views.
    nodes: Vec<Ino>,
    /// His open events, which a mount that is gone might have left behind.
    events: HandleId,
}

/// Lets ann live a little.
fn live(v: &Village, (ann, boss): &(Caller, Caller)) -> Kept {
    let long = "zebra\n".repeat(LINES);
    v.write(ann, "/workspace/okapi", long.as_bytes()).unwrap();
    v.write(ann, "/workspace/bongo", b"quagga").unwrap();
    let of = |name: &str| json!({ "path": format!("/workspace/{name}") });
    v.must(ann, "remove", &of("bongo"));
    v.must(ann, "mkdir", &of("quagga"));
    let snapshot = json!({"name": "okapi-kept", "path": "/workspace"});
    v.must(ann, "snapshot_create", &snapshot);
    v.must(boss, "group-create", &json!({"group": "zebras"}));
    let search = json!({"pattern": "zebra", "path": "/workspace"});
    let page = v.must(ann, "grep", &search);
    let mut onwards = search;
    onwards["from"] = page["next"].clone();
    assert!(onwards["from"]["path"].is_string(), "{page}");
    let events = find(v, ann, "/.nexus/events");
    let engine = &v.nexus.engine;
    let read = OpenFlags::new(Access::Read);
    let moment = engine.last_moment(ann).unwrap();
    let at = format!("/workspace/.at/op:{}/okapi", moment.op);
    let nodes = ["/workspace/okapi", "/workspace", "/workspace/quagga", &at];
    let nodes = nodes.map(|at| find(v, ann, at).ino);
    let root = find(v, ann, "/").ino;
    Kept {
        asks: asks(&onwards, moment.op.0),
        moment,
        nodes: nodes.into_iter().chain([root]).collect(),
        events: engine.open(ann, events.ino, read).unwrap(),
    }
}

fn asks(search: &Value, op: u64) -> Vec<(&'static str, Value)> {
    let okapi = json!({"path": "/workspace/okapi"});
    vec![
        ("grep", search.clone()),
        ("log", json!({"before": op + 1})),
        ("log", json!({"after": 1})),
        ("log-summary", json!({})),
        ("log-head", json!({})),
        ("trash-list", json!({"all": true})),
        ("trash-restore", json!({"op": op - 3, "dry_run": true})),
        ("trash-restore", json!({"path": "/workspace/bongo"})),
        ("rebac-changes", json!({"after": 0})),
        ("rebac-list", json!({})),
        ("snapshot_list", json!({})),
        ("snapshot_show", json!({"name": "okapi-kept"})),
        ("undo", json!({"ops": op.to_string(), "dry_run": true})),
        (
            "restore",
            json!({"path": "/workspace", "at": "okapi-kept", "dry_run": true}),
        ),
        ("versions", okapi.clone()),
        ("blame", okapi.clone()),
        (
            "diff",
            json!({"path": "/workspace", "from": op.to_string()}),
        ),
        ("info", okapi),
        ("list", json!({"path": "/workspace"})),
        ("list", json!({"path": format!("/workspace/.at/op:{op}")})),
        ("user-list", json!({})),
        ("group-list", json!({})),
        ("group-show", json!({"group": "zebras"})),
        ("key-list", json!({})),
        ("stats", json!({})),
    ]
}

/// Everything that a caller gets to hear of what was kept.
fn hears(v: &Village, who: &Caller, kept: &Kept) -> Vec<String> {
    let told = |(command, body): &(&str, Value)| match v.ask(who, command, body) {
        // A path that he gave himself comes back in an error.
        Ok(reply) => format!("{command}: {reply}"),
        Err(_) => String::new(),
    };
    kept.asks.iter().map(told).collect()
}

#[track_caller]
fn hears_nothing(v: &Village, who: &Caller, kept: &Kept) {
    for said in hears(v, who, kept) {
        let heard = SECRETS.iter().find(|secret| said.contains(**secret));
        assert_eq!(heard, None, "{said}");
    }
    reaches_nothing(v, who, kept);
}

/// Numbers of nodes, moments and open files are no way in.
#[track_caller]
fn reaches_nothing(v: &Village, who: &Caller, kept: &Kept) {
    let e = &v.nexus.engine;
    let read = OpenFlags::new(Access::Read);
    let name = |n: &str| crate::core::Name::new(n.as_bytes()).unwrap();
    for ino in &kept.nodes {
        assert!(e.getattr(who, *ino).is_err(), "{ino}");
        assert!(e.open(who, *ino, read).is_err(), "{ino}");
        assert!(e.opendir(who, *ino).is_err(), "{ino}");
        assert!(e.lookup(who, *ino, &name("okapi")).is_err(), "{ino}");
        assert!(e.mkdir(who, *ino, &name("new"), 0o755).is_err(), "{ino}");
        assert!(e.getattr_at(who, kept.moment, *ino).is_err(), "{ino}");
        assert!(e.open_at(who, kept.moment, *ino).is_err(), "{ino}");
        assert!(e.list_at(who, kept.moment, *ino, 0).is_err(), "{ino}");
        assert!(
            e.lookup_at(who, kept.moment, *ino, &name("okapi")).is_err(),
            "{ino}"
        );
    }
}

/// semantics.md §2: "who has it then is another tenant and sees nothing of it"
#[test]
fn who_was_in_a_deleted_tenant_and_who_is_in_the_next_hear_nothing_of_it() {
    let v = Village::new();
    let (ann, boss_of_old) = acme(&v);
    let kept = live(&v, &(ann.clone(), boss_of_old.clone()));
    let known: Vec<_> = hears(&v, &ann, &kept);
    for at in [
        "grep",
        "log:",
        "trash-list",
        "snapshot_list",
        "blame",
        "list",
    ] {
        let said = |word: &&&str| {
            known
                .iter()
                .any(|k| k.starts_with(at) && k.contains(**word))
        };
        assert!(SECRETS.iter().any(|s| said(&s)), "{at}");
    }
    v.must(&boss(), "tenant-delete", &json!({"name": "acme"}));
    let nobody = v.nexus.engine.confirm(&ann);
    assert_eq!((nobody.tenant, nobody.user_id), (None, None));
    for who in [&ann, &nobody, &boss_of_old] {
        hears_nothing(&v, who, &kept);
    }
    let (heir, boss_of_new) = acme(&v);
    assert_eq!(heir.uid, ann.uid);
    // Else everything behind the cursors would be behind the end.
    for n in 0..10 {
        v.must(&heir, "mkdir", &json!({"path": format!("/workspace/{n}")}));
    }
    for who in [&ann, &nobody, &boss_of_old, &heir, &boss_of_new] {
        hears_nothing(&v, who, &kept);
    }
    let report = v.must(&boss(), "verify", &json!({}));
    assert_eq!(report["problems"], json!([]));
}

#[test]
fn who_follows_the_log_of_a_deleted_tenant_is_woken_and_told_nothing() {
    let v = Village::new();
    let (ann, boss_of_old) = acme(&v);
    let kept = live(&v, &(ann.clone(), boss_of_old));
    let e = &v.nexus.engine;
    // Some of a line was read, the rest of it waits.
    v.must(&ann, "mkdir", &json!({"path": "/workspace/zebra"}));
    let some = e.read_as(|| ann.clone(), kept.events, 0, 10).unwrap();
    assert_eq!(some.len(), 10);
    let rest = e.read_as(|| ann.clone(), kept.events, 10, 10_000).unwrap();
    assert!(rest.ends_with(b"\n"));
    let behind = (some.len() + rest.len()) as u64;
    let woken = Arc::new(AtomicBool::new(false));
    let wake = {
        let woken = woken.clone();
        Box::new(move || woken.store(true, Ordering::SeqCst))
    };
    assert!(!e.poll(|| ann.clone(), kept.events, Some(wake)).unwrap());
    let end = e.log_end(kept.moment.tenant).unwrap();
    let waits = || {
        let body = json!({"after": end.0, "wait_ms": 20_000});
        v.kind(&ann, "log", &body)
    };
    let heard = std::thread::scope(|scope| {
        let waiting = scope.spawn(waits);
        v.must(&boss(), "tenant-delete", &json!({"name": "acme"}));
        waiting.join().unwrap()
    });
    assert_eq!(heard, Some(Kind::NotFound));
    assert!(woken.load(Ordering::SeqCst));
    let (heir, _) = acme(&v);
    let nobody = e.confirm(&ann);
    for who in [&ann, &nobody] {
        assert!(e.poll(|| who.clone(), kept.events, None).is_err());
        // Neither what was given last, which who was interrupted asks for again, nor what comes behind.
        for at in [10, behind] {
            assert!(e.read_as(|| who.clone(), kept.events, at, 10_000).is_err());
        }
    }
    v.must(&heir, "mkdir", &json!({"path": "/workspace/new"}));
    assert!(
        e.read_as(|| ann.clone(), kept.events, behind, 10_000)
            .is_err()
    );
}

//! How far a request goes through a log of which most is not for it.

use super::{Village, boss};
use crate::api::context::Context;
use crate::api::undo::chosen::found_by;
use crate::api::undo::search::Search;
use crate::core::{Caller, Kind, Result};
use crate::history::OpSet;
use crate::meta::log_query::{Cursor, Query};
use serde_json::json;

/// More than the searches of these tests look at in vain.
const MANY: usize = 40;
const PAGE: u32 = 8;

/// A log with much that ben may not read, and behind it one operation of his own; that one.
fn secretive() -> (Village, u64) {
    let village = Village::new();
    let dir = "/workspace/secret";
    village.must(&boss(), "mkdir", &json!({ "path": dir }));
    village.must(&boss(), "chmod", &json!({"path": dir, "mode": "0700"}));
    for n in 0..MANY {
        let at = format!("/workspace/secret/{n}");
        village.write(&boss(), &at, b"x").unwrap();
    }
    let ben = village.person("ben");
    village.write(&ben, "/workspace/own", b"ben's").unwrap();
    let end = village.must(&boss(), "moment", &json!({"when": "now"}));
    let end = end["op"].as_u64().unwrap();
    (village, end)
}

fn search(village: &Village, who: &Caller, query: Query, most: usize) -> Result<OpSet> {
    let cx = Context {
        nexus: &village.nexus,
        caller: who,
        tell: &mut |_| Ok(()),
    };
    let mut search = Search::new(&cx, query, Cursor::OLDEST, PAGE).unwrap();
    search.most = most;
    found_by(&cx, search, |_| true)
}

#[test]
fn who_may_read_little_of_the_log_is_told_to_narrow_what_he_asks_for() {
    let (village, own) = secretive();
    let ben = village.person("ben");
    let all = Query::default();
    let found = search(&village, &ben, all.clone(), 10 * MANY).unwrap();
    assert!(found.iter().any(|op| op.0 == own));
    let refused = search(&village, &ben, all.clone(), MANY / 2).unwrap_err();
    assert_eq!(refused.kind(), Kind::TooBig);
    assert!(refused.message().contains("narrow it with --since"));
    // What is narrow costs what it finds.
    let user = Query {
        user: Some("ben".to_owned()),
        ..Query::default()
    };
    let found = search(&village, &ben, user, MANY / 2).unwrap();
    assert!(found.iter().any(|op| op.0 == own));
    // Whoever may do anything may look at everything.
    let found = search(&village, &boss(), all, 1).unwrap();
    assert!(found.len() > MANY);
}

#[test]
fn numbers_cost_what_they_name_however_far_apart_they_are() {
    let (village, own) = secretive();
    let ben = village.person("ben");
    village.write(&ben, "/workspace/early", b"1").unwrap();
    let ops = format!("{own},{}", own + 1);
    let reply = village.must(&ben, "undo", &json!({ "ops": ops, "dry_run": true }));
    assert_eq!(reply["ops"], format!("{own}-{}", own + 1));
    // With conditions, those of them that fit.
    let body = json!({ "ops": ops, "path": "/workspace/early", "dry_run": true });
    let reply = village.must(&ben, "undo", &body);
    assert_eq!(reply["ops"], (own + 1).to_string());
    let hidden = json!({ "ops": (own - 1).to_string() });
    assert_eq!(village.kind(&ben, "undo", &hidden), Some(Kind::NotFound));
}

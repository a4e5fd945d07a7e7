//! API keys: shown once, good until they expire, are revoked, or their holder goes.

use super::principals::{TENANT, boss, make, subject};
use super::*;
use crate::core::{KeyId, Time};
use std::time::Duration;

#[test]
fn a_key_proves_its_user_or_agent_until_it_is_revoked() {
    let mut w = World::new();
    let alice = make(&w, "alice");
    let e = w.engine();
    e.create_agent(&alice, "coder", None, true).unwrap();
    let (own, text) = e.create_key(&alice, &subject("alice"), None, None).unwrap();
    let of_agent = e.create_key(&alice, &subject("agent:coder"), None, None);
    let (_, agents) = of_agent.unwrap();
    assert!(text.starts_with("nxk_") && text.len() == 68 && text != agents);
    w.crash();
    let e = w.engine();
    let holder = e.holder(&text).unwrap();
    assert_eq!((holder.user.name.as_str(), holder.key), ("alice", own.id));
    assert_eq!((holder.tenant, holder.agent), (TENANT, None));
    let holder = e.holder(&agents).unwrap();
    assert_eq!(holder.user.id, alice.user_id.unwrap());
    assert!(holder.agent.unwrap().isolated);
    e.revoke_key(&alice, own.id).unwrap();
    refused(e.holder(&text), Kind::Denied);
    refused(e.revoke_key(&alice, own.id), Kind::NotFound);
    e.delete_agent(&alice, "coder").unwrap();
    refused(e.holder(&agents), Kind::Denied);
    w.crash();
    refused(w.engine().holder(&text), Kind::Denied);
    for wrong in ["", "nxk_", &text[..67], &text.to_uppercase()] {
        refused(w.engine().holder(wrong), Kind::Denied);
    }
    w.assert_sound();
}

#[test]
fn the_text_of_a_key_is_nowhere_on_the_disk() {
    let w = World::new();
    let alice = make(&w, "alice");
    let made = w.engine().create_key(&alice, &subject("alice"), None, None);
    let (key, text) = made.unwrap();
    w.engine().settle().unwrap();
    let contains = |needle: &[u8]| {
        let mut found = false;
        for file in files(w.dir.path()) {
            let bytes = std::fs::read(file).unwrap();
            found |= bytes.windows(needle.len()).any(|part| part == needle);
        }
        found
    };
    assert!(!contains(text.as_bytes()));
    assert!(contains(&key.hash.0), "its hash is: the search works");
}

fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_key_expires_to_the_second() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::new(dir.path());
    let db = Arc::new(Sqlite::open(&config.database()).unwrap());
    db.migrate().unwrap();
    let start = Time(1_800_000_000_000_000_000);
    let e = Engine::new(config, db, Clock::manual(start)).unwrap();
    e.create_user(&boss(), "alice", None, (None, None)).unwrap();
    let end = Time(start.0 + 10_000_000_000);
    let made = e.create_key(&boss(), &subject("alice"), None, Some(end));
    let (_, text) = made.unwrap();
    e.clock().advance(Duration::from_nanos(9_999_999_999));
    assert!(e.holder(&text).is_ok());
    e.clock().advance(Duration::from_nanos(1));
    refused(e.holder(&text), Kind::Denied);
    assert_eq!(e.keys(&boss()).unwrap().len(), 1, "it is listed still");
    let late = e.create_key(&boss(), &subject("alice"), None, Some(end));
    refused(late, Kind::Invalid);
}

#[test]
fn keys_are_their_users_own_business_and_no_agents() {
    let w = World::new();
    let (alice, bob) = (make(&w, "alice"), make(&w, "bob"));
    let e = w.engine();
    let (key, _) = e.create_key(&alice, &subject("alice"), None, None).unwrap();
    refused(
        e.create_key(&bob, &subject("alice"), None, None),
        Kind::NotPermitted,
    );
    refused(e.revoke_key(&bob, key.id), Kind::NotFound);
    refused(e.revoke_key(&bob, KeyId(9_999)), Kind::NotFound);
    assert_eq!(e.keys(&bob).unwrap().len(), 0);
    let as_agent = Caller {
        agent: Some("any".into()),
        ..alice.clone()
    };
    refused(
        e.create_key(&as_agent, &subject("alice"), None, None),
        Kind::NotPermitted,
    );
    refused(e.revoke_key(&as_agent, key.id), Kind::NotFound);
    assert_eq!(e.keys(&as_agent).unwrap().len(), 0);
    e.create_group(&boss(), "staff", None).unwrap();
    refused(
        e.create_key(&boss(), &subject("group:staff"), None, None),
        Kind::Invalid,
    );
    refused(
        e.create_key(&boss(), &subject("nobody"), None, None),
        Kind::NotFound,
    );
    assert_eq!(e.keys(&boss()).unwrap().len(), 1);
    e.revoke_key(&boss(), key.id).unwrap();
}

//! Bytes that somebody else has stored already: nothing that a user is told shows that they were known.

use super::{PEOPLE, Village, boss};
use crate::core::Kind;
use serde_json::{Value, json};

/// Bytes of a length, that no two numbers have in common.
fn bytes(number: u8, len: usize) -> Vec<u8> {
    let mut at = u32::from(number);
    let next = |_| {
        at = at.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        at.to_be_bytes()[0]
    };
    (0..len).map(next).collect()
}

/// What is another with every file, however it came.
fn without(mut reply: Value, keys: &[&str]) -> Value {
    let fields = reply.as_object_mut().unwrap();
    fields.retain(|key, _| !keys.contains(&key.as_str()));
    reply
}

/// permissions.md §4: "writing known bytes looks like writing new ones"
#[test]
fn writing_known_bytes_is_told_apart_from_writing_new_ones_by_nothing_that_is_said() {
    for len in [10, 100_000, 3 << 20] {
        let village = Village::new();
        let [ann, ben, _] = PEOPLE.map(|p| village.person(p));
        village
            .write(&boss(), "/workspace/first", &bytes(9, len))
            .unwrap();
        village.must(
            &boss(),
            "chown",
            &json!({"path": "/workspace/first", "owner": "ann"}),
        );
        for dir in ["known", "new"] {
            let at = format!("/workspace/{dir}");
            village.must(&boss(), "mkdir", &json!({ "path": at }));
            village.must(&boss(), "chown", &json!({"path": at, "owner": "ben"}));
        }
        village
            .write(&ann, "/workspace/first", &bytes(1, len))
            .unwrap();
        let told = |dir: &str, content: &[u8]| {
            let at = format!("/workspace/{dir}/f");
            let figures = |v: &Value| v.as_object().unwrap().clone();
            let before = figures(&village.must(&ben, "stats", &json!({})));
            let written = village.write(&ben, &at, content).unwrap();
            let after = figures(&village.must(&ben, "stats", &json!({})));
            let info = village.must(&ben, "info", &json!({ "path": at }));
            let moved: Vec<_> = after
                .iter()
                .filter(|(key, value)| before[*key] != **value)
                .map(|(key, value)| {
                    (
                        key.clone(),
                        value
                            .as_u64()
                            .unwrap()
                            .wrapping_sub(before[key].as_u64().unwrap()),
                    )
                })
                .collect();
            (
                written,
                without(info, &["path", "ino", "mtime", "ctime", "btime"]),
                moved,
            )
        };
        assert_eq!(
            told("known", &bytes(1, len)),
            told("new", &bytes(2, len)),
            "{len}"
        );
        for figures in ["df", "gc", "verify", "fsck"] {
            assert_eq!(
                village.kind(&ben, figures, &json!({})),
                Some(Kind::NotPermitted)
            );
        }
    }
}

/// permissions.md §4: "no read by hash without a readable name"
#[test]
fn the_bytes_of_a_file_that_may_not_be_read_come_by_no_command() {
    let village = Village::new();
    let ben = village.person("ben");
    village
        .write(&boss(), "/workspace/secret", b"secret")
        .unwrap();
    village.must(
        &boss(),
        "chmod",
        &json!({"path": "/workspace/secret", "mode": "0600"}),
    );
    village.must(&boss(), "mkdir", &json!({"path": "/workspace/bens"}));
    village.must(
        &boss(),
        "chown",
        &json!({"path": "/workspace/bens", "owner": "ben"}),
    );
    let secret = json!({"path": "/workspace/secret", "hash": true});
    assert_eq!(village.kind(&ben, "info", &secret), Some(Kind::Denied));
    let told = village.must(&boss(), "info", &secret);
    assert!(told["content_hash"].is_string());
    let copy = json!({"from": "/workspace/secret", "to": "/workspace/bens/mine"});
    assert_eq!(village.kind(&ben, "copy", &copy), Some(Kind::Denied));
    // He who may read it may copy it: it is the right that is missing.
    village.must(
        &boss(),
        "rebac-grant",
        &json!({"path": "/workspace/secret", "relation": "can_read", "subject": "user:ben"}),
    );
    village.must(&ben, "copy", &copy);
    assert_eq!(
        village.must(&ben, "info", &secret)["content_hash"],
        told["content_hash"]
    );
}

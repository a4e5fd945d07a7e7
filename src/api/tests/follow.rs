//! Following as a door does it: each answer begins behind the last one.

use super::{Village, boss};
use crate::api::Context;
use crate::api::follow::{Answer, follow};
use crate::core::Kind;
use serde_json::{Value, json};

impl Village {
    /// The first answers to who follows something.
    fn follows(&self, name: &str, body: &Value, answers: usize) -> Vec<Answer> {
        let mut following = follow(name, body.to_string().as_bytes()).unwrap();
        let boss = boss();
        let mut cx = Context {
            nexus: &self.nexus,
            caller: &boss,
            tell: &mut |_| Ok(()),
        };
        (0..answers).map(|_| following(&mut cx).unwrap()).collect()
    }
}

fn last(answer: &Answer) -> u64 {
    let answer: Value = serde_json::from_slice(&answer.json).unwrap();
    answer["last"].as_u64().unwrap()
}

#[test]
fn each_answer_begins_behind_the_last_one_and_nobody_follows_nothing() {
    let village = Village::new();
    // Asked for none at a time, and not to wait, it comes on all the same.
    for asked in [
        json!({"after": 0, "limit": 0}),
        json!({"after": 0, "limit": 1}),
    ] {
        let answers = village.follows("log", &asked, 4);
        let lasts: Vec<_> = answers.iter().map(last).collect();
        let first = lasts[1];
        assert_eq!(lasts[1..], [first, first + 1, first + 2]);
        assert!(answers.iter().all(|a| !a.is_last));
    }
    let ends = village.follows("log", &json!({"after": 0, "limit": 2, "last": 3}), 2);
    assert!(last(&ends[0]) == 2 && !ends[0].is_last && ends[1].is_last);
}

#[test]
fn only_what_goes_on_can_be_followed() {
    let refused = |name: &str, body: &[u8]| follow(name, body).err().map(|e| e.kind());
    assert_eq!(refused("log", b""), None);
    assert_eq!(refused("rebac-changes", b"{}"), None);
    assert_eq!(refused("user-create", b"{}"), Some(Kind::NotFound));
    assert_eq!(refused("log", b"{\"limits\": 1}"), Some(Kind::Invalid));
}

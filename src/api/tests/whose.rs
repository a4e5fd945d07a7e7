//! Why, in words: whose bits of a mode decide.

use super::{Village, boss};
use serde_json::json;

#[test]
fn why_says_whose_bits_of_the_mode_decide() {
    let v = Village::new();
    let ann = v.person("ann");
    v.write(&ann, "/workspace/f", b"x").unwrap();
    let at = "/workspace/f";
    v.must(&ann, "chmod", &json!({"path": at, "mode": "0644"}));
    v.must(&boss(), "chgrp", &json!({"path": at, "group": "team"}));
    let to_rob = json!({"subject": "agent:rob", "relation": "can_read", "path": at});
    v.must(&ann, "rebac-grant", &to_rob);
    let because = |who: &str, op: &str| {
        let asked = json!({"subject": who, "op": op, "path": at});
        let why = v.must(&boss(), "why", &asked);
        (
            why["allowed"].as_bool().unwrap(),
            why["because"].as_str().unwrap().to_owned(),
            why["layer"].as_str().unwrap().to_owned(),
        )
    };
    for (who, op, allowed, words) in [
        ("ann", "own", true, "of owner ann"),
        ("ann", "own", true, "for the owner"),
        ("ben", "read", true, "for the group"),
        ("cas", "read", true, "for others"),
        ("cas", "write", false, "for others"),
        ("agent:rob", "write", false, "nothing to an isolated agent"),
    ] {
        let (may, told, layer) = because(who, op);
        assert_eq!(layer, if allowed { "unix" } else { "none" });
        assert_eq!(may, allowed, "{who} {op}: {told}");
        assert!(told.contains(words), "{who} {op}: {told}");
    }
    let entry = "user:cas:rw-";
    v.must(&ann, "acl-set", &json!({"path": at, "entry": entry}));
    let (may, told, layer) = because("cas", "write");
    assert!(may && told.starts_with("the list with mode"), "{told}");
    assert_eq!(layer, "acl");
    // Of whom a list says nothing the mode decides, as it does of the owner.
    v.must(&boss(), "user-create", &json!({"user": "dan"}));
    for who in ["ann", "dan"] {
        assert_eq!(because(who, "read").2, "unix");
    }
}

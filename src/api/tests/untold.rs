//! What a comparison of directories does not tell of files that one may not read.

use super::{Village, boss};
use serde_json::{Value, json};

fn now(v: &Village) -> String {
    let now = v.must(&boss(), "moment", &json!({"when": "now"}));
    format!("op:{}", now["op"])
}

/// The hashes that somebody is told of what differs below a directory, by name.
fn hashes(v: &Village, who: &str, from: &str) -> Vec<(String, bool, bool)> {
    let body = json!({"path": "/workspace/d", "from": from});
    let told = v.must(&v.person(who), "diff", &body);
    let known = |state: &Value| state["hash"].is_string();
    let all = told["changes"].as_array().unwrap().iter();
    all.map(|c| {
        let path = c["path"].as_str().unwrap().to_owned();
        (path, known(&c["old"]), known(&c["new"]))
    })
    .collect()
}

/// A short secret is found by trying what has its hash.
#[test]
fn who_may_not_read_a_file_is_not_told_the_hash_of_what_it_has_or_had() {
    let v = Village::new();
    let ann = v.person("ann");
    let dir = "/workspace/d";
    v.must(&ann, "mkdir", &json!({ "path": dir }));
    v.must(&ann, "chmod", &json!({"path": dir, "mode": "0755"}));
    let write = |name: &str, bytes: &[u8], mode: &str| {
        let path = format!("/workspace/d/{name}");
        v.write(&ann, &path, bytes).unwrap();
        v.must(&ann, "chmod", &json!({"path": path, "mode": mode}));
    };
    write("gone", b"pin=1", "0600");
    write("open", b"pin=2", "0644");
    write("secret", b"pin=3", "0600");
    let from = now(&v);
    v.must(&ann, "remove", &json!({"path": "/workspace/d/gone"}));
    write("open", b"pin=4", "0644");
    write("secret", b"pin=5", "0600");
    let told = |name: &str, old, new| (name.to_owned(), old, new);
    let expected = |secret| {
        vec![
            told("gone", secret, false),
            told("open", true, true),
            told("secret", secret, secret),
        ]
    };
    assert_eq!(hashes(&v, "ann", &from), expected(true));
    assert_eq!(hashes(&v, "ben", &from), expected(false));
    // What is judged is today: who may read it now is told of before, too.
    v.must(
        &ann,
        "chmod",
        &json!({"path": "/workspace/d/secret", "mode": "0644"}),
    );
    assert_eq!(hashes(&v, "ben", &from)[2], told("secret", true, true));
}

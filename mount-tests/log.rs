//! The log from outside: what is found, added up and followed.

use crate::shell::sh;
use crate::world::World;
use serde_json::Value;
use std::fs;

fn ops(records: &[Value]) -> Vec<u64> {
    records.iter().map(|r| r["op"].as_u64().unwrap()).collect()
}

/// A world where a session of an agent's did something among other things.
fn busy() -> World {
    let world = World::new();
    sh(&world.workspace(), "mkdir a b; echo 1 > a/f; echo 2 > b/g");
    let script = format!(
        "cd {}; echo 3 > a/h; mv a/h b/h; rm b/g",
        world.workspace().display()
    );
    let agent = ["run", "--agent", "fixer", "--session", "s1", "--"];
    let run = [&agent[..], &["sh", "-c", &script]].concat();
    world.nexus(&run).must();
    fs::write(world.path("b/last"), "x").unwrap();
    world
}

#[test]
fn operations_are_found_by_whatever_is_known_of_them() {
    let world = busy();
    let all = world.log(&[]);
    let is = |key: &str, value: &str| {
        let (key, value) = (key.to_owned(), value.to_owned());
        move |r: &&Value| r[&key] == *value
    };
    let among = |fits: &dyn Fn(&&Value) -> bool| {
        let found: Vec<Value> = all.iter().filter(|r| fits(r)).cloned().collect();
        assert!(!found.is_empty() && found.len() < all.len());
        found
    };
    let below = |dir: &'static str| {
        move |r: &&Value| {
            let under = |path: &Value| {
                let path = path.as_str().unwrap_or_default();
                path == dir || path.starts_with(&format!("{dir}/"))
            };
            under(&r["path"]) || under(&r["path2"])
        }
    };
    let of_fixer = among(&is("agent", "fixer"));
    assert_eq!(world.log(&["--agent", "fixer"]), of_fixer);
    assert_eq!(world.log(&["--session", "s1"]), of_fixer);
    assert_eq!(world.log(&["--command", "mv"]), among(&is("command", "mv")));
    assert_eq!(world.log(&["--kind", "mkdir"]), among(&is("kind", "mkdir")));
    assert_eq!(world.log(&["/workspace/b"]), among(&below("/workspace/b")));
    let both = world.log(&["/workspace/a", "--session", "s1", "--kind", "rename,unlink"]);
    assert_eq!(both.len(), 1);
    let (first, last) = (ops(&of_fixer)[0], *ops(&of_fixer).last().unwrap());
    let range = format!("{first}..{last}");
    assert_eq!(world.log(&["--op", &range]), of_fixer);
    let since = format!("op:{first}");
    let times = [
        "--since",
        &since,
        "--until",
        of_fixer.last().unwrap()["time"].as_str().unwrap(),
    ];
    assert_eq!(world.log(&times), of_fixer);
    assert_eq!(world.log(&["--since", "1h-ago"]).len(), all.len());
    assert_eq!(world.log(&["--until", "1h-ago"]).len(), 0);
    let by_upstream = ["ops", "log", "--json", "--session", "s1"];
    assert_eq!(
        world.nexus(&by_upstream).must().lines().count(),
        of_fixer.len()
    );
    let wrong = world.nexus(&["log", "--kind", "wrote"]).must_fail();
    assert!(wrong.contains("wrote"), "{wrong}");
}

#[test]
fn a_session_is_added_up() {
    let world = busy();
    let said = world.nexus(&["log", "--session", "s1", "--summary", "--json"]);
    let sum: Value = serde_json::from_str(&said.must()).unwrap();
    let of_s1 = world.log(&["--session", "s1"]);
    assert_eq!(sum["operations"], of_s1.len());
    assert_eq!(sum["first"]["op"], of_s1[0]["op"]);
    assert_eq!(sum["last"]["time"], of_s1.last().unwrap()["time"]);
    assert_eq!(sum["authors"][0]["of"]["agent"], "fixer");
    let counted = |list: &str, of: &str| {
        let found = sum[list].as_array().unwrap().iter().find(|c| c["of"] == of);
        found.map(|c| c["operations"].as_u64().unwrap())
    };
    assert_eq!(counted("kinds", "rename"), Some(1));
    assert_eq!(counted("commands", "rm"), Some(1));
    assert_eq!(counted("directories", "/workspace/b"), Some(1));
    let text = world.nexus(&["log", "--session", "s1", "--summary"]).must();
    assert!(text.contains("+fixer in s1"), "{text}");
}

#[test]
fn a_receipt_is_kept_and_held_against_the_store_later() {
    let world = busy();
    let receipt = world.ctl(&["log", "head"]);
    let newest = world.log(&[]).pop().unwrap();
    assert_eq!(
        (&receipt["op"], &receipt["time"]),
        (&newest["op"], &newest["time"])
    );
    let kept = world.host("kept").join("receipts");
    fs::write(&kept, format!("{receipt}\n")).unwrap();
    let verify = ["verify", "--from", kept.to_str().unwrap()];
    fs::write(world.path("later"), "x").unwrap();
    world.kill();
    world.restart();
    assert_eq!(world.ctl(&verify)["clean"], true);
    let mut other = receipt.clone();
    other["op"] = (newest["op"].as_u64().unwrap() + 1000).into();
    fs::write(&kept, format!("{receipt}\n{other}\n")).unwrap();
    let said = world.ctl_said(&verify);
    assert!(!said.ok() && said.out.contains("were cut off"), "{said:?}");
    fs::write(&kept, "").unwrap();
    assert!(
        world
            .ctl_said(&verify)
            .must_fail()
            .contains("nexusctl log head")
    );
}

//! Paths: one walker, links on the way.

use super::*;

#[test]
fn a_walk_follows_links_and_stops_at_loops() {
    let w = World::new();
    let (e, ws) = (w.engine(), w.workspace());
    e.mkdir(&alice(), ws, &name("d"), 0o755).unwrap();
    w.write(&alice(), "/workspace/d/f", b"x").unwrap();
    e.symlink(&alice(), ws, &name("to-d"), b"./d").unwrap();
    e.symlink(&alice(), ws, &name("up"), b"d/../../workspace/to-d/f")
        .unwrap();
    e.symlink(&alice(), ws, &name("loop"), b"loop").unwrap();
    e.symlink(&alice(), ws, &name("out"), b"/etc/passwd")
        .unwrap();
    assert_eq!(w.read(&alice(), "/workspace/to-d/f").unwrap(), b"x");
    assert_eq!(w.read(&alice(), "/workspace/up").unwrap(), b"x");
    refused(w.read(&alice(), "/workspace/loop"), Kind::SymlinkLoop);
    refused(w.read(&alice(), "/workspace/out"), Kind::NotFound);
    assert!(e.resolve_link(&alice(), &path("/workspace/loop")).is_ok());
}

#[test]
fn the_root_shows_the_namespaces_a_caller_may_see() {
    let w = World::new();
    let root = w.engine().root(&alice()).unwrap();
    let names = |who: &Caller| -> Vec<String> {
        w.engine()
            .list(who, root)
            .unwrap()
            .iter()
            .map(|e| e.name.to_string())
            .collect()
    };
    assert_eq!(
        names(&alice()),
        ["archives", "external", "shared", "workspace"]
    );
    assert!(names(&Caller::engine(TenantId(1))).contains(&"system".to_string()));
}

#[test]
fn a_directory_nobody_may_search_hides_what_is_in_it() {
    let w = World::new();
    let ws = w.workspace();
    w.engine().mkdir(&alice(), ws, &name("d"), 0o700).unwrap();
    w.write(&alice(), "/workspace/d/f", b"x").unwrap();
    refused(w.read(&bob(), "/workspace/d/f"), Kind::Denied);
    refused(w.read(&bob(), "/workspace/d/absent"), Kind::Denied);
}

//! `nexus grep` beside grep(1).

use crate::past::head;
use crate::shell::sh;
use crate::world::World;

#[test]
fn grep_finds_what_grep_finds_now_and_then() {
    let world = World::new();
    sh(
        &world.workspace(),
        "mkdir -p d/e; seq 2000 > d/numbers; echo 'one 77' > d/e/one; printf 'a\\0 77\\n77\\0 77 77\\n7' > d/binary; ln -s e d/link",
    );
    let then = format!("op:{}", head(&world));
    sh(&world.workspace(), "rm -r d/e; seq 100 > d/numbers");
    let ours = |options: &[&str]| {
        let all = [&["grep", "77", "/workspace/d"], options].concat();
        let said = world.nexus(&all).must();
        let mut lines: Vec<_> = said.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let theirs = |dir: &str, options: &str| {
        let run = format!("cd {dir} && grep -r {options} 77 . | grep -v binary | sort");
        let said = sh(&world.workspace(), &run);
        let lines = said.lines().map(|l| l.replacen("./", "/workspace/d/", 1));
        lines.collect::<Vec<_>>()
    };
    for (options, at, dir) in [
        (&["--at", then.as_str()][..], true, format!("d/.at/{then}")),
        (&[][..], false, "d".to_owned()),
    ] {
        let mut found = ours(options);
        let binary = found.iter().position(|l| l.contains("binary")).unwrap();
        assert_eq!(
            found.remove(binary),
            "/workspace/d/binary: binary file matches"
        );
        let mut expected = theirs(&dir, "-n");
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(found.iter().any(|l| l.contains("/e/one")), at);
    }
    let counts = ours(&["-c"]);
    assert_eq!(counts, ["/workspace/d/binary:3", "/workspace/d/numbers:1"]);
    let theirs = sh(&world.workspace(), "grep -rc 77 d | grep -v :0 | sort");
    let theirs: Vec<_> = theirs.lines().map(|l| format!("/workspace/{l}")).collect();
    assert_eq!(counts, theirs);
    assert_eq!(
        ours(&["-l"]),
        ["/workspace/d/binary", "/workspace/d/numbers"]
    );
    let code = |args: &[&str]| world.nexus(args).status.code();
    assert_eq!(code(&["grep", "nowhere", "/workspace"]), Some(1));
    assert_eq!(code(&["grep", "(", "/workspace"]), Some(2));
    assert_eq!(code(&["grep", "77", "/workspace/none"]), Some(2));
}

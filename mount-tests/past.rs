//! `.at` with the tools that people use: the past reads as the present did, and cannot be written.

use crate::shell::{run, script, sh};
use crate::world::{World, all_read_only, needs_root};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// A small tree of everything that copying tools have to keep.
const ZOO: &str = r"
mkdir -p zoo/deep/er zoo/empty
seq 20000 > zoo/numbers; head -c 3000000 /dev/urandom > zoo/deep/random
truncate -s 10M zoo/sparse; echo tail >> zoo/sparse
ln -s ../numbers zoo/deep/link; ln -s nowhere zoo/dangling
touch -d '2001-02-03 04:05:06.789' zoo/deep/random; : > 'zoo/a name
of two lines'
chmod 640 zoo/numbers; chmod 1750 zoo/deep/er; mkfifo zoo/pipe
setfattr -n user.note -v kept zoo/deep/random
";

/// Prints what makes a tree what it is: types, modes, sizes, targets, contents, attributes, and times but of directories.
const PORTRAIT: &str = r"portrait() { (cd $1
    find . -type d -printf '%P|%y|%m\n' | LC_ALL=C sort
    find . ! -type d -printf '%P|%y|%m|%s|%T@|%l\n' | LC_ALL=C sort
    find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    getfattr -h -R -d . | LC_ALL=C sort); }
";

/// The newest operation.
pub(crate) fn head(world: &World) -> u64 {
    world.log(&[]).last().unwrap()["op"].as_u64().unwrap()
}

fn portrait(dir: &Path, of: &str) -> String {
    sh(dir, &format!("{PORTRAIT} portrait {of}"))
}

/// semantics.md §6: "The past can be read with plain tools at `.at/<when>/…`"
#[test]
fn the_past_looks_to_every_tool_as_the_present_did() {
    let world = World::new();
    let dir = world.workspace();
    sh(&dir, ZOO);
    let before = portrait(&dir, "zoo");
    let op = head(&world);
    sh(
        &dir,
        "echo more >> zoo/numbers; chmod 600 zoo/deep/random; mv zoo/deep zoo/elsewhere; rm zoo/sparse zoo/pipe
         setfattr -n user.note -v changed zoo/elsewhere/random; ln -sf other zoo/dangling",
    );
    assert_ne!(portrait(&dir, "zoo"), before);
    assert_eq!(portrait(&dir, &format!(".at/op:{op}/zoo")), before);
    sh(&dir, "rm -rf zoo");
    for at in [
        dir.join(format!(".at/op:{op}/zoo")),
        world.root().join(format!(".at/op:{op}/workspace/zoo")),
    ] {
        assert_eq!(portrait(&dir, at.to_str().unwrap()), before);
    }
    let host = world.host("copies");
    let text = format!(
        "cp -a .at/op:{op}/zoo {host}/zoo; tar -C .at/op:{op} -cf - zoo | tar -C {host} -xf - --transform s/^zoo/tar/
         diff -r --no-dereference .at/op:{op}/zoo {host}/zoo; diff -r --no-dereference {host}/zoo {host}/tar",
        host = host.display()
    );
    // A fifo is nothing to compare.
    let text = text.replace("diff -r", "diff -r -x pipe");
    assert_eq!(sh(&dir, &text), "");
    assert_eq!(portrait(&host, "zoo"), before);
    // Back where it was, by plain means.
    sh(&dir, &format!("cp -a .at/op:{op}/zoo ."));
    assert_eq!(portrait(&dir, "zoo"), before);
    world.is_sound();
}

#[test]
fn a_repository_in_the_past_has_its_log() {
    let world = World::new();
    let text = r"
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a
git init -q -b main repo; cd repo
for i in $(seq 30); do seq $i $((i + 500)) > f$i; done; git add -A; git commit -qm one
echo x >> f1; git commit -qam two; git gc -q
";
    let dir = world.workspace();
    sh(&dir, text);
    let op = head(&world);
    sh(&dir, "rm -rf repo");
    let said = sh(
        &dir,
        &format!(
            "export GIT_CONFIG_GLOBAL=/dev/null GIT_OPTIONAL_LOCKS=0; cd .at/op:{op}/repo
             git -c safe.directory='*' log --format=%s; git -c safe.directory='*' fsck --strict --no-progress
             git -c safe.directory='*' show HEAD:f1 | tail -n 1; find . | wc -l"
        ),
    );
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..3], ["two", "one", "x"]);
    assert!(lines[3].parse::<u32>().unwrap() > 50);
}

#[test]
fn an_old_version_of_a_large_file_is_read_in_part_and_whole() {
    let world = World::new();
    let dir = world.workspace();
    sh(
        &dir,
        "set +o pipefail; yes 'the first version of it' | head -c 52428800 > large",
    );
    let op = head(&world);
    let sum = sh(&dir, "sha256sum < large");
    sh(
        &dir,
        "printf CHANGED | dd of=large bs=1 seek=30000000 conv=notrunc status=none; truncate -s 40M large",
    );
    assert_ne!(sh(&dir, "sha256sum < large"), sum);
    assert_eq!(sh(&dir, &format!("sha256sum < .at/op:{op}/large")), sum);
    assert_eq!(sh(&dir, &format!("cat .at/op:{op}/large | sha256sum")), sum);
    let part = format!("set +o pipefail; tail -c +30000001 .at/op:{op}/large | head -c 7");
    assert_eq!(sh(&dir, &part).len(), 7);
    assert_ne!(sh(&dir, &part), "CHANGED");
    // Again, from the kernel's memory; and the file of today beside it.
    assert_eq!(sh(&dir, &format!("sha256sum < .at/op:{op}/large")), sum);
    assert_eq!(
        sh(&dir, "set +o pipefail; tail -c +30000001 large | head -c 7"),
        "CHANGED"
    );
    sh(&dir, "rm large");
    assert_eq!(sh(&dir, &format!("sha256sum < .at/op:{op}/large")), sum);
}

#[test]
fn times_and_days_are_moments_and_other_words_are_not() {
    let world = World::new();
    let dir = world.workspace();
    sh(&dir, "mkdir d; echo one > d/f");
    let done = jiff::Timestamp::now();
    std::thread::sleep(std::time::Duration::from_secs(1));
    sh(&dir, "echo two > d/f; echo new > d/g");
    assert_eq!(sh(&dir, "cat .at/0s-ago/d/f .at/now/d/f"), "two\ntwo\n");
    assert_eq!(sh(&dir, &format!("cat '.at/{done}/d/f'")), "one\n");
    assert_eq!(sh(&dir, &format!("ls 'd/.at/{done}'")), "f\n");
    for word in [
        "1w-ago",
        "yesterday",
        "2200-01-01",
        "op:999999",
        "op:x",
        "soon",
        ".at",
    ] {
        let said = run(&mut script(&dir, &format!("stat d/.at/{word}")));
        assert!(said.must_fail().contains("No such file"), "{word}");
    }
}

#[test]
fn the_past_is_read_only_to_every_call() {
    let world = World::new();
    fs::write(world.path("f"), "kept").unwrap();
    fs::create_dir(world.path("d")).unwrap();
    let at = world.path(format!(".at/op:{}", head(&world)));
    let (f, d, new) = (at.join("f"), at.join("d"), at.join("new"));
    let mode = fs::Permissions::from_mode(0o600);
    let refused = [
        fs::write(&new, "x"),
        fs::write(&f, "x"),
        fs::OpenOptions::new().append(true).open(&f).map(drop),
        fs::create_dir(&new),
        fs::create_dir(world.path(".at/x")),
        fs::remove_file(&f),
        fs::remove_dir(&d),
        fs::remove_dir(world.path(".at")),
        fs::rename(&f, &new),
        fs::rename(&f, world.path("new")),
        fs::rename(world.path("f"), &new),
        fs::hard_link(world.path("f"), &new),
        fs::hard_link(&f, world.path("new")),
        std::os::unix::fs::symlink("f", &new),
        fs::set_permissions(&f, mode),
        fs::File::open(&f).and_then(|file| file.set_modified(std::time::UNIX_EPOCH)),
    ];
    all_read_only(refused);
    assert_eq!(fs::read(&f).unwrap(), b"kept");
    let taken = fs::write(world.path(".at"), "x")
        .unwrap_err()
        .raw_os_error();
    assert!(
        matches!(taken, Some(libc::EISDIR | libc::EEXIST)),
        "{taken:?}"
    );
    world.is_sound();
}

#[test]
fn numbers_stay_and_what_is_hidden_is_listed_where_the_mount_says_so() {
    let world = World::new();
    sh(&world.workspace(), "mkdir -p a/b; echo x > a/b/f");
    let op = head(&world);
    let number = |at: &str| fs::metadata(world.path(at)).unwrap().ino();
    let then = format!(".at/op:{op}/a/b/f");
    let first = number(&then);
    sh(
        &world.workspace(),
        "echo y > a/b/f; echo 3 > /proc/sys/vm/drop_caches || true",
    );
    assert_eq!(number(&then), first);
    assert_ne!(number(&then), number("a/b/f"));
    for dir in [
        world.root(),
        &world.workspace(),
        &world.path("a"),
        &world.path(".at"),
    ] {
        let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name());
        assert!(names.into_iter().all(|n| n != ".at"), "{dir:?}");
    }
    let other = world.host("other");
    world
        .nexus(&["mount", other.to_str().unwrap(), "-o", "snapdir=visible"])
        .must();
    let listed = sh(
        &other,
        "ls -a; ls -a workspace; find workspace/a -name .at | wc -l; ls -A workspace/.at workspace/a/.at",
    );
    assert_eq!(
        listed.lines().filter(|l| *l == ".at").count(),
        2,
        "{listed}"
    );
    assert!(listed.lines().any(|l| l == "0"), "{listed}");
    let inside = sh(
        &other,
        &format!("find workspace/a/.at/op:{op} | LC_ALL=C sort"),
    );
    assert_eq!(inside.lines().count(), 3, "{inside}");
    // What deletes a directory name by name meets nothing that cannot be deleted.
    sh(
        &other,
        "mkdir -p workspace/gone/sub; echo x > workspace/gone/sub/f; rm -r workspace/gone; ! ls -d workspace/gone",
    );
    let other = world.host("third");
    let said = world.nexus(&["mount", other.to_str().unwrap(), "-o", "snapdir=maybe"]);
    assert!(said.must_fail().contains("snapdir"));
}

fn as_bert(text: &str) -> Command {
    let mut command = Command::new("setpriv");
    let who = ["--reuid", "21002", "--regid", "21002", "--clear-groups"];
    command.args(who).args(["bash", "-c", text]);
    command
}

/// semantics.md §6: "what was revoked is revoked in the past too"
#[test]
fn a_revoke_holds_for_the_past_at_the_next_call() {
    if !needs_root() {
        return;
    }
    let world = World::many_users();
    for (name, uid) in [("anna", "21001"), ("bert", "21002")] {
        world.ctl(&["user", "create", name, "--uid", uid]);
    }
    let dir = world.path("t");
    sh(
        &dir,
        "setpriv --reuid 21001 --regid 21001 --clear-groups bash -c 'umask 077; mkdir vault; echo secret > vault/f'",
    );
    let grant = |verb: &str| {
        let words = ["rebac", verb, "user", "bert", "file", "/workspace/t/vault"];
        world
            .nexus(&[&words[..], &["--relation", "can_read"]].concat())
            .must();
    };
    let op = head(&world);
    let bert = |text: &str| run(as_bert(text).current_dir(&dir));
    let reads =
        format!("cat .at/op:{op}/vault/f && ls vault/.at/op:{op} && cat vault/.at/op:{op}/f");
    for _ in 0..3 {
        bert(&reads).must_fail();
        grant("grant");
        assert_eq!(bert(&reads).must(), "secret\nf\nsecret\n");
        // Nor is anything found by who stands in a directory of the past already.
        let mut inside = as_bert(&format!(
            "cd .at/op:{op}/vault; cat f; read; cat f 2> /dev/null"
        ));
        inside.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut inside = inside.current_dir(&dir).spawn().unwrap();
        let mut said = BufReader::new(inside.stdout.take().unwrap()).lines();
        assert_eq!(said.next().unwrap().unwrap(), "secret");
        grant("revoke");
        drop(inside.stdin.take());
        assert!(said.next().is_none() && !inside.wait().unwrap().success());
        bert(&reads).must_fail();
    }
    sh(&dir, "rm -rf vault");
    bert(&reads).must_fail();
    let anna =
        format!("setpriv --reuid 21001 --regid 21001 --clear-groups cat .at/op:{op}/vault/f");
    assert_eq!(sh(&dir, &anna), "secret\n");
}

#[test]
fn commands_read_the_past_with_and_without_a_mount() {
    let (served, embedded) = (World::new(), World::unmounted(&[]));
    embedded.nexus(&["init"]).must();
    for world in [&served, &embedded] {
        let run = |arguments: &[&str]| world.nexus(arguments).must();
        run(&["mkdir", "-p", "/workspace/d/sub"]);
        run(&["write", "/workspace/d/f", "one"]);
        run(&["write", "/workspace/d/sub/g", "two"]);
        let op = format!("op:{}", head(world));
        let tree = run(&["tree", "/workspace"]);
        run(&["write", "/workspace/d/f", "changed"]);
        run(&["rm", "-r", "/workspace/d/sub"]);
        assert_eq!(run(&["cat", "/workspace/d/f", "--at", &op]), "one");
        assert_eq!(run(&["ls", "/workspace/d", "--at", &op]), "f\nsub\n");
        let then = run(&["tree", "/workspace", "--at", &op]);
        assert_eq!(
            then.lines().skip(1).collect::<Vec<_>>(),
            tree.lines().skip(1).collect::<Vec<_>>()
        );
        let told = run(&[
            "--json",
            "info",
            "/workspace/d/sub/g",
            "--hash",
            "--at",
            &op,
        ]);
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["size"], &told["version"]), (&3.into(), &1.into()));
        assert_eq!(told["content_hash"].as_str().unwrap().len(), 64);
        run(&["cp", "-r", "/workspace/d", "/workspace/back", "--at", &op]);
        assert_eq!(
            run(&["cat", "/workspace/back/f", "/workspace/back/sub/g"]),
            "onetwo"
        );
        let said = world.nexus(&["ls", "/workspace", "--at", "someday"]);
        assert_eq!(said.status.code(), Some(2));
        assert!(said.err.contains("3d-ago"), "{said:?}");
        let said = world.nexus(&["ls", "/workspace", "--at", "2200-01-01"]);
        assert!(said.err.contains("still to come"), "{said:?}");
        let said = world.nexus(&["ls", "/workspace", "--at", "1980-01-01"]);
        assert!(said.err.contains("the first operation is op:1"), "{said:?}");
    }
}

#[test]
fn commands_tell_versions_differences_and_whose_a_line_is() {
    let world = World::new();
    let (dir, run) = (world.workspace(), |arguments: &[&str]| {
        world.nexus(arguments).must()
    });
    sh(
        &dir,
        "mkdir docs; printf 'a\\nb\\nc\\n' > docs/text; head -c 300000 /dev/zero > docs/bytes",
    );
    let op = format!("op:{}", head(&world));
    // Saved as editors do: another file in its place.
    sh(
        &dir,
        "sed -i s/b/B/ docs/text; echo d >> docs/text; echo x >> docs/bytes; echo new > docs/new",
    );
    let said = world.command(&["write", "/workspace/docs/text", "--append", "e"]);
    let mut said = said;
    crate::shell::run(said.args(["--agent", "fixer", "--session", "s1"])).must();
    let table = run(&["versions", "/workspace/docs/text"]);
    // A shell's redirection closes the file once before it writes; so does sed, but under another name.
    assert_eq!(table.lines().count(), 6, "{table}");
    assert!(
        table.lines().last().unwrap().contains("+fixer (s1)"),
        "{table}"
    );
    assert_eq!(
        run(&["cat", "/workspace/docs/text", "--version", "2"]),
        "a\nb\nc\n"
    );
    assert_eq!(
        run(&["cat", "/workspace/docs/text", "--version", "3"]),
        "a\nB\nc\n"
    );
    world
        .nexus(&["cat", "/workspace/docs/text", "--version", "9"])
        .must_fail();
    let told = run(&["diff", "/workspace/docs/text", "--from", "2", "--to", "3"]);
    assert!(told.contains("-b\n+B\n"), "{told}");
    let told = run(&["diff", "/workspace/docs/bytes"]);
    assert!(
        told.starts_with("~ content  300000 bytes ") && told.contains("-> 300002 bytes "),
        "{told}"
    );
    let told = run(&["diff", "/workspace", "--from", &op]);
    let paths: Vec<_> = told
        .lines()
        .map(|l| l.split("  ").next().unwrap())
        .collect();
    assert_eq!(paths, ["~ docs/bytes", "+ docs/new", "~ docs/text"]);
    let told = run(&["blame", "/workspace/docs/text"]);
    let ends: Vec<_> = told
        .lines()
        .map(|l| l.rsplit("  ").next().unwrap())
        .collect();
    assert_eq!(ends, ["a", "B", "c", "d", "e"]);
    assert!(
        told.lines().last().unwrap().contains("+fixer (s1)"),
        "{told}"
    );
}

#[test]
fn a_snapshot_is_made_read_compared_and_deleted() {
    let world = World::new();
    let (dir, run) = (world.workspace(), |arguments: &[&str]| {
        world.nexus(arguments).must()
    });
    sh(
        &dir,
        "mkdir -p app/src; seq 100 > app/src/main; echo 1 > app/version; mkdir other",
    );
    let said = run(&[
        "snapshot",
        "create",
        "before-migration",
        "/workspace/app",
        "--description",
        "as it ran",
    ]);
    assert!(said.contains("/workspace/app as of op:"), "{said}");
    sh(
        &dir,
        "echo 2 > app/version; rm -r app/src; mkdir app/lib; echo new > app/lib/f",
    );
    assert_eq!(
        sh(
            &dir,
            "ls app/.at; cat app/.at/before-migration/version; ls app/.at/before-migration/src"
        ),
        "before-migration\n1\nmain\n"
    );
    assert_eq!(sh(&dir, "ls other/.at"), "");
    run(&["snapshot", "create", "after", "/workspace/app"]);
    let told = run(&["snapshot", "diff", "before-migration"]);
    let paths: Vec<_> = told
        .lines()
        .map(|l| l.split("  ").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        ["+ lib/", "- src/", "~ version", "+ lib/f", "- src/main"]
    );
    assert_eq!(
        run(&["snapshot", "diff", "before-migration", "after"]),
        told
    );
    assert_eq!(run(&["snapshot", "diff", "after"]), "");
    let told = run(&[
        "snapshot",
        "diff",
        "before-migration",
        "now",
        "/workspace/app/version",
    ]);
    assert!(told.contains("-1\n+2\n"), "{told}");
    let list = run(&["snapshot", "list"]);
    assert!(list.lines().nth(2).unwrap().contains("as it ran"), "{list}");
    assert!(run(&["snapshot", "show", "after"]).contains("/workspace/app"));
    assert_eq!(
        run(&["cat", "/workspace/app/version", "--at", "before-migration"]),
        "1\n"
    );
    run(&["snapshot", "delete", "before-migration"]);
    let gone = run_in(&dir, "ls app/.at/before-migration");
    assert!(gone.must_fail().contains("No such file"));
    world.nexus(&["snapshot", "create", "10m-ago"]).must_fail();
    world.kill();
    world.restart();
    assert_eq!(sh(&dir, "ls app/.at"), "after\n");
    world.is_sound();
}

fn run_in(dir: &Path, text: &str) -> crate::shell::Said {
    run(&mut script(dir, text))
}

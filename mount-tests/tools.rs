//! The tools that people use all day, on the mount as on any disk.

use crate::shell::{python, sh};
use crate::world::{World, needs_root};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A small tree of everything that copying tools have to keep.
const ZOO: &str = r"
mkdir -p zoo/deep/er zoo/empty
seq 20000 > zoo/numbers; head -c 3000000 /dev/urandom > zoo/deep/random
truncate -s 10M zoo/sparse; echo tail >> zoo/sparse
ln zoo/numbers zoo/deep/same; ln -s ../numbers zoo/deep/link; ln -s nowhere zoo/dangling
touch -d '2001-02-03 04:05:06.789' zoo/empty zoo/deep/random; : > 'zoo/a name
of two lines'
chmod 640 zoo/numbers; chmod 1750 zoo/deep/er; mkfifo zoo/pipe
setfattr -n user.note -v kept zoo/deep/random
";

/// Prints what makes a tree what it is: types, modes, sizes, times, targets, contents.
const PORTRAIT: &str = r"portrait() { (cd $1
    find . -printf '%P|%y|%m|%n|%T@|%l\n' | LC_ALL=C sort
    find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    getfattr -h -R -d . | LC_ALL=C sort); }
";

fn git(dir: &Path, text: &str) -> String {
    let identity = "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a \
                    GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a\n";
    sh(dir, &format!("{identity}{text}"))
}

#[test]
fn git_works_through_a_projects_life() {
    let world = World::new();
    let said = git(
        &world.workspace(),
        r"
git init -q -b main repo; cd repo
for i in $(seq 40); do mkdir -p d$((i % 7)); seq $i $((i + 500)) > d$((i % 7))/f$i; done
git add -A; git commit -qm one
git checkout -qb side; sed -i s/7/seven/ d*/f*; git mv d0 moved; git commit -qam two
git checkout -q main; git merge -q side; git tag v1
git gc -q --aggressive --prune=now
git fsck --strict --full
git clone -q --no-hardlinks . ../clone; git -C ../clone log --oneline | wc -l
git worktree add -q ../tree v1; git -C ../tree status --porcelain | wc -l
git -C ../clone stash list; rm -rf ../tree; git worktree prune
git status --porcelain | wc -l
diff -r --exclude .git . ../clone
git -C ../clone fsck --strict
",
    );
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["2", "0", "0"]);
    world.is_sound();
}

#[test]
fn cargo_builds_and_builds_only_what_changed() {
    let world = World::new();
    let said = sh(
        &world.workspace(),
        r#"
unset CARGO_TARGET_DIR RUSTFLAGS CARGO_INCREMENTAL
mkdir -p hello/src; cd hello
printf '[package]\nname="hello"\nversion="0.1.0"\nedition="2021"\n' > Cargo.toml
echo 'mod other; fn main() { println!("{}", other::word()); }' > src/main.rs
echo 'pub fn word() -> &'"'"'static str { "first" }' > src/other.rs
cargo build -q --offline; ./target/debug/hello
cargo build --offline 2>&1 | grep -c Compiling || true
sed -i s/first/second/ src/other.rs
cargo build -q --offline; ./target/debug/hello
"#,
    );
    assert_eq!(said, "first\n0\nsecond\n");
}

#[test]
fn tar_and_cp_keep_everything() {
    let world = World::new();
    let text = format!(
        r"{ZOO}{PORTRAIT}
tar --xattrs --sparse -cf z.tar zoo; mkdir t; tar --xattrs -xpf z.tar -C t
cp -a zoo c
portrait zoo > 1; portrait t/zoo > 2; portrait c > 3
diff 1 2; diff 1 3; wc -l < 1"
    );
    let lines: u32 = sh(&world.workspace(), &text).trim().parse().unwrap();
    assert!(lines > 15, "the zoo was looked at");
}

#[test]
fn rsync_transfers_nothing_the_second_time() {
    let world = World::new();
    let host = world.host("host");
    let mount = world.workspace();
    let mount = mount.display();
    sh(&host, ZOO);
    let back = format!(
        r"{PORTRAIT}
rsync --modify-window=-1 -aHAX zoo/ {mount}/copy/
rsync --modify-window=-1 -aHAXc --itemize-changes zoo/ {mount}/copy/
rsync --modify-window=-1 -aHAX {mount}/copy/ back/; rsync --modify-window=-1 -aHAXc --itemize-changes {mount}/copy/ back/
portrait zoo > 1; portrait back > 2; diff 1 2"
    );
    // Modes are kept in the whole by a mount for POSIX; a private workspace masks what others get.
    let said = sh(&host, &back);
    assert_eq!(said, "", "the second run transfers nothing");
}

#[test]
fn an_editor_saves_by_rename() {
    let world = World::new();
    let dir = world.workspace();
    fs::write(dir.join("text"), "one\ntwo\n").unwrap();
    fs::set_permissions(dir.join("text"), fs::Permissions::from_mode(0o640)).unwrap();
    for how in ["yes", "no", "auto"] {
        sh(
            &dir,
            &format!(
                "vim -u NONE -n -es -c 'set backup backupcopy={how}' -c 'normal Goline by {how}' \
                 -c wq text </dev/null || true"
            ),
        );
    }
    sh(
        &dir,
        "sed -i s/one/ONE/ text; printf '%s\\n' '1a' 'between' . w q | ed -s text",
    );
    let text = fs::read_to_string(dir.join("text")).unwrap();
    assert_eq!(
        text,
        "ONE\nbetween\ntwo\nline by yes\nline by no\nline by auto\n"
    );
    let mode = fs::metadata(dir.join("text")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn sqlite_serves_several_writers() {
    let world = World::new();
    for journal in ["DELETE", "WAL"] {
        let said = python(
            &world.workspace(),
            &format!(
                r#"
import os, sqlite3
name = "{journal}.db"
def connect():
    db = sqlite3.connect(name, timeout=120, isolation_level=None)
    db.execute("PRAGMA journal_mode={journal}")
    return db
connect().execute("CREATE TABLE t (who INT, n INT)")
children = []
for who in range(4):
    pid = os.fork()
    if pid == 0:
        db = connect()
        for n in range(40):
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO t VALUES (?, ?)", (who, n))
            db.execute("COMMIT")
        db.close()
        os._exit(0)
    children.append(pid)
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
db = connect()
print(db.execute("PRAGMA journal_mode").fetchone()[0],
      db.execute("SELECT COUNT(*), COUNT(DISTINCT who * 1000 + n) FROM t").fetchone(),
      db.execute("PRAGMA integrity_check").fetchone()[0])
"#
            ),
        );
        let expected = format!("{} (160, 160) ok\n", journal.to_lowercase());
        assert_eq!(said, expected);
    }
}

#[test]
fn find_and_rm_see_the_whole_tree() {
    let world = World::new();
    let said = sh(
        &world.workspace(),
        r"
mkdir many; cd many; mkdir -p d{1..20}/{a,b,c}; touch d{1..20}/{a,b,c}/{1..9}; cd ..
find many -type f | wc -l; find many -type d | wc -l; du -s --inodes many | cut -f1
find many -name 5 -delete; find many -type f | wc -l
rm -rf many; ls -A | wc -l",
    );
    assert_eq!(said, "540\n81\n621\n480\n0\n");
}

#[test]
fn npm_installs_with_bin_links() {
    let world = World::new();
    let said = sh(
        &world.workspace(),
        r#"
export npm_config_cache=$PWD/.cache npm_config_update_notifier=false npm_config_audit=false npm_config_fund=false
mkdir tool app
echo '{"name":"tool","version":"1.0.0","bin":{"tool":"cli.js"},"files":["cli.js"]}' > tool/package.json
printf '#!/usr/bin/env node\nconsole.log("tool runs")\n' > tool/cli.js
echo '{"name":"app","version":"1.0.0","scripts":{"go":"tool"}}' > app/package.json
(cd tool; npm pack --silent --pack-destination ../app >/dev/null)
cd app; npm install --silent --offline --install-links ./tool-1.0.0.tgz >/dev/null
test -L node_modules/.bin/tool; npm run --silent go
npm ci --silent --offline >/dev/null; ./node_modules/.bin/tool
"#,
    );
    assert_eq!(said, "tool runs\ntool runs\n");
}

#[test]
fn make_runs_many_jobs() {
    let world = World::new();
    let said = sh(
        &world.workspace(),
        r"
printf 'OBJECTS := $(patsubst %%.c,%%.o,$(wildcard *.c))\nprog: $(OBJECTS)\n\t$(CC) -o $@ $^\n' > Makefile
for i in $(seq 12); do echo int f$i'(void) { return '$i'; }' > f$i.c; done
(for i in $(seq 12); do echo int f$i'(void);'; done
 echo 'int main(void) { return f1() + f12() != 13; }') > main.c
make -s -j8; ./prog; make -j8 | grep -c 'up to date'
touch f3.c; make -j8 -n | grep -c -- '-c'",
    );
    assert_eq!(said, "1\n1\n");
}

#[test]
fn a_program_runs_from_the_mount() {
    let world = World::new();
    let said = sh(
        &world.workspace(),
        "cp $(type -P true) t; ./t; cp $(type -P sha256sum) s; echo x | ./s; mv s s2; ./s2 --version | sed -n 1p | wc -l",
    );
    assert!(said.ends_with(" -\n1\n"), "{said}");
}

#[test]
fn the_whole_mode_is_kept_where_the_mask_is_open() {
    if !needs_root() {
        return;
    }
    let world = World::many_users();
    let host = world.host("host");
    sh(
        &host,
        &format!("{ZOO}chown -R 1234:4321 zoo/deep; chmod 4755 zoo/numbers; mknod zoo/null c 1 3"),
    );
    let text = format!(
        r"rsync --modify-window=-1 -aHAX zoo/ {0}/t/; rsync --modify-window=-1 -aHAXc --itemize-changes zoo/ {0}/t/",
        world.workspace().display()
    );
    assert_eq!(sh(&host, &text), "");
}

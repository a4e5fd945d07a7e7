//! The past on a mount of several users: what all find is kept for all, and nothing else for anybody.

use super::forgets_names;
use crate::past::head;
use crate::person::BECOMES;
use crate::revoke::{ANNA, BERT, Gate, as_user, setpriv, village};
use crate::shell::{NOT, sh};
use crate::world::World;
use rustix::process::{Signal, kill_process};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A directory that all may search, as it was and as it is: `d/f` was changed, `d/gone` removed, `d/away` moved to where bert may
/// not look, and `d/sub` is as it was.
fn town() -> Option<(World, String)> {
    let world = village()?;
    let t = world.path("t");
    sh(
        &t,
        "umask 022; mkdir -p d/sub private; chmod 750 private; chown 21001 private d d/sub; chgrp 21001 private d d/sub
         for f in d/f d/gone d/away d/sub/g; do echo -n old > $f; done; ln -s f d/link",
    );
    let op = head(&world);
    sh(
        &t,
        "umask 022; echo changed > d/f; rm d/gone; mv d/away private/away; ln -sf other d/link",
    );
    Some((world, format!("{}/.at/op:{op}", t.display())))
}

/// Somebody who stands beside the directory, and looks at what it was when his input ends. Names of the root are asked for each time.
fn looker(world: &World, op_dir: &str, uid: u32) -> Child {
    let at = op_dir.rsplit('/').next().unwrap();
    let text = format!(
        "{BECOMES}
become({uid})
os.chdir('{}')
print('stands', flush=True)
input()
for name in ['d', 'd/f', 'd/gone', 'd/sub', 'd/sub/g']: os.stat('.at/{at}/' + name)
os.readlink('.at/{at}/d/link')
assert not os.path.lexists('.at/{at}/d/none')",
        world.path("t").display()
    );
    let mut command = Command::new("timeout");
    command
        .args(["60", "python3", "-c", &text])
        .current_dir("/");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut said).unwrap();
    assert_eq!(said, "stands\n");
    child
}

fn looks(mut looker: Child) -> bool {
    looker.stdin.take().unwrap().write_all(b"look\n").unwrap();
    looker.wait().unwrap().success()
}

#[test]
fn what_one_user_has_looked_at_all_look_at_again_without_asking() {
    let Some((world, at)) = town() else { return };
    if !forgets_names() {
        println!("skipped: this kernel cannot be told to forget all names");
        return;
    }
    let stand = |uid| looker(&world, &at, uid);
    let others = [ANNA, BERT, 0].map(stand);
    assert!(looks(stand(ANNA)));
    let daemon = world.daemon();
    // Who asks it now waits.
    kill_process(daemon, Signal::STOP).unwrap();
    let looked = others.map(looks);
    kill_process(daemon, Signal::CONT).unwrap();
    assert_eq!(looked, [true; 3]);
}

#[test]
fn what_one_user_finds_in_the_past_opens_nothing_to_the_next() {
    let Some((world, at)) = town() else { return };
    let t = world.path("t");
    // By path, and by whoever stands there.
    let sees = |uid, name: &str, there: bool| {
        let not = if there { "" } else { "not " };
        for look in ["stat", "cat"] {
            let by_path = format!("{not}{look} {at}/{name}");
            as_user(uid, Path::new("/"), &by_path).must();
            let inside = format!("cd {at}/d; {not}{look} ../{name}");
            as_user(uid, Path::new("/"), &inside).must();
        }
    };
    // Whoever asks first, nobody is told what holds for another.
    for first in [ANNA, BERT] {
        for uid in [first, ANNA, BERT, ANNA] {
            sees(uid, "d/away", uid == ANNA);
            sees(uid, "d/gone", true);
            sees(uid, "d/f", true);
        }
        let lists = |uid| as_user(uid, &t, &format!("ls {at}/d; ls -l {at}/d > /dev/null")).must();
        assert_eq!(lists(ANNA), "away\nf\ngone\nlink\nsub\n");
        assert_eq!(lists(BERT), "f\ngone\nlink\nsub\n");
        assert_eq!(lists(ANNA), "away\nf\ngone\nlink\nsub\n");
    }
    // Where it is open to all again, it is there for all.
    sh(&t, "mv private/away d/away");
    sees(BERT, "d/away", true);
    // What goes where not all may look was as closed as that.
    sh(&t, "mv d/sub private/sub");
    for uid in [ANNA, BERT, ANNA, BERT] {
        sees(uid, "d/sub/g", uid == ANNA);
    }
    sh(&t, "rm -r private/sub");
    for uid in [ANNA, BERT, ANNA, BERT] {
        sees(uid, "d/sub/g", uid == ANNA);
    }
    world.is_sound();
}

/// Somebody stands in a directory of the past, and somebody else looks there again whenever something was closed.
#[test]
fn who_stands_in_the_past_sees_no_more_by_what_others_look_at() {
    const DENIED: &[&str] = &["f", "gone", "sub/g", "none"];
    let Some((world, at)) = town() else { return };
    let t = world.path("t");
    let looks = format!(
        "stat {at}/d/f {at}/d/gone {at}/d/sub/g > /dev/null; ls -l {at}/d {at}/d/sub > /dev/null"
    );
    let change = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        world.nexus(&words).must();
    };
    let closed: [(&str, &str, &[&str]); 5] = [
        (
            "setfacl deny:user:bert:--- /workspace/t/d/f",
            "setfacl deny:user:bert:--- /workspace/t/d/f --remove",
            &["f"],
        ),
        (
            "setfacl deny:user:bert:--- /workspace/t/d",
            "setfacl deny:user:bert:--- /workspace/t/d --remove",
            DENIED,
        ),
        (
            "chmod 0750 /workspace/t/d",
            "chmod 0755 /workspace/t/d",
            DENIED,
        ),
        (
            "mv /workspace/t/d /workspace/t/private/d",
            "mv /workspace/t/private/d /workspace/t/d",
            DENIED,
        ),
        (
            "chmod 0750 /workspace/t/d/sub",
            "chmod 0755 /workspace/t/d/sub",
            &["sub/g"],
        ),
    ];
    for (close, open, names) in closed {
        as_user(ANNA, &t, &looks).must();
        let tries: Vec<_> = names
            .iter()
            .map(|name| format!("not stat {name}"))
            .collect();
        let text = format!(
            "{NOT}cd {at}/d; stat f gone sub/g > /dev/null; not stat none; echo; read || true; {0}; {0}",
            tries.join("; ")
        );
        let mut inside = setpriv(BERT, &["bash", "-ec", &text]);
        inside
            .current_dir(&t)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut inside = inside.spawn().unwrap();
        let mut out = BufReader::new(inside.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        change(close);
        as_user(ANNA, &t, &looks).must();
        drop(inside.stdin.take());
        assert!(inside.wait().unwrap().success(), "{close}");
        change(open);
        as_user(BERT, &t, &looks).must();
    }
    world.is_sound();
}

/// What is seen by a grant is one's own, and so is that it is not there.
#[test]
fn a_grant_shows_the_past_to_whom_it_is_for_alone() {
    let Some((world, at)) = town() else { return };
    let t = world.path("t");
    let sees = |uid, there: bool| {
        let not = if there { "" } else { "not " };
        let text =
            format!("{not}stat {at}/vault/f; {not}stat {at}/vault/sub/g; not stat {at}/vault/none");
        as_user(uid, &t, &text).must();
    };
    sees(BERT, false);
    for gate in Gate::ALL {
        for open in [true, false] {
            gate.set(&world, open);
            for (uid, there) in [(ANNA, true), (BERT, open), (ANNA, true)] {
                sees(uid, there);
            }
        }
    }
}

/// Names that lead to a moment are kept where not all may go, too, and who may not go there is refused behind them.
#[test]
fn a_word_that_is_kept_opens_no_closed_directory() {
    let Some((world, at)) = town() else { return };
    let t = world.path("t");
    sh(&t, "mv d/f private/f");
    let moment = at.rsplit('/').next().unwrap();
    let inside = t.join("private");
    as_user(
        ANNA,
        &inside,
        &format!("stat .at/{moment} .at/{moment}/.; ls -l .at/{moment}"),
    )
    .must();
    for refused in [
        format!("stat private/.at/{moment}"),
        format!("stat private/.at/{moment}/."),
        format!("ls private/.at/{moment}"),
        format!("cd private/.at/{moment}"),
        format!("test -e private/.at/{moment}/away"),
        format!("getfattr -d private/.at/{moment}"),
    ] {
        as_user(ANNA, &t, &format!("stat private/.at/{moment}")).must();
        as_user(BERT, &t, &format!("not {refused}")).must();
    }
    let stands = format!(
        "import os
os.chdir('{}'); print(flush=True); input(); os.open('.at/{moment}', os.O_PATH)",
        inside.display()
    );
    let mut anna = setpriv(ANNA, &["timeout", "60", "/usr/bin/python3", "-c", &stands]);
    let mut anna = anna
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(anna.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    let daemon = world.daemon();
    if forgets_names() {
        // Who asks it now waits.
        kill_process(daemon, Signal::STOP).unwrap();
    }
    let looked = looks(anna);
    kill_process(daemon, Signal::CONT).unwrap();
    assert!(looked);
    // And it is forgotten when she may not go there any more.
    sh(&t, "chown 0:0 private");
    as_user(
        ANNA,
        &t,
        &format!("not stat private/.at/{moment}; not ls private/.at/{moment}"),
    )
    .must();
    world.is_sound();
}

//! Waiting for a lock, and what ends it.

use super::{Actor, two, two_mounts, until_waiting, waiting};
use crate::shell::{ends, wait};
use rustix::process::Signal;
use std::fs;

#[test]
fn who_waits_gets_the_lock_when_it_is_given_back() {
    let (world, mut one, mut other) = two();
    assert_eq!(one.ask("sets('f', W)"), "ok");
    other.begins(&world, "waits('f', W)");
    assert_eq!(one.ask("sets('f', U)"), "ok");
    assert_eq!(other.answer(), "ok");
    // Shared, as far as is needed, does as well.
    one.begins(&world, "waits('f', R, 10, 10)");
    assert_eq!(other.ask("sets('f', R, 0, 15)"), "ok");
    assert_eq!(waiting(&world), 1);
    assert_eq!(other.ask("sets('f', R, 15, 5)"), "ok");
    assert_eq!(one.answer(), "ok");
    assert_eq!(one.ask("sets('f', R, 20, 1)"), "EAGAIN");
}

/// More than there are threads, or slots of a ring: the daemon goes on answering meanwhile.
#[test]
fn any_number_may_wait_and_nobody_else_does() {
    let (world, here, there) = two_mounts();
    let mut holder = Actor::at(&here);
    holder.ask("opens('f', 'f')");
    assert_eq!(holder.ask("sets('f', W)"), "ok");
    let mut waiting: Vec<_> = (0..24)
        .map(|n| {
            let mut actor = Actor::at(if n % 2 == 0 { &here } else { &there });
            actor.ask("opens('f', 'f')");
            actor.begins(
                &world,
                if n < 8 {
                    "waits('f', W)"
                } else {
                    "waits('f', R)"
                },
            );
            fs::write(there.join(format!("{n}")), "written").unwrap();
            assert_eq!(fs::read(here.join(format!("{n}"))).unwrap(), b"written");
            actor
        })
        .collect();
    assert_eq!(world.mounts(), 2);
    assert_eq!(holder.ask("closes('f')"), "ok");
    // Those who want it alone get it one after the other, whoever is first.
    for actor in &mut waiting {
        actor.tell("sets('f', U)");
    }
    for actor in &mut waiting {
        assert_eq!((actor.answer(), actor.answer()), ("ok".into(), "ok".into()));
    }
    world.is_sound();
}

#[test]
fn a_signal_ends_a_wait_or_begins_it_again() {
    let (world, mut one, mut other) = two();
    assert_eq!(one.ask("sets('f', W)"), "ok");
    for _ in 0..3 {
        other.begins(&world, "waits('f', W)");
        other.signal(Signal::USR1);
        assert_eq!(other.answer(), "caught");
    }
    // A handler that returns: the call goes on waiting, as it does when the process was stopped meanwhile.
    other.begins(&world, "waits('f', W)");
    other.signal(Signal::USR2);
    other.handles(Signal::USR2);
    until_waiting(&world, 1);
    other.signal(Signal::STOP);
    while other.state() != 'T' {
        std::thread::yield_now();
    }
    assert_eq!(waiting(&world), 0);
    other.signal(Signal::CONT);
    until_waiting(&world, 1);
    assert_eq!(one.ask("sets('f', U)"), "ok");
    assert_eq!(other.answer(), "ok");
}

#[test]
fn who_waits_can_be_killed() {
    let (world, mut one, other) = two();
    drop(other);
    assert_eq!(one.ask("sets('f', W)"), "ok");
    for signal in [Signal::KILL, Signal::TERM, Signal::QUIT] {
        let mut other = Actor::at(&world.workspace());
        other.ask("opens('f', 'f')");
        other.begins(&world, "waits('f', W)");
        other.dies_of(signal);
    }
    // Nothing of them is left: neither a lock nor a wait that would get one.
    assert_eq!(one.ask("sets('f', U)"), "ok");
    assert_eq!(one.ask("sets('f', W)"), "ok");
}

#[test]
fn each_thread_waits_for_itself() {
    let (world, mut one, mut other) = two();
    assert_eq!(one.ask("sets('f', W, 0, 10)"), "ok");
    // Python's first thread reads its next line, and takes the signal: the other goes on waiting.
    other.ask("aside(lambda: waits('f', W, 5, 1))");
    until_waiting(&world, 1);
    other.signal(Signal::USR2);
    other.handles(Signal::USR2);
    assert_eq!(other.ask("sets('f', W, 20, 1)"), "ok");
    assert_eq!(waiting(&world), 1);
    assert_eq!(one.ask("sets('f', U)"), "ok");
    assert_eq!(other.answer(), "ok");
    // The first of several threads waits, and is interrupted.
    assert_eq!(one.ask("sets('f', W, 50, 10)"), "ok");
    other.ask("aside(lambda: waits('f', W, 50, 1))");
    until_waiting(&world, 1);
    other.begins(&world, "waits('f', W, 51, 1)");
    other.signal(Signal::USR1);
    assert_eq!(other.answer(), "caught");
    assert_eq!(waiting(&world), 1);
    // And all of them can be killed.
    other.begins(&world, "waits('f', W, 51, 1)");
    other.dies_of(Signal::TERM);
    assert_eq!(waiting(&world), 0);
}

#[test]
fn a_circle_of_waits_is_refused_across_mounts() {
    let (world, mut one, mut other) = two();
    let mut agent = Actor::in_run(&world);
    agent.ask("opens('f', 'f')");
    for (n, actor) in [&mut one, &mut other, &mut agent].into_iter().enumerate() {
        assert_eq!(actor.ask(&format!("sets('f', W, {n}, 1)")), "ok");
    }
    one.begins(&world, "waits('f', W, 1, 1)");
    other.begins(&world, "waits('f', W, 2, 1)");
    assert_eq!(agent.ask("waits('f', W, 0, 1)"), "EDEADLOCK");
    assert_eq!(agent.ask("sets('f', U)"), "ok");
    assert_eq!(other.answer(), "ok");
    assert_eq!(other.ask("sets('f', U)"), "ok");
    assert_eq!(one.answer(), "ok");
    // Two who share, and both want it alone.
    for actor in [&mut one, &mut other] {
        assert_eq!(actor.ask("sets('f', R, 50, 1)"), "ok");
    }
    one.begins(&world, "waits('f', W, 50, 1)");
    assert_eq!(other.ask("waits('f', W, 50, 1)"), "EDEADLOCK");
    assert_eq!(other.ask("closes('f')"), "ok");
    assert_eq!(one.answer(), "ok");
}

#[test]
fn who_waits_keeps_no_daemon_from_ending() {
    let (world, mut one, mut other) = two();
    assert_eq!(one.ask("sets('f', W)"), "ok");
    other.begins(&world, "waits('f', W)");
    let daemon = world.daemon();
    world.ctl(&["shutdown", "--force"]);
    assert!(ends(daemon), "the daemon does not end");
    let said = other.answer();
    assert!(["ECONNABORTED", "ENOTCONN"].contains(&&*said), "{said}");
    drop(other.input.take());
    assert!(wait(&mut other.child).unwrap().success());
}

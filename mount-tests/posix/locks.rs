//! Locks between processes, and special files.

use crate::shell::{python, sh};
use crate::world::World;

#[test]
fn flock_and_fcntl_locks_exclude_other_processes() {
    let world = World::new();
    let said = python(
        &world.workspace(),
        r#"
import fcntl, os
for lock in (fcntl.flock, fcntl.lockf):
    f = open("locked", "w")
    lock(f, fcntl.LOCK_EX)
    pid = os.fork()
    if pid == 0:
        g = open("locked", "r+")
        try:
            lock(g, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    f.close()
    g = open("locked", "r+")
    lock(g, fcntl.LOCK_EX | fcntl.LOCK_NB)
    g.close()
print("excluded")
"#,
    );
    assert_eq!(said, "excluded\n");
}

#[test]
fn a_lock_of_a_dead_process_is_gone() {
    let world = World::new();
    python(
        &world.workspace(),
        r#"
import fcntl, os, signal
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    f = open("locked", "w")
    fcntl.lockf(f, fcntl.LOCK_EX)
    os.write(w, b"!")
    signal.pause()
assert os.read(r, 1) == b"!"
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
fcntl.lockf(open("locked", "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)
"#,
    );
}

#[test]
fn a_fifo_carries_bytes_between_processes() {
    let world = World::new();
    let said = sh(
        &world.workspace(),
        "mkfifo pipe; (echo through > pipe) & cat pipe; wait; test -p pipe; rm pipe",
    );
    assert_eq!(said, "through\n");
}

#[test]
fn a_socket_can_be_bound_and_reached() {
    let world = World::new();
    python(
        &world.workspace(),
        r#"
import os, socket
server = socket.socket(socket.AF_UNIX)
server.bind("s")
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect("s")
client.send(b"hello")
assert server.accept()[0].recv(5) == b"hello"
os.unlink("s")
"#,
    );
}

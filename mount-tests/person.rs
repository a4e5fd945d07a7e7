//! A process of somebody's that does on a mount, or asks of the daemon, what it is told, one thing after the other.

use crate::world::World;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Defines `become(uid)`; 0 stays who he is.
pub(crate) const BECOMES: &str = r"
import os
def become(uid):
    # Not through setpriv: others may not run every python3.
    if uid: os.setgroups([]), os.setresgid(uid, uid, uid), os.setresuid(uid, uid, uid)
";

/// Defines `ask(command, body)`, which asks the daemon at the socket `sock` and raises `OSError` when that refuses.
pub(crate) const ASKS: &str = r#"
import http.client, json, os, socket, sys
class Daemon(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sock)
daemon = Daemon("nexus")
def ask(command, body):
    daemon.request("POST", "/api/" + command, json.dumps(body))
    reply = daemon.getresponse()
    said = json.loads(reply.read())
    if reply.status != 200: raise OSError(reply.status, json.dumps(said))
    return said
def get(path):
    daemon.request("GET", "/files" + path)
    reply = daemon.getresponse()
    said = reply.read()
    if reply.status != 200: raise OSError(reply.status, said)
    return said.decode()
"#;

const OBEYS: &str = r#"
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
sock, uid = sys.argv[1], int(sys.argv[2])
become(uid)
os.umask(0o077)
def read(path):
    with open(path) as file: return file.read()
def write(path, text):
    with open(path, "x") as file: file.write(text)
def swap(link, target):
    os.symlink(target, link + ".new")
    os.rename(link + ".new", link)
def exchange(one, other):
    if libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2): raise OSError(ctypes.get_errno(), "exchange")
def enter(path):
    os.chdir(path)
    os.chdir("/")
def setfacl(path, which, value):
    # As setfacl(1) does: the kernel asks who owns it as far as it knows.
    os.stat(path)
    os.setxattr(path, which, bytes.fromhex(value))
def unsetfacl(path, which):
    os.stat(path)
    os.removexattr(path, which)
calls = {"read": read, "write": write, "swap": swap, "ask": ask, "get": get, "mkdir": os.mkdir, "mv": os.rename, "rm": os.unlink,
         "rmdir": os.rmdir, "list": lambda path: sorted(os.listdir(path)), "stat": lambda path: os.stat(path).st_ino,
         "exchange": exchange, "enter": enter, "setfacl": setfacl, "unsetfacl": unsetfacl,
         "open": lambda path: os.close(os.open(path, os.O_WRONLY)),
         "chmod": lambda path, mode: os.chmod(path, int(mode, 8)), "umask": lambda mode: os.umask(int(mode, 8))}
for line in sys.stdin:
    call, *words = json.loads(line)
    try: said = {"went": True, "said": calls[call](*words)}
    except OSError as e: said = {"went": False, "said": str(e)}
    print(json.dumps(said), flush=True)
"#;

/// Ends with its owner.
pub(crate) struct Person {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Person {
    /// Somebody of a user number; 0 stays who runs the test.
    pub(crate) fn new(world: &World, uid: u32) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", &format!("{BECOMES}{ASKS}{OBEYS}")]);
        command.arg(world.socket());
        command.arg(uid.to_string()).current_dir("/");
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self {
            orders: child.stdin.take(),
            answers,
            child,
        }
    }

    /// Makes one call; what it gave, or why it was refused.
    #[track_caller]
    pub(crate) fn does(&mut self, call: &str, words: &[&str]) -> Result<Value, String> {
        let words: Vec<Value> = words.iter().map(|w| json!(w)).collect();
        self.order(call, words)
    }

    /// Asks the daemon.
    #[track_caller]
    pub(crate) fn asks(&mut self, command: &str, body: &Value) -> Result<Value, String> {
        self.order("ask", vec![json!(command), body.clone()])
    }

    #[track_caller]
    fn order(&mut self, call: &str, words: Vec<Value>) -> Result<Value, String> {
        let order: Vec<Value> = [json!(call)].into_iter().chain(words).collect();
        writeln!(self.orders.as_ref().unwrap(), "{}", json!(order)).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        if answer["went"] == true {
            return Ok(answer["said"].clone());
        }
        Err(answer["said"].to_string())
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        drop(self.orders.take());
        self.child.wait().ok();
    }
}

//! A daemon with a real mount in a directory of its own.

use crate::shell::{Said, ends, run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub(crate) const NEXUS: &str = env!("CARGO_BIN_EXE_nexus");
pub(crate) const NEXUSCTL: &str = env!("CARGO_BIN_EXE_nexusctl");

/// Names the transport that every mount of a `World` asks for.
const TRANSPORT: &str = "NEXUS_TRANSPORT";

/// Owns a data directory, its daemon and one mount of it; all end with it.
pub(crate) struct World {
    dir: TempDir,
    data: PathBuf,
    mount: PathBuf,
    options: Vec<String>,
    is_mute: bool,
    /// How many descriptors the daemon may have.
    descriptors: Option<u32>,
}

impl World {
    /// A fresh store, mounted with a single identity.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// A fresh store, mounted with these options.
    pub(crate) fn with(options: &[&str]) -> Self {
        let world = Self::unmounted(options);
        world.start();
        world
    }

    /// Lets the workspace behave as POSIX says, without a mask.
    pub(crate) fn follow_posix(&self) {
        self.ctl(&[
            "namespace",
            "set",
            "workspace",
            "--mask",
            "0777",
            "--group",
            "keep",
        ]);
    }

    /// A multi-user mount whose workspace follows POSIX to the letter (semantics.md §3).
    pub(crate) fn many_users() -> Self {
        Self::unmounted(&[]).for_many_users()
    }

    /// The same of a store that nobody has opened yet.
    pub(crate) fn for_many_users(mut self) -> Self {
        let options = ["--identity", "os", "--allow-other"].map(str::to_owned);
        self.options.extend(options);
        self.start();
        self.follow_posix();
        let open = fs::Permissions::from_mode(0o777);
        fs::create_dir(self.path("t")).unwrap();
        fs::set_permissions(self.path("t"), open).unwrap();
        self
    }

    /// A directory for a store whose daemon, of a debug build, tells kernels nothing of what changes: tests show with it that
    /// they would notice.
    pub(crate) fn mute() -> Self {
        let mut world = Self::unmounted(&[]);
        world.is_mute = true;
        world
    }

    /// A directory for a store whose daemon may have so many descriptors and no more.
    pub(crate) fn of_descriptors(most: u32) -> Self {
        let mut world = Self::unmounted(&[]);
        world.descriptors = Some(most);
        world
    }

    /// A directory for a store that nobody has opened yet.
    pub(crate) fn unmounted(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        Self::on(dir, data, options)
    }

    /// A store that lives in a directory somewhere else, on a disk of the test's own.
    pub(crate) fn at(data: PathBuf) -> Self {
        Self::on(tempfile::tempdir().unwrap(), data, &[])
    }

    fn on(dir: TempDir, data: PathBuf, options: &[&str]) -> Self {
        let mount = dir.path().join("mount");
        fs::create_dir(&mount).unwrap();
        // Other users must be able to pass through (a temporary directory is 0700).
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.path(), open).unwrap();
        let mut options: Vec<_> = options.iter().map(ToString::to_string).collect();
        if let Some(transport) = crate::dice::word(TRANSPORT) {
            options.extend(["-o".to_owned(), format!("transport={transport}")]);
        }
        Self {
            dir,
            data,
            mount,
            options,
            is_mute: false,
            descriptors: None,
        }
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The mount's root.
    pub(crate) fn root(&self) -> &Path {
        &self.mount
    }

    /// A directory beside the mount, on the host's filesystem.
    pub(crate) fn host(&self, name: &str) -> PathBuf {
        let dir = self.dir.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// Puts a program where every user may run it, in the host's directory `bin`. By a process of its own: what another thread starts
    /// meanwhile would hold our copy open for writing until it runs, and nobody could run that (ETXTBSY).
    pub(crate) fn install(&self, program: &str) {
        let mut cp = Command::new("cp");
        run(cp.args([program, self.host("bin").to_str().unwrap()])).must();
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.mount.join("workspace")
    }

    /// The daemon's socket, as the mount tells it.
    pub(crate) fn socket(&self) -> PathBuf {
        fs::read_link(self.mount.join(".nexus/control.sock")).unwrap()
    }

    /// A path in the workspace.
    pub(crate) fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.workspace().join(name.as_ref())
    }

    /// A `nexus` command on this store, not yet run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(NEXUS);
        command.args(arguments);
        self.furnish(&mut command);
        command
    }

    pub(crate) fn nexus(&self, arguments: &[&str]) -> Said {
        run(&mut self.command(arguments))
    }

    /// A `nexusctl` command that may fail.
    pub(crate) fn ctl_said(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(NEXUSCTL);
        command.arg("--json").args(arguments);
        self.furnish(&mut command);
        run(&mut command)
    }

    /// A `nexusctl` command that must succeed; gives its reply.
    #[track_caller]
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Value {
        last_json(&self.ctl_said(arguments).must())
    }

    /// Tells a command which store it is about.
    pub(crate) fn furnish(&self, command: &mut Command) {
        command
            .env("NEXUS_DATA_DIR", &self.data)
            .env("HOME", self.dir.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        // Who runs the tests may be a session of an agent's himself.
        for of_his in [
            "XDG_DATA_HOME",
            "NEXUS_TENANT",
            "NEXUS_AGENT",
            "NEXUS_SESSION",
        ] {
            command.env_remove(of_his);
        }
        if self.is_mute {
            command.env("NEXUS_TEST_MUTE", "1");
        }
    }

    /// The records of the log, oldest first.
    #[track_caller]
    pub(crate) fn log(&self, arguments: &[&str]) -> Vec<Value> {
        // Enough for all of them.
        let all = [&["log", "--json", "--limit", "100000"], arguments].concat();
        let mut records = json_lines(&self.nexus(&all).must());
        records.sort_by_key(|record| record["op"].as_u64());
        records
    }

    /// How many mounts the daemon has.
    #[track_caller]
    pub(crate) fn mounts(&self) -> usize {
        self.ctl(&["mounts"])["mounts"].as_array().unwrap().len()
    }

    /// Mounts; starts the daemon when none runs.
    #[track_caller]
    pub(crate) fn start(&self) {
        self.try_start().must();
    }

    pub(crate) fn try_start(&self) -> Said {
        let mut command = match self.descriptors {
            Some(most) => {
                let mut limited = Command::new("prlimit");
                limited.args([&format!("--nofile={most}"), NEXUS, "mount"]);
                self.furnish(&mut limited);
                limited
            }
            None => self.command(&["mount"]),
        };
        run(command.arg(&self.mount).args(&self.options))
    }

    /// The daemon's process.
    #[track_caller]
    pub(crate) fn daemon(&self) -> Pid {
        let pid = self.ctl(&["status"])["pid"].as_i64().unwrap();
        Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
    }

    /// Ends the daemon as a crash does, and waits until it is gone.
    #[track_caller]
    pub(crate) fn kill(&self) {
        end(self.daemon());
    }

    /// Mounts again after a crash.
    #[track_caller]
    pub(crate) fn restart(&self) {
        self.start();
    }

    /// Ends the daemon as an administrator does: everything flushed, nothing mounted.
    #[track_caller]
    pub(crate) fn shutdown(&self) {
        let daemon = self.daemon();
        self.ctl(&["shutdown"]);
        assert!(ends(daemon), "the daemon does not end");
    }

    /// Kills whatever serves this store, supervisors first, and detaches the mount.
    pub(crate) fn stop_everything(&self) {
        let mark = [b"NEXUS_DATA_DIR=", self.data.as_os_str().as_encoded_bytes()].concat();
        for pid in processes() {
            let of = |what: &str| fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
            let ours = of("environ").split(|b| *b == 0).any(|v| v == mark);
            if ours && of("comm") == b"nexus\n" {
                end(Pid::from_raw(pid).unwrap());
            }
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let place = |line: &str| line.split(' ').nth(4).map(PathBuf::from);
        let ours = mounts.lines().filter_map(place);
        let runtime = fs::read_link(self.data.join("runtime")).ok();
        let is_ours = |mount: &PathBuf| {
            let lent = runtime.as_ref().is_some_and(|dir| mount.starts_with(dir));
            lent || mount.starts_with(self.dir.path())
        };
        for mount in ours.filter(is_ours) {
            if is_root() {
                // A daemon that cannot end does not from a lazy unmount either.
                run(Command::new("umount").arg("-f").arg(&mount));
            }
            detach(&mount);
        }
        // What a daemon that was killed has outside of the directory that goes with us: sockets and empty directories.
        if let Some(dir) = runtime {
            let left = [
                "-xdev", "-depth", "(", "-type", "s", "-o", "-type", "d", ")",
            ];
            run(Command::new("find").arg(dir).args(left).arg("-delete"));
        }
    }

    /// Everything that checks itself agrees that nothing is wrong.
    #[track_caller]
    pub(crate) fn is_sound(&self) {
        for check in ["fsck", "verify"] {
            let report = self.ctl(&[check]);
            let problems = report["problems"].as_array().unwrap();
            assert!(problems.is_empty(), "{check}: {report:#}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read(self.data.join("daemon.log")).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<_> = log.lines().rev().take(30).collect();
            println!("--- the daemon's last words");
            lines.iter().rev().for_each(|line| println!("{line}"));
        }
        self.stop_everything();
    }
}

/// The numbers of all processes, oldest first as far as numbers tell.
fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let mut pids: Vec<i32> = entries
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids
}

/// Kills a process and waits until it is gone.
pub(crate) fn end(pid: Pid) {
    match kill_process(pid, Signal::KILL) {
        Ok(()) => assert!(ends(pid), "{pid:?} does not die"),
        Err(rustix::io::Errno::SRCH) => {}
        Err(e) => panic!("kill {pid:?}: {e}"),
    }
}

/// Unmounts lazily; not being mounted is fine.
pub(crate) fn detach(dir: &Path) {
    let mut command = if is_root() {
        let mut umount = Command::new("umount");
        umount.arg("-l");
        umount
    } else {
        let mut umount = Command::new("fusermount3");
        umount.args(["-u", "-z"]);
        umount
    };
    run(command.arg(dir));
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether mounts are served over io_uring.
pub(crate) fn over_rings() -> bool {
    let parameter = fs::read_to_string("/sys/module/fuse/parameters/enable_uring");
    let is_enabled = parameter.is_ok_and(|p| p.trim() == "Y");
    is_enabled && crate::dice::word(TRANSPORT).as_deref() != Some("fuser")
}

/// Whether this test can run; one that needs root says so when it cannot.
pub(crate) fn needs_root() -> bool {
    let demanded = crate::dice::setting("NEXUS_TEST_ALL").is_some();
    assert!(is_root() || !demanded, "this test needs root");
    if !is_root() {
        println!("skipped: needs root");
    }
    is_root()
}

/// The last JSON value that a command printed: progress comes before the reply.
fn last_json(text: &str) -> Value {
    serde_json::from_str(text)
        .ok()
        .or_else(|| json_lines(text).pop())
        .unwrap_or(Value::Null)
}

pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line:?}")))
        .collect()
}

/// Fails unless each of the calls was refused because what it would change is read-only.
#[track_caller]
pub(crate) fn all_read_only(calls: impl IntoIterator<Item = std::io::Result<()>>) {
    for (n, answer) in calls.into_iter().enumerate() {
        let error = answer.unwrap_err().raw_os_error();
        assert_eq!(error, Some(libc::EROFS), "call {n}");
    }
}

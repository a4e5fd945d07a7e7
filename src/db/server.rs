//! A PostgreSQL server for a test: its own files, its own socket, gone with the test.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const SETTINGS: &str = "-c fsync=off -c listen_addresses='' -c shared_buffers=16MB";

/// A running server; stopped on drop, even when the test panics.
pub(crate) struct Server {
    dir: TempDir,
    bin: PathBuf,
}

impl Server {
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("nexus-pg-")
            .tempdir()
            .unwrap();
        if nix::unistd::geteuid().is_root() {
            let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
            nix::unistd::chown(dir.path(), Some(nobody.uid), Some(nobody.gid)).unwrap();
        }
        let server = Self {
            bin: newest_bin(),
            dir,
        };
        server.run(
            "initdb",
            &["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8"],
        );
        let options = format!("{SETTINGS} -k {}", server.dir.path().display());
        let log = server.dir.path().join("log").display().to_string();
        server.run(
            "pg_ctl",
            &["-w", "-t", "120", "-l", &log, "-o", &options, "start"],
        );
        server
    }

    /// Makes a database and answers where it is.
    pub(crate) fn database(&self, name: &str) -> String {
        let socket = self.dir.path().display().to_string();
        let status = Command::new(self.bin.join("createdb"))
            .args(["-h", &socket, "-U", "postgres", name])
            .status()
            .unwrap();
        assert!(status.success(), "createdb: {status}");
        format!("host={socket} user=postgres dbname={name}")
    }

    fn run(&self, program: &str, args: &[&str]) {
        let mut command = self.command(program);
        // Its output is not piped: the server inherits it and would keep a pipe open for as long as it lives.
        let out = std::fs::File::create(self.dir.path().join("out")).unwrap();
        command
            .args(args)
            .stdout(out.try_clone().unwrap())
            .stderr(out);
        let status = command.status().unwrap();
        let read = |name| std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        assert!(
            status.success(),
            "{program}: {status}\n{}{}",
            read("out"),
            read("log")
        );
    }

    /// The server refuses to run as root.
    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = if nix::unistd::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "nobody", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .current_dir(self.dir.path())
            .arg("-D")
            .arg(self.dir.path().join("data"));
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = self
            .command("pg_ctl")
            .args(["-w", "-m", "immediate", "stop"])
            .output();
        if !stopped.as_ref().is_ok_and(|o| o.status.success()) {
            eprintln!("cannot stop the test's PostgreSQL: {stopped:?}");
        }
    }
}

fn newest_bin() -> PathBuf {
    let number = |dir: &Path| dir.file_name()?.to_str()?.parse::<u32>().ok();
    std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.join("bin/initdb").exists())
        .max_by_key(|dir| number(dir))
        .expect("no PostgreSQL in /usr/lib/postgresql: apt-get install -y postgresql")
        .join("bin")
}

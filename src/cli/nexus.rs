//! `nexus`.

use super::acl::{self, GetFacl, SetFacl};
use super::admin_words::{self, AdminWord};
use super::daemon::{self, DaemonArgs};
use super::files::{self, FileCommand};
use super::grants::{self, GrantCommand};
use super::grep::{self, GrepArgs};
use super::helper::{self, Helper};
use super::inside::{self, Inside};
use super::log::{self, LogArgs};
use super::mount::{self, MountArgs, UmountArgs};
use super::owners::{self, OwnerCommand};
use super::place::Place;
use super::redo::{self, RedoArgs};
use super::run::{self as as_agent, RunArgs};
use super::snapshots::{self, SnapshotCommand};
use super::trash::{self, TrashCommand};
use super::undo::{self, RestoreArgs, UndoArgs};
use super::versions::{self, VersionCommand};
use super::watch::{self, WatchArgs};
use super::{doctor, exit, nexusctl, output, service, status};
use crate::core::Result;
use crate::facts::VERSION;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;
use std::process::ExitCode;

/// A filesystem for people and AI agents: every change has a name on it, and can be undone
#[derive(Debug, Parser)]
#[command(name = "nexus", version, propagate_version = true)]
struct Nexus {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mount the store at a directory; starts the daemon when none runs
    Mount(MountArgs),
    /// Make a store without mounting it
    Init,
    /// Take a mount away
    #[command(alias = "unmount")]
    Umount(UmountArgs),
    /// List the mounts of the store
    Mounts,
    /// Show how the daemon is
    Status,
    /// Check what a mount needs, and say how to cure what is wrong
    Doctor,
    /// Run a command, and all that it starts, as an agent or in a session
    Run(RunArgs),
    #[command(hide = true)]
    Inside(Inside),
    /// Show who changed what
    Log(LogArgs),
    /// Reverse operations: later work of others stays, and undoing is an operation that can be undone
    Undo(UndoArgs),
    /// Do again what an undo took back: the undo is undone
    Redo(RedoArgs),
    /// Make a file or a directory what it was
    #[command(disable_version_flag = true)]
    Restore(RestoreArgs),
    /// What was deleted, and how it comes back
    #[command(subcommand)]
    Trash(TrashCommand),
    /// Print operations as they are done
    Watch(WatchArgs),
    /// The log and undo by their longer names
    #[command(subcommand)]
    Ops(OpsCommand),
    #[command(flatten)]
    File(FileCommand),
    /// Search what files hold
    Grep(GrepArgs),
    #[command(flatten)]
    Versions(VersionCommand),
    /// Names for moments of directories
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Set an entry of a file's access control list
    Setfacl(SetFacl),
    /// Show a file's access control list
    Getfacl(GetFacl),
    #[command(flatten)]
    Owner(OwnerCommand),
    /// Share files and directories: relationships between users, agents, groups and paths
    #[command(subcommand)]
    Rebac(GrantCommand),
    /// Users, groups and API keys, in the words of the tutorials; `nexusctl` does more
    #[command(subcommand)]
    Admin(AdminWord),
    /// Print the version
    Version,
    /// Print a systemd unit that keeps a mount
    Service { dir: PathBuf },
    /// Print completions for a shell
    Completions { shell: Shell },
    /// Write man pages into a directory
    Man { dir: PathBuf },
    #[command(hide = true)]
    Daemon(DaemonArgs),
}

#[derive(Debug, Subcommand)]
enum OpsCommand {
    /// Show who changed what
    Log(LogArgs),
    /// Reverse operations: `nexus undo`
    Undo(UndoArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().peekable();
    if arguments
        .peek()
        .is_some_and(|program| helper::is_called(program))
    {
        return exit::main::<Helper>("mount.fuse.nexus", arguments, helper::run);
    }
    exit::main::<Nexus>("nexus", arguments, run)
}

fn run(Nexus { place, command }: Nexus) -> Result<()> {
    match command {
        Command::Mount(args) => mount::mount(&place, &args),
        Command::Init => service::init(&place),
        Command::Umount(args) => mount::umount(&place, &args),
        Command::Mounts => mount::mounts(&place),
        Command::Status => status::run(&place),
        Command::Doctor => doctor::run(&place),
        Command::Run(args) => as_agent::run(&place, args),
        Command::Inside(args) => inside::enter(&args),
        Command::Undo(args) | Command::Ops(OpsCommand::Undo(args)) => undo::run(&place, args),
        Command::Redo(args) => redo::run(&place, &args),
        Command::Restore(args) => undo::restore(&place, args),
        Command::Trash(command) => trash::run(&place, command),
        Command::Log(args) | Command::Ops(OpsCommand::Log(args)) => log::run(&place, &args),
        Command::Watch(args) => watch::run(&place, &args),
        Command::File(command) => files::run(&place, command),
        Command::Grep(args) => grep::run(&place, &args),
        Command::Versions(command) => versions::run(&place, command),
        Command::Snapshot(command) => snapshots::run(&place, command),
        Command::Setfacl(args) => acl::set(&place, &args),
        Command::Getfacl(args) => acl::get(&place, &args),
        Command::Owner(command) => owners::run(&place, command),
        Command::Rebac(command) => grants::run(&place, command),
        Command::Admin(word) => admin_words::run(&place, word),
        Command::Version => output::line(format!("nexus {VERSION}")),
        Command::Service { dir } => service::unit(&place, &dir),
        Command::Completions { shell } => service::completions(shell, Nexus::command()),
        Command::Man { dir } => service::man(&dir, [Nexus::command(), nexusctl::command()]),
        Command::Daemon(args) => daemon::run(&place, &args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_make_sense() {
        Nexus::command().debug_assert();
        Helper::command().debug_assert();
        nexusctl::command().debug_assert();
    }
}

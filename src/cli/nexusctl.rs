//! `nexusctl`.

use super::admin::{self, NamespaceCommand, TenantCommand};
use super::gc::{self, GcArgs};
use super::place::Place;
use super::principals::{self, AgentCommand, GroupCommand, KeyCommand, UserCommand};
use super::rebac::{self, RebacCommand};
use super::trust::{self, LogCommand, VerifyArgs};
use super::{exit, mount, service, status};
use crate::core::Result;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use std::process::ExitCode;

/// Administers a Nexus store: through its daemon when one runs, directly when none does
#[derive(Debug, Parser)]
#[command(name = "nexusctl", version, propagate_version = true)]
struct Nexusctl {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how the daemon is
    Status,
    /// Show figures of the running engine
    Stats,
    /// List the mounts of the store
    Mounts,
    /// Tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Users of a tenant
    #[command(subcommand)]
    User(UserCommand),
    /// Agents: programs that act for a user
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Groups of users, agents and groups
    #[command(subcommand)]
    Group(GroupCommand),
    /// API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// What new entries of a namespace look like
    #[command(subcommand)]
    Namespace(NamespaceCommand),
    /// Relationships: grants, what follows from them, and policy tests
    #[command(subcommand)]
    Rebac(RebacCommand),
    /// Show what the files would take, and what the store takes
    Df,
    /// Check that the rows make a tree, and the one the log tells of
    Fsck,
    /// Prove log, tree and blobs, reading every byte
    Verify(VerifyArgs),
    /// The operation log
    #[command(subcommand)]
    Log(LogCommand),
    /// Remove blobs that nothing refers to; history only when told how much of it to keep
    Gc(GcArgs),
    /// Caches of the running engine
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Unmount everything and end the daemon
    Shutdown {
        /// Even while a mount is in use
        #[arg(long)]
        force: bool,
    },
    /// Print completions for a shell
    Completions { shell: Shell },
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// Forget what is cached
    Drop,
}

/// Runs the program.
pub fn main() -> ExitCode {
    exit::main::<Nexusctl>("nexusctl", std::env::args_os(), run)
}

pub(super) fn command() -> clap::Command {
    Nexusctl::command()
}

fn run(Nexusctl { place, command }: Nexusctl) -> Result<()> {
    match command {
        Command::Status => status::run(&place),
        Command::Stats => admin::stats(&place),
        Command::Mounts => mount::mounts(&place),
        Command::Tenant(command) => admin::tenant(&place, command),
        Command::User(command) => principals::user(&place, command),
        Command::Agent(command) => principals::agent(&place, command),
        Command::Group(command) => principals::group(&place, command),
        Command::Key(command) => principals::key(&place, command),
        Command::Namespace(command) => admin::namespace(&place, command),
        Command::Rebac(command) => rebac::run(&place, command),
        Command::Df => admin::df(&place),
        Command::Fsck => admin::fsck(&place),
        Command::Verify(args) => trust::verify(&place, &args),
        Command::Log(command) => trust::log(&place, &command),
        Command::Gc(args) => gc::run(&place, &args),
        Command::Cache(CacheCommand::Drop) => admin::cache_drop(&place),
        Command::Shutdown { force } => admin::shutdown(&place, force),
        Command::Completions { shell } => service::completions(shell, self::command()),
    }
}

//! What administrators do: tenants, users, namespaces, checks.

use super::client::{Client, Socket};
use super::output::{self, Bar};
use super::place::Place;
use crate::api::Asked;
use crate::api::principals::{
    NamespaceInfo, NamespaceList, NamespaceSet, TenantCreate, TenantInfo, TenantList, UserCreate,
    UserInfo, UserList,
};
use crate::api::store::{CacheDrop, Checked, Df, Fsck, Gc, ShowStats, Verify};
use crate::core::{Error, Kind, Result, error::fail};
use crate::doors::control::ShutdownRequest;
use crate::doors::daemon::Status;
use clap::{Args, Subcommand};
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Make a tenant with its tree
    Create { name: String },
    /// List the tenants
    List,
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make a user of the tenant
    Create(NewUser),
    /// List the tenant's users
    List,
}

#[derive(Debug, Args)]
pub(super) struct NewUser {
    user: String,
    /// The name in full
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    email: Option<String>,
    /// The number on multi-user mounts [default: a free one]
    #[arg(long)]
    uid: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(super) enum NamespaceCommand {
    /// List the namespaces and their settings
    List,
    /// Set what new entries look like
    Set {
        name: String,
        /// Permission bits they may have, in octal
        #[arg(long)]
        mask: Option<String>,
        /// Whose group they get: the creator's or the tenant's
        #[arg(long, value_parser = ["keep", "tenant"])]
        group: Option<String>,
    },
}

pub(super) fn tenant(place: &Place, command: TenantCommand) -> Result<()> {
    let client = place.client()?;
    match command {
        TenantCommand::Create { name } => {
            let made = client.call(TenantCreate { name })?;
            output::show(place.json, &made, format!("made tenant {}", made.name))
        }
        TenantCommand::List => {
            let all = client.call(TenantList {})?;
            let row = |t: &TenantInfo| vec![t.name.clone(), t.id.to_string(), t.gid.to_string()];
            listed(
                place,
                &all,
                &["tenant", "id", "gid"],
                all.tenants.iter().map(row),
            )
        }
    }
}

pub(super) fn user(place: &Place, command: UserCommand) -> Result<()> {
    let client = place.client()?;
    match command {
        UserCommand::Create(NewUser {
            user,
            name,
            email,
            uid,
        }) => {
            let made = client.call(UserCreate {
                user,
                name,
                email,
                uid,
            })?;
            output::show(
                place.json,
                &made,
                format!("made user {} with uid {}", made.user, made.uid),
            )
        }
        UserCommand::List => {
            let all = client.call(UserList {})?;
            let or = |s: &Option<String>| s.clone().unwrap_or_else(|| "-".to_owned());
            let row =
                |u: &UserInfo| vec![u.user.clone(), u.uid.to_string(), or(&u.name), or(&u.email)];
            listed(
                place,
                &all,
                &["user", "uid", "name", "email"],
                all.users.iter().map(row),
            )
        }
    }
}

pub(super) fn namespace(place: &Place, command: NamespaceCommand) -> Result<()> {
    let client = place.client()?;
    let row = |n: &NamespaceInfo| vec![n.name.clone(), n.mask.clone(), n.group.clone()];
    match command {
        NamespaceCommand::List => {
            let all = client.call(NamespaceList {})?;
            listed(
                place,
                &all,
                &["namespace", "mask", "group"],
                all.namespaces.iter().map(row),
            )
        }
        NamespaceCommand::Set { name, mask, group } => {
            let set = client.call(NamespaceSet { name, mask, group })?;
            let text = format!("/{}: mask {}, group {}", set.name, set.mask, set.group);
            output::show(place.json, &set, text)
        }
    }
}

/// Prints a reply whole for programs, and as rows for people.
fn listed(
    place: &Place,
    reply: &impl serde::Serialize,
    head: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<()> {
    if place.json {
        return output::json(reply);
    }
    output::table(head, rows)
}

pub(super) fn stats(place: &Place) -> Result<()> {
    let stats = place.client()?.call(ShowStats {})?;
    if place.json {
        return output::json(&stats);
    }
    let lines = [
        ("operations", stats.operations),
        ("open", stats.open_handles),
        ("pending", stats.pending_files),
        ("cached bytes", stats.cache_bytes),
        ("statements", stats.statements),
        ("reads", stats.reads),
        ("changes", stats.changes),
        ("syncs", stats.syncs),
    ];
    lines
        .iter()
        .try_for_each(|(name, n)| output::line(format!("{name:12} {n}")))
}

pub(super) fn df(place: &Place) -> Result<()> {
    let space = place.client()?.call(Df {})?;
    let text = format!(
        "{} files of {} take {} in {} blobs: ratio {:.2}",
        space.files,
        output::size(space.logical_bytes),
        output::size(space.stored_bytes),
        space.blobs,
        space.ratio
    );
    output::show(place.json, &space, text)
}

pub(super) fn fsck(place: &Place) -> Result<()> {
    checked(place, &place.client()?.call(Fsck {})?)
}

pub(super) fn verify(place: &Place) -> Result<()> {
    let client = place.client()?;
    let mut bar = Bar::new("verifying");
    let report = client.call_telling(Verify {}, &mut |p| bar.tell(p))?;
    drop(bar);
    checked(place, &report)
}

fn checked(place: &Place, report: &Checked) -> Result<()> {
    if place.json {
        output::json(report)?;
    } else {
        report.problems.iter().try_for_each(output::line)?;
    }
    if !report.clean {
        let n = report.problems.len();
        return fail(
            Kind::Corrupt,
            format!("{n} problems found in {} things checked", report.checked),
        );
    }
    if place.json {
        Ok(())
    } else {
        output::line(format!("clean: {} checked", report.checked))
    }
}

pub(super) fn gc(place: &Place, dry_run: bool) -> Result<()> {
    let found = place.client()?.call(Gc { dry_run })?;
    let verb = if dry_run { "would free" } else { "freed" };
    let text = format!(
        "{verb} {} in {} blobs that nothing refers to",
        output::size(found.bytes),
        found.blobs
    );
    output::show(place.json, &found, text)
}

pub(super) fn cache_drop(place: &Place) -> Result<()> {
    match place.client()? {
        Client::Socket(daemon) => {
            let done = Client::Socket(daemon).call(CacheDrop {})?;
            output::show(place.json, &done, "dropped the caches")
        }
        Client::Embedded(_) => fail(Kind::Unavailable, "no daemon runs, so there are no caches"),
    }
}

/// Ends the daemon and returns when it is gone.
pub(super) fn shutdown(place: &Place, force: bool) -> Result<()> {
    let daemon = match Socket::connect(&place.socket()?, Asked::default()) {
        Err(e) if e.kind() == Kind::Unavailable => return absent(place),
        daemon => daemon?,
    };
    let last: Status = daemon.post("/daemon/shutdown", &ShutdownRequest { force })?;
    drop(daemon);
    // The daemon holds this lock for as long as it lives.
    let lock = File::open(place.config()?.lock())?;
    let gone = Flock::lock(lock, FlockArg::LockShared);
    gone.map_err(|(_, errno)| {
        Error::from(std::io::Error::from(errno)).context("waiting for the daemon")
    })?;
    let text = format!(
        "stopped; {} mounts taken away, {} files were pending and are stored",
        last.mounts.len(),
        last.pending.files
    );
    output::show(place.json, &last, text)
}

fn absent(place: &Place) -> Result<()> {
    fail(
        Kind::NotFound,
        format!("no daemon runs on {}", place.data_dir()?.display()),
    )
}

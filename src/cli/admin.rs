//! What administrators do: tenants, namespaces, checks.

use super::client::{Client, Socket};
use super::output;
use super::place::Place;
use super::undo;
use crate::api::Asked;
use crate::api::principals::{
    NamespaceInfo, NamespaceList, NamespaceSet, TenantCreate, TenantDelete, TenantInfo, TenantList,
};
use crate::api::store::{CacheDrop, Checked, Df, Fsck, ShowStats};
use crate::core::{Config, Error, Kind, Result, error::fail};
use crate::doors::control::ShutdownRequest;
use crate::doors::daemon::Status;
use crate::fs::Estate;
use clap::Subcommand;
use nix::fcntl::{Flock, FlockArg};
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt as _;

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Make a tenant with its tree
    Create { name: String },
    /// List the tenants
    List,
    /// Take a tenant away with its users, agents, groups, keys, grants and types; its files are history then (see gc)
    Delete {
        name: String,
        /// Only tell what would go
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
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
            output::listed(
                place.json,
                &all,
                &["tenant", "id", "gid"],
                all.tenants.iter().map(row),
            )
        }
        TenantCommand::Delete { name, dry_run, yes } => {
            delete_tenant(place, &client, &name, dry_run, yes)
        }
    }
}

fn delete_tenant(
    place: &Place,
    client: &Client,
    name: &str,
    dry_run: bool,
    yes: bool,
) -> Result<()> {
    let command = TenantDelete {
        name: name.to_owned(),
        dry_run: true,
    };
    if dry_run || !yes {
        let planned = client.call(command.clone())?;
        let text = format!("tenant {name} would be deleted: {}", estate_text(&planned));
        if dry_run {
            return output::show(place.json, &planned, text);
        }
        if !undo::asks(place, yes) {
            return fail(
                Kind::Invalid,
                format!("{text}; there is no undo of it: say --yes"),
            );
        }
        output::line(text)?;
        if !undo::confirmed("There is no undo of this. Delete it?")? {
            return fail(Kind::Invalid, "nothing was changed");
        }
    }
    let gone = client.call(TenantDelete {
        dry_run: false,
        ..command
    })?;
    let text = format!("deleted tenant {name}: {}", estate_text(&gone));
    output::show(place.json, &gone, text)
}

fn estate_text(e: &Estate) -> String {
    format!(
        "{} users, {} agents, {} groups, {} keys, {} grants, {} types; {} files ({}) stay as history until `nexusctl gc`",
        e.users,
        e.agents,
        e.groups,
        e.keys,
        e.grants,
        e.types,
        e.files,
        output::size(e.bytes)
    )
}

pub(super) fn namespace(place: &Place, command: NamespaceCommand) -> Result<()> {
    let client = place.client()?;
    let row = |n: &NamespaceInfo| vec![n.name.clone(), n.mask.clone(), n.group.clone()];
    match command {
        NamespaceCommand::List => {
            let all = client.call(NamespaceList {})?;
            output::listed(
                place.json,
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

pub(super) fn stats(place: &Place) -> Result<()> {
    let stats = place.client()?.call(ShowStats {})?;
    if place.json {
        return output::json(&stats);
    }
    let mut lines = vec![("operations", stats.operations)];
    if let Some(work) = stats.work {
        lines.extend([
            ("open", work.open_handles),
            ("pending", work.pending_files),
            ("locks", work.locks),
            ("lock waits", work.lock_waits),
            ("cached bytes", work.cache_bytes),
            ("statements", work.statements),
            ("reads", work.reads),
            ("changes", work.changes),
            ("syncs", work.syncs),
        ]);
    }
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

pub(super) fn checked(place: &Place, report: &Checked) -> Result<()> {
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
    let data_dir = OsString::from_vec(last.data_dir.0.clone());
    let lock = File::open(Config::new(data_dir).lock())?;
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

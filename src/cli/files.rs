//! The everyday file commands: with or without a mount, with or without a daemon.

use super::at::At;
use super::client::Client;
use super::listing::{ls, mode, tree};
use super::place::Place;
use super::{log, output, paths};
use crate::api::copy::Copy;
use crate::api::files::{Info, Mkdir, Move};
use crate::api::remove::{Remove, Removed};
use crate::api::stream::Onto;
use crate::core::{Kind, Result, Text};
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::OsStringExt as _;

/// How deep `tree` goes when it is not told.
const DEPTH: u32 = 64;

#[derive(Debug, Subcommand)]
pub(super) enum FileCommand {
    /// List a directory
    Ls {
        #[arg(default_value = "/")]
        path: OsString,
        /// Mode, owner, size and time as well
        #[arg(short)]
        long: bool,
        #[command(flatten)]
        at: At,
    },
    /// Print files
    #[command(disable_version_flag = true)]
    Cat {
        #[arg(required = true)]
        paths: Vec<OsString>,
        /// One of its versions, by its number (see `nexus versions`)
        #[arg(long, value_name = "N", conflicts_with = "at")]
        version: Option<u64>,
        #[command(flatten)]
        at: At,
    },
    /// Write a file: TEXT, or what comes on standard input
    Write(WriteArgs),
    /// Copy; the content is shared, so size does not matter
    Cp {
        #[arg(short, long)]
        recursive: bool,
        from: OsString,
        to: OsString,
        /// FROM only: TO is in the present
        #[command(flatten)]
        at: At,
    },
    /// Move or rename
    Mv { from: OsString, to: OsString },
    /// Remove
    Rm(RmArgs),
    /// Make directories
    Mkdir {
        /// Those above it too; none need be new
        #[arg(short, long)]
        parents: bool,
        #[arg(required = true)]
        paths: Vec<OsString>,
    },
    /// Show a directory and all below it
    Tree {
        #[arg(default_value = "/")]
        path: OsString,
        /// How many levels
        #[arg(short = 'L', long, default_value_t = DEPTH)]
        depth: u32,
        #[command(flatten)]
        at: At,
    },
    /// Tell all about a file
    Info {
        path: OsString,
        /// The SHA-256 of its content too
        #[arg(long)]
        hash: bool,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Args)]
pub(super) struct WriteArgs {
    path: OsString,
    text: Option<OsString>,
    /// Add to the end instead of replacing
    #[arg(short, long)]
    append: bool,
    /// Make missing directories above it
    #[arg(short, long)]
    parents: bool,
}

#[derive(Debug, Args)]
pub(super) struct RmArgs {
    /// Directories too, with all they hold
    #[arg(short, long)]
    recursive: bool,
    /// What does not exist is no error
    #[arg(short, long)]
    force: bool,
    /// Only tell what would go
    #[arg(long)]
    dry_run: bool,
    #[arg(required = true)]
    paths: Vec<OsString>,
}

pub(super) fn run(place: &Place, command: FileCommand) -> Result<()> {
    let client = place.client()?;
    let at = |path: &OsString| paths::in_nexus(&client, path);
    match command {
        FileCommand::Ls { path, long, at } => ls(place, &client, at.find(&client, &path)?, long),
        FileCommand::Cat { paths, version, at } => cat(&client, &paths, version, &at),
        FileCommand::Write(args) => write(place, &client, args),
        FileCommand::Cp {
            recursive,
            from,
            to,
            at: when,
        } => {
            let from = when.find(&client, &from)?;
            let to = into(&client, &from, at(&to)?)?;
            let copied = client.call(Copy {
                from,
                to,
                recursive,
            })?;
            output::quiet(place.json, &copied)
        }
        FileCommand::Mv { from, to } => {
            let from = at(&from)?;
            let to = into(&client, &from, at(&to)?)?;
            let moved = client.call(Move { from, to })?;
            output::quiet(place.json, &moved)
        }
        FileCommand::Rm(args) => rm(place, &client, &args),
        FileCommand::Mkdir { parents, paths } => paths.iter().try_for_each(|path| {
            let path = at(path)?;
            output::quiet(place.json, &client.call(Mkdir { path, parents })?)
        }),
        FileCommand::Tree { path, depth, at } => {
            tree(place, &client, &at.find(&client, &path)?, depth)
        }
        FileCommand::Info { path, hash, at } => {
            info(place, &client, at.find(&client, &path)?, hash)
        }
    }
}

fn cat(client: &Client, paths: &[OsString], version: Option<u64>, at: &At) -> Result<()> {
    let mut out = io::stdout().lock();
    for path in paths {
        client.read(&at.find(client, path)?.0, version, &mut out)?;
    }
    Ok(out.flush()?)
}

fn write(place: &Place, client: &Client, args: WriteArgs) -> Result<()> {
    let path = paths::in_nexus(client, &args.path)?;
    let input: Box<dyn Read + Send> = match args.text {
        Some(text) => Box::new(io::Cursor::new(text.into_vec())),
        None => Box::new(io::stdin()),
    };
    let onto = if args.append {
        Onto::Append
    } else {
        Onto::Replace
    };
    let written = client.write(&path.0, input, onto, args.parents)?;
    let text = format!(
        "wrote {path} ({}, version {})",
        output::size(written.size),
        written.version
    );
    output::show(place.json, &written, text)
}

/// Where something goes: into `to` when that is a directory, otherwise there.
fn into(client: &Client, from: &Text, to: Text) -> Result<Text> {
    match client.call(Info {
        path: to.clone(),
        hash: false,
        follow: true,
    }) {
        Ok(there) if there.attr.is_dir() => {
            let name = from.0.rsplit(|b| *b == b'/').next().unwrap_or_default();
            Ok(Text([&to.0, b"/".as_slice(), name].concat()))
        }
        Ok(_) => Ok(to),
        Err(e) if e.kind() == Kind::NotFound => Ok(to),
        Err(e) => Err(e),
    }
}

fn rm(place: &Place, client: &Client, args: &RmArgs) -> Result<()> {
    for path in &args.paths {
        let (recursive, dry_run) = (args.recursive, args.dry_run);
        let path = paths::in_nexus(client, path)?;
        let removed = match client.call(Remove {
            path,
            recursive,
            dry_run,
        }) {
            Err(e) if args.force && e.kind() == Kind::NotFound => continue,
            other => other?,
        };
        if place.json {
            output::json(&removed)?;
        } else if dry_run {
            output::each(false, &would_go(&removed), String::clone)?;
        }
    }
    Ok(())
}

/// What a dry run tells: the paths that are named, and how many are not.
fn would_go(removed: &Removed) -> Vec<String> {
    let paths = removed.paths.iter();
    let mut lines: Vec<_> = paths.map(|path| format!("would remove {path}")).collect();
    let left = removed.removed.saturating_sub(lines.len() as u64);
    lines.extend((left > 0).then(|| format!("… and {left} more")));
    lines
}

fn info(place: &Place, client: &Client, path: Text, hash: bool) -> Result<()> {
    let told = client.call(Info {
        path,
        hash,
        follow: false,
    })?;
    if place.json {
        return output::json(&told);
    }
    let a = &told.attr;
    let mut lines = vec![
        ("path", told.path.to_string()),
        ("kind", a.kind.clone()),
        ("size", format!("{} ({})", a.size, output::size(a.size))),
        ("mode", format!("{:04o} ({})", a.mode, mode(a))),
        (
            "owner",
            format!("{} (uid {}, gid {})", a.owner, a.uid, a.gid),
        ),
        ("links", a.nlink.to_string()),
        ("node", a.ino.to_string()),
        ("version", a.version.to_string()),
        ("modified", log::exact(&a.mtime)),
        ("changed", log::exact(&a.ctime)),
        ("created", log::exact(&a.btime)),
    ];
    lines.extend(a.target.as_ref().map(|t| ("target", t.to_string())));
    lines.extend(told.content_hash.map(|h| ("sha256", h)));
    let ends = "grants from above end here".to_owned();
    lines.extend(told.restricted.then_some(("boundary", ends)));
    lines
        .into_iter()
        .try_for_each(|(key, value)| output::line(format!("{key:9} {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_says_how_many_it_does_not_name() {
        let removed = |removed| Removed {
            removed,
            paths: vec!["/workspace/a".into(), "/workspace".into()],
        };
        let named = ["would remove /workspace/a", "would remove /workspace"];
        assert_eq!(would_go(&removed(2)), named);
        assert_eq!(would_go(&removed(5)).last().unwrap(), "… and 3 more");
    }
}

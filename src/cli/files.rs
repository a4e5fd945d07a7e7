//! The everyday file commands: with or without a mount, with or without a daemon.

use super::client::Client;
use super::place::Place;
use super::{log, output, paths};
use crate::api::copy::Copy;
use crate::api::files::{Attr, Entry, Info, List, Mkdir, Move};
use crate::api::remove::Remove;
use crate::api::stream::Onto;
use crate::core::{Kind, Result, Text};
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read, Write as _};
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
    },
    /// Print files
    Cat {
        #[arg(required = true)]
        paths: Vec<OsString>,
    },
    /// Write a file: TEXT, or what comes on standard input
    Write(WriteArgs),
    /// Copy; the content is shared, so size does not matter
    Cp {
        #[arg(short, long)]
        recursive: bool,
        from: OsString,
        to: OsString,
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
    },
    /// Tell all about a file
    Info {
        path: OsString,
        /// The SHA-256 of its content too
        #[arg(long)]
        hash: bool,
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
        FileCommand::Ls { path, long } => ls(place, &client, at(&path)?, long),
        FileCommand::Cat { paths } => cat(&client, &paths),
        FileCommand::Write(args) => write(place, &client, args),
        FileCommand::Cp {
            recursive,
            from,
            to,
        } => {
            let from = at(&from)?;
            let to = into(&client, &from, at(&to)?)?;
            let copied = client.call(Copy {
                from,
                to,
                recursive,
            })?;
            if place.json {
                output::json(&copied)
            } else {
                Ok(())
            }
        }
        FileCommand::Mv { from, to } => {
            let from = at(&from)?;
            let to = into(&client, &from, at(&to)?)?;
            let moved = client.call(Move { from, to })?;
            if place.json {
                output::json(&moved)
            } else {
                Ok(())
            }
        }
        FileCommand::Rm(args) => rm(place, &client, &args),
        FileCommand::Mkdir { parents, paths } => paths.iter().try_for_each(|path| {
            client
                .call(Mkdir {
                    path: at(path)?,
                    parents,
                })
                .map(drop)
        }),
        FileCommand::Tree { path, depth } => tree(&client, &at(&path)?, depth),
        FileCommand::Info { path, hash } => info(place, &client, at(&path)?, hash),
    }
}

fn ls(place: &Place, client: &Client, path: Text, long: bool) -> Result<()> {
    let listing = client.call(List { path })?;
    if place.json {
        return listing.entries.iter().try_for_each(output::json);
    }
    let mut out = Vec::new();
    let wide = |f: fn(&Attr) -> usize| {
        listing
            .entries
            .iter()
            .map(|e| f(&e.attr))
            .max()
            .unwrap_or(0)
    };
    let (owner, size) = (wide(|a| a.owner.len()), wide(|a| a.size.to_string().len()));
    for entry in &listing.entries {
        if long {
            let a = &entry.attr;
            let time = log::short(&a.mtime);
            write!(
                out,
                "{} {:>3} {:owner$} {:>size$} {time} ",
                mode(a),
                a.nlink,
                a.owner,
                a.size
            )?;
        }
        name(&mut out, &entry.name);
        if let (true, Some(target)) = (long, &entry.attr.target) {
            out.extend_from_slice(b" -> ");
            name(&mut out, target);
        }
        out.push(b'\n');
    }
    output::raw(&out)
}

/// A name as its bytes; on a terminal as text that cannot command it.
fn name(out: &mut Vec<u8>, name: &Text) {
    if io::stdout().is_terminal() {
        out.extend(name.to_string().chars().flat_map(|c| {
            if c.is_control() {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
            .into_bytes()
        }));
    } else {
        out.extend_from_slice(&name.0);
    }
}

/// `drwxr-xr-x`, as ls(1) writes it.
fn mode(attr: &Attr) -> String {
    let letter = match attr.kind.as_str() {
        "directory" => 'd',
        "symlink" => 'l',
        "fifo" => 'p',
        "socket" => 's',
        "character device" => 'c',
        "block device" => 'b',
        _ => '-',
    };
    let mut out = String::from(letter);
    for (shift, special, (with, without)) in [
        (6, 0o4000, ('s', 'S')),
        (3, 0o2000, ('s', 'S')),
        (0, 0o1000, ('t', 'T')),
    ] {
        let bits = attr.mode >> shift;
        out.push(if bits & 4 != 0 { 'r' } else { '-' });
        out.push(if bits & 2 != 0 { 'w' } else { '-' });
        out.push(match (attr.mode & special != 0, bits & 1 != 0) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    out
}

fn cat(client: &Client, paths: &[OsString]) -> Result<()> {
    let mut out = io::stdout().lock();
    for path in paths {
        client.read(&paths::in_nexus(client, path)?.0, &mut out)?;
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
            removed
                .paths
                .iter()
                .try_for_each(|p| output::line(format!("would remove {p}")))?;
        }
    }
    Ok(())
}

fn tree(client: &Client, path: &Text, depth: u32) -> Result<()> {
    output::line(path.to_string())?;
    let mut out = Vec::new();
    branches(client, path, "", depth, &mut out)?;
    output::raw(&out)
}

fn branches(
    client: &Client,
    path: &Text,
    indent: &str,
    depth: u32,
    out: &mut Vec<u8>,
) -> Result<()> {
    if depth == 0 {
        return Ok(());
    }
    let entries: Vec<Entry> = client.call(List { path: path.clone() })?.entries;
    for (i, entry) in entries.iter().enumerate() {
        let last = i + 1 == entries.len();
        write!(out, "{indent}{}", if last { "└── " } else { "├── " })?;
        name(out, &entry.name);
        out.push(b'\n');
        if entry.attr.is_dir() {
            let below = Text([path.0.as_slice(), b"/", &entry.name.0].concat());
            let indent = format!("{indent}{}", if last { "    " } else { "│   " });
            match branches(client, &below, &indent, depth - 1, out) {
                Err(e) if e.kind() == Kind::Denied => writeln!(out, "{indent}└── (no permission)")?,
                other => other?,
            }
        }
    }
    Ok(())
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
        ("modified", a.mtime.clone()),
        ("changed", a.ctime.clone()),
        ("created", a.btime.clone()),
    ];
    lines.extend(a.target.as_ref().map(|t| ("target", t.to_string())));
    lines.extend(told.content_hash.map(|h| ("sha256", h)));
    lines
        .into_iter()
        .try_for_each(|(key, value)| output::line(format!("{key:9} {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_look_as_ls_writes_them() {
        let attr = |kind: &str, mode| Attr {
            ino: 1,
            kind: kind.into(),
            mode,
            nlink: 1,
            owner: "ann".into(),
            uid: 1,
            gid: 1,
            size: 0,
            mtime: String::new(),
            ctime: String::new(),
            btime: String::new(),
            version: 1,
            target: None,
        };
        assert_eq!(mode(&attr("directory", 0o1777)), "drwxrwxrwt");
        assert_eq!(mode(&attr("file", 0o4640)), "-rwSr-----");
        assert_eq!(mode(&attr("file", 0o2755)), "-rwxr-sr-x");
    }
}

//! Directories as the terminal shows them: `ls`, `tree`.

use super::client::Client;
use super::place::Place;
use super::plain::plain;
use super::{log, output};
use crate::api::files::{Attr, Entry, List};
use crate::core::{Kind, Result, Text};
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};

pub(super) fn ls(place: &Place, client: &Client, path: Text, long: bool) -> Result<()> {
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
        out.extend(plain(&name.to_string()).into_bytes());
    } else {
        out.extend_from_slice(&name.0);
    }
}

/// `drwxr-xr-x`, as ls(1) writes it.
pub(super) fn mode(attr: &Attr) -> String {
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

/// What `tree --json` tells of a name.
#[derive(Serialize)]
struct Branch<'a> {
    path: &'a Text,
    #[serde(flatten)]
    attr: &'a Attr,
}

pub(super) fn tree(place: &Place, client: &Client, path: &Text, depth: u32) -> Result<()> {
    if place.json {
        return leaves(client, path, depth);
    }
    output::line(path.to_string())?;
    let mut out = Vec::new();
    branches(client, path, "", depth, &mut out)?;
    output::raw(&out)
}

/// The tree for programs: a line each, as `ls --json` has them, with the whole path.
fn leaves(client: &Client, path: &Text, depth: u32) -> Result<()> {
    if depth == 0 {
        return Ok(());
    }
    for entry in client.call(List { path: path.clone() })?.entries {
        let (path, attr) = (&below(path, &entry.name), &entry.attr);
        output::json(&Branch { path, attr })?;
        if attr.is_dir() {
            match leaves(client, path, depth - 1) {
                Err(e) if e.kind() == Kind::Denied => {
                    eprintln!("{}: no permission", plain(&path.to_string()));
                }
                // It went while the tree was read.
                Err(e) if e.kind() == Kind::NotFound => {}
                other => other?,
            }
        }
    }
    Ok(())
}

fn below(dir: &Text, name: &Text) -> Text {
    let dir = dir.0.strip_suffix(b"/").unwrap_or(&dir.0);
    Text([dir, b"/", &name.0].concat())
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
            let below = below(path, &entry.name);
            let indent = format!("{indent}{}", if last { "    " } else { "│   " });
            match branches(client, &below, &indent, depth - 1, out) {
                Err(e) if e.kind() == Kind::Denied => writeln!(out, "{indent}└── (no permission)")?,
                // It went while the tree was read.
                Err(e) if e.kind() == Kind::NotFound => {}
                other => other?,
            }
        }
    }
    Ok(())
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

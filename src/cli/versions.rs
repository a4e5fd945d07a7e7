//! `nexus versions`, `diff` and `blame`.

use super::place::Place;
use super::plain::plain;
use super::{log, output, paths};
use crate::api::versions::{Blame, Blamed, Changed, Diff, Diffed, State, Version, Versions};
use crate::core::{Result, Text};
use clap::Subcommand;
use std::ffi::OsString;
use std::io::Write as _;

/// How many characters of a hash tables show.
const HASH_SHOWN: usize = 12;

#[derive(Debug, Subcommand)]
pub(super) enum VersionCommand {
    /// List the versions of a file: when each was made, and by whom
    Versions {
        path: OsString,
        /// The SHA-256 of large versions, too, which reads them
        #[arg(long)]
        hash: bool,
    },
    /// Show how a file or directory differs from what it was
    Diff {
        path: OsString,
        /// A version's number or a time: 3, 10m-ago, yesterday, op:8123 [default: the version before]
        #[arg(long, value_name = "A", allow_hyphen_values = true)]
        from: Option<String>,
        /// The same of the newer side [default: now]
        #[arg(long, value_name = "B", allow_hyphen_values = true)]
        to: Option<String>,
    },
    /// Show whose each line of a file is
    Blame { path: OsString },
}

pub(super) fn run(place: &Place, command: VersionCommand) -> Result<()> {
    let client = place.client()?;
    let at = |path: &OsString| paths::in_nexus(&client, path);
    match command {
        VersionCommand::Versions { path, hash } => {
            let path = at(&path)?;
            let reply = client.call(Versions { path, hash })?;
            let head = [
                "version", "op", "time", "size", "sha256", "kind", "who", "command",
            ];
            output::listed(place.json, &reply, &head, reply.versions.iter().map(row))?;
            tell_beginning(place, reply.begins);
            Ok(())
        }
        VersionCommand::Diff { path, from, to } => {
            let path = at(&path)?;
            let told = client.call(Diff { path, from, to })?;
            if place.json {
                return output::json(&told);
            }
            output::raw(&differences(&told)?)
        }
        VersionCommand::Blame { path } => blame(place, &client.call(Blame { path: at(&path)? })?),
    }
}

/// Says what cannot be told, beside what is: on standard error.
fn tell_beginning(place: &Place, begins: Option<u64>) {
    if let Some(op) = begins.filter(|_| !place.json) {
        eprintln!("what was before operation {op} is forgotten");
    }
}

fn row(v: &Version) -> Vec<String> {
    let hash = v.hash.as_ref().and_then(|h| h.get(..HASH_SHOWN));
    vec![
        v.version.to_string(),
        v.op.to_string(),
        log::short(&v.time),
        v.size.to_string(),
        output::or_dash(hash),
        v.kind.clone(),
        who(v),
        v.command.clone(),
    ]
}

/// `alice+fixer (s1)`: user, agent and session.
fn who(v: &Version) -> String {
    let user = v.user.clone().unwrap_or_else(|| format!("uid {}", v.uid));
    let agent = v.agent.as_ref().map_or(String::new(), |a| format!("+{a}"));
    let session = v
        .session
        .as_ref()
        .map_or(String::new(), |s| format!(" ({s})"));
    format!("{user}{agent}{session}")
}

pub(super) fn differences(told: &Diffed) -> Result<Vec<u8>> {
    let mut out = headed(&told.text.clone().unwrap_or_default().0);
    for change in &told.changes {
        writeln!(out, "{}", plain(&changed(change)))?;
    }
    if told.more {
        writeln!(out, "… and more: compare a directory further down")?;
    }
    Ok(out)
}

/// A comparison of texts with the times in its two heads as whoever asks reads them.
fn headed(text: &[u8]) -> Vec<u8> {
    let head = |line: &[u8]| {
        let time = line.iter().rposition(|b| *b == b' ').map_or(0, |n| n + 1);
        let (name, time) = line.split_at(time);
        let time = String::from_utf8_lossy(time);
        [name, log::short(&time).as_bytes()].concat()
    };
    let mut lines: Vec<_> = text
        .splitn(3, |b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if lines.len() == 3 {
        for line in &mut lines[..2] {
            *line = head(line);
        }
    }
    lines.join(&b'\n')
}

/// A line of what differs: `+` and `-` for what came and went, `~` for what changed, `m` for mode or owner alone.
fn changed(change: &Changed) -> String {
    let mark = match change.change.as_str() {
        "added" => '+',
        "removed" => '-',
        "attributes" => 'm',
        _ => '~',
    };
    let either = change.new.as_ref().or(change.old.as_ref());
    let end = either.map_or("", |s| if s.kind == 'd' { "/" } else { "" });
    let what = match (&change.old, &change.new) {
        (Some(old), Some(new)) if mark == 'm' => {
            format!("{} -> {}", owned(old), owned(new))
        }
        (Some(old), Some(new)) => format!("{} -> {}", sized(old), sized(new)),
        (Some(state), None) | (None, Some(state)) if state.kind == '-' => sized(state),
        _ => String::new(),
    };
    let path = if change.path == Text::default() && end == "/" {
        "./".to_owned()
    } else if change.path == Text::default() {
        "content".to_owned()
    } else {
        format!("{}{end}", change.path)
    };
    format!("{mark} {path}  {what}").trim_end().to_owned()
}

fn sized(state: &State) -> String {
    let hash = state.hash.as_ref().and_then(|h| h.get(..HASH_SHOWN));
    let hash = hash.map_or(String::new(), |h| format!(" {h}"));
    format!("{} bytes{hash}", state.size)
}

fn owned(state: &State) -> String {
    format!("{:04o} {}:{}", state.mode, state.uid, state.gid)
}

fn blame(place: &Place, told: &Blamed) -> Result<()> {
    if place.json {
        return output::json(told);
    }
    let whose = |number: &u64| told.versions.get(number).map(who).unwrap_or_default();
    let wide = told.versions.keys().map(|n| whose(n).len()).max();
    let wide = wide.unwrap_or(0);
    let digits = told.lines.len().to_string().len();
    let mut out = Vec::new();
    for (number, line) in (1..).zip(&told.lines) {
        if let Some(v) = told.versions.get(&line.version) {
            let (time, who) = (log::short(&v.time), plain(&who(v)));
            write!(
                out,
                "op:{:<7} {time}  {who:wide$}  {number:>digits$}  ",
                v.op
            )?;
        }
        let text = line.text.to_string();
        let columns = text.strip_suffix('\n').unwrap_or(&text).split('\t');
        let shown: Vec<_> = columns.map(plain).collect();
        writeln!(out, "{}", shown.join("\t"))?;
    }
    output::raw(&out)?;
    tell_beginning(place, told.begins);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_in_a_comparison_commands_no_terminal() {
        let moment = json!({"op": 1, "time": "2026-11-22T10:00:00Z"});
        let told = json!({
            "from": moment, "to": moment,
            "changes": [{"path": "nl\nroot \u{1b}[31mred", "change": "added"}],
        });
        let shown = differences(&serde_json::from_value(told).unwrap()).unwrap();
        assert_eq!(shown, b"+ nl\\nroot \\u{1b}[31mred\n");
    }
}

//! `nexus undo` and `nexus restore`.

use super::client::Client;
use super::output;
use super::paths;
use super::place::Place;
use super::wanted::WantedArgs;
use crate::api::undo::{Asked, Found, LeftOut, Obstacle, Restore, Step, Undo, Undoing};
use crate::core::{Kind, Result, error::fail};
use crate::history::{Answer, OpSet};
use clap::Args;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};

/// How many names are shown.
const SHOWN: usize = 20;

/// Numbers of operations stand where a path may: a file of such a name is `./8123`.
#[derive(Debug, Args)]
pub(super) struct UndoArgs {
    #[command(flatten)]
    wanted: WantedArgs,
    /// Numbers of operations instead of a path: 8123, 8120-8123, 8120..8123, 8120,8125, op:8123; several may be said
    #[arg(value_name = "OP")]
    ops: Vec<String>,
    /// Your newest change that was not undone
    #[arg(long)]
    last: bool,
    /// Only say what would come back, and what somebody changed since
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    ways: Ways,
}

/// Ways out where something is in the way.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Ways {
    /// Leave out what later work depends on
    #[arg(long)]
    skip: bool,
    /// The same, and put old contents beside what is there now, as NAME.undo-OP
    #[arg(long)]
    force_copy: bool,
}

impl Ways {
    pub(super) fn answer(self) -> Answer {
        match (self.force_copy, self.skip) {
            (true, _) => Answer::Aside,
            (false, true) => Answer::Skip,
            (false, false) => Answer::Stop,
        }
    }
}

/// The only way out of a restore.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct SkipArgs {
    /// Leave out what something is in the way of
    #[arg(long)]
    skip: bool,
}

impl SkipArgs {
    pub(super) fn answer(self) -> Answer {
        if self.skip {
            Answer::Skip
        } else {
            Answer::Stop
        }
    }
}

pub(super) fn run(place: &Place, mut args: UndoArgs) -> Result<()> {
    let ops = args.wanted.take_numbers(&args.ops)?;
    let (client, wanted) = args.wanted.asked(place)?;
    let command = Undo {
        ops,
        newest: args.last,
        wanted,
        answer: args.ways.answer(),
        dry_run: true,
    };
    if args.dry_run || asks(place, args.yes) {
        let planned = client.call(command.clone())?;
        if args.dry_run {
            return told(place, &planned, Asked::Undo, true);
        }
        show(&planned, &says(Asked::Undo, true))?;
        planned.done(Asked::Undo)?;
        if !confirmed("Undo this?")? {
            return fail(Kind::Invalid, "nothing was changed");
        }
    }
    let undone = client.call(Undo {
        dry_run: false,
        ..command
    })?;
    told(place, &undone, Asked::Undo, false)
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    path: OsString,
    /// The moment: 2026-11-22T10:00, 10m-ago, yesterday, op:8123
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    at: Option<String>,
    /// One of the versions of a file, by its number: its content comes back
    #[arg(long, value_name = "N", conflicts_with = "at")]
    version: Option<u64>,
    #[command(flatten)]
    skip: SkipArgs,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(super) fn restore(place: &Place, args: RestoreArgs) -> Result<()> {
    let client = place.client()?;
    let what = Restore {
        path: paths::in_nexus(&client, &args.path)?,
        at: args.at,
        version: args.version,
        answer: args.skip.answer(),
        dry_run: args.dry_run,
    };
    restored(place, &client, &what, args.yes)
}

/// Makes something what it was, when whoever is there to be asked wants it.
pub(super) fn restored(place: &Place, client: &Client, what: &Restore, yes: bool) -> Result<()> {
    sure(place, (what.dry_run, yes), Asked::Restore, |dry_run| {
        let what = what.clone();
        client.call(Restore { dry_run, ..what })
    })
}

/// Brings something back: says what would come, asks whoever is there, and does it.
pub(super) fn sure(
    place: &Place,
    (dry_run, yes): (bool, bool),
    asked: Asked,
    work: impl Fn(bool) -> Result<Undoing>,
) -> Result<()> {
    if dry_run {
        return told(place, &work(true)?, asked, true);
    }
    if asks(place, yes) {
        let planned = work(true)?;
        show(&planned, &says(asked, true))?;
        planned.done(asked)?;
        let question = match asked {
            Asked::Undo => "Undo this?",
            Asked::Trash | Asked::Restore => "Restore this?",
        };
        if !planned.is_nothing() && !confirmed(question)? {
            return fail(Kind::Invalid, "nothing was changed");
        }
    }
    told(place, &work(false)?, asked, false)
}

/// Prints what was done, or would be, and fails where something is in the way.
pub(super) fn told(place: &Place, done: &Undoing, asked: Asked, dry_run: bool) -> Result<()> {
    if place.json {
        output::json(done)?;
    } else {
        show(done, &says(asked, dry_run))?;
    }
    done.done(asked)
}

fn says(asked: Asked, dry_run: bool) -> String {
    let done = match asked {
        Asked::Undo => "undone",
        Asked::Trash | Asked::Restore => "restored",
    };
    let would = if dry_run { "would be " } else { "" };
    format!("{would}{done}")
}

/// Whether somebody is there to be asked before it is done.
pub(super) fn asks(place: &Place, yes: bool) -> bool {
    !yes && !place.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on the terminal.
pub(super) fn confirmed(question: &str) -> Result<bool> {
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn show(undoing: &Undoing, how: &str) -> Result<()> {
    if let Some(found) = &undoing.newest {
        let (op, kind, path) = (found.op, &found.kind, &found.path);
        output::line(format!("undoing {op} {kind} {path}"))?;
    }
    if !undoing.saves.is_empty() {
        let Undoing { saves, .. } = undoing;
        output::line(format!(
            "with     operations {saves}: one save with a rename that is undone"
        ))?;
    }
    for step in told_steps(undoing).take(SHOWN) {
        let since = step
            .since
            .zip(step.who.as_ref())
            .map_or(String::new(), |(op, who)| {
                format!("; what {who} did to it since stays (operation {op})")
            });
        output::line(format!("{:8} {}{since}", step.what, step.path))?;
    }
    let more = undoing.names.saturating_sub(SHOWN as u64);
    if more > 0 {
        output::line(format!("… and {more} more"))?;
    }
    for moved in undoing.members.iter().take(SHOWN) {
        let (what, way) = if moved.is_in {
            ("add", "to")
        } else {
            ("remove", "from")
        };
        let (member, group) = (&moved.member, &moved.group);
        output::line(format!("{what:8} {member} {way} group {group}"))?;
    }
    for (obstacle, times) in folded(&undoing.conflicts) {
        let times = if times > 1 {
            format!(" ({times} times)")
        } else {
            String::new()
        };
        output::line(format!("{}{times}", in_the_way(&obstacle)))?;
    }
    staying(&undoing.left).try_for_each(output::line)?;
    not_chosen(undoing)?;
    if let Some(path) = &undoing.now_at {
        output::line(format!("it is {path} now"))?;
    }
    if undoing.is_stopped() {
        return Ok(());
    }
    let counts = [
        (undoing.restored, "restored"),
        (undoing.removed, "removed"),
        (undoing.changed, "changed"),
        (undoing.names, "names"),
        (undoing.grants, "grants"),
        (undoing.members.len() as u64, "members"),
    ];
    let counts = counts.iter().filter(|(n, _)| *n > 0);
    let counts: Vec<_> = counts.map(|(n, what)| format!("{n} {what}")).collect();
    let what = match (counts.is_empty(), undoing.op) {
        (true, None) => return output::line("nothing to do"),
        // Times of directories alone.
        (true, Some(_)) => "times".to_owned(),
        (false, _) => counts.join(", "),
    };
    let by = undoing.op.map_or(String::new(), |op| {
        format!("; `nexus undo {op}` takes this back")
    });
    output::line(format!("{how}: {what}{by}"))
}

/// What would be done or was; nothing of what stands in the way, where nothing was done for that.
fn told_steps(undoing: &Undoing) -> impl Iterator<Item = &Step> {
    let blocked = |step: &&Step| {
        let mut all = undoing.conflicts.iter().filter_map(|o| o.path.as_ref());
        undoing.is_stopped() && all.any(|path| *path == step.path)
    };
    undoing.steps.iter().filter(move |step| !blocked(step))
}

/// What bears on what was asked for, and stays.
fn not_chosen(undoing: &Undoing) -> Result<()> {
    for Found { op, kind, path } in undoing.reaching.iter().take(SHOWN) {
        output::line(format!(
            "stays    operation {op} ({kind} {path}) changed something there, and more: `nexus undo {op}`"
        ))?;
    }
    let more = undoing.reaching.len().saturating_sub(SHOWN);
    if more > 0 {
        output::line(format!("stays    {more} more of that kind"))?;
    }
    if let Some(others) = undoing.others {
        let s = if others == 1 { "" } else { "s" };
        let ways = "--user or --agent names whose to undo";
        output::line(format!(
            "stays    {others} operation{s} of others in that session: {ways}"
        ))?;
    }
    Ok(())
}

/// Conflicts that say the same of the same path as one, with all that they are in the way of; how many they were.
fn folded(all: &[Obstacle]) -> Vec<(Obstacle, usize)> {
    let mut told: Vec<(Obstacle, OpSet, usize)> = Vec::new();
    for new in all {
        let ops = new.ops.parse().unwrap_or_default();
        let same = |o: &Obstacle| (&o.path, &o.why, o.by) == (&new.path, &new.why, new.by);
        match told.iter_mut().find(|(o, ..)| same(o)) {
            Some((_, known, times)) => {
                known.join(&ops);
                *times += 1;
            }
            None => told.push((new.clone(), ops, 1)),
        }
    }
    let one = |(o, ops, times): (Obstacle, OpSet, usize)| {
        let ops = ops.to_string();
        (Obstacle { ops, ..o }, times)
    };
    told.into_iter().map(one).collect()
}

/// What stays, a line a kind.
fn staying(left: &[LeftOut]) -> impl Iterator<Item = String> {
    let mut kinds: BTreeMap<&str, OpSet> = BTreeMap::new();
    for one in left {
        kinds.entry(&one.kind).or_default().add(one.op);
    }
    kinds.into_iter().map(|(kind, ops)| {
        let s = if ops.len() == 1 { "" } else { "s" };
        format!("stays    operation{s} {ops} ({kind})")
    })
}

fn in_the_way(o: &Obstacle) -> String {
    let what = o
        .path
        .as_ref()
        .map_or(String::new(), |path| format!(" {path}"));
    let by = match (&o.by, &o.kind, &o.who) {
        (Some(by), Some(kind), Some(who)) => format!(" by operation {by} ({kind}, {who})"),
        _ => String::new(),
    };
    let of = if o.ops.is_empty() {
        String::new()
    } else {
        format!("; in the way of undoing {}", o.ops)
    };
    format!("conflict{what}: {}{by}{of}", o.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_that_say_the_same_are_one_line() {
        let told = |ops: &str, by, path: &str| Obstacle {
            ops: ops.to_owned(),
            by,
            kind: None,
            who: None,
            path: Some(crate::core::Text(path.as_bytes().to_vec())),
            why: "its directory is gone".to_owned(),
        };
        let all = [
            told("5", Some(9), "/t"),
            told("6", Some(9), "/t"),
            told("5", Some(9), "/u"),
            told("7", None, "/t"),
        ];
        let found = folded(&all);
        let shown = found.iter().map(|(o, times)| (&*o.ops, *times));
        assert!(shown.eq([("5-6", 2), ("5", 1), ("7", 1)]));
    }

    #[test]
    fn a_plan_that_is_refused_tells_of_a_path_once() {
        let told = |stopped: bool| {
            let plan = serde_json::json!({
                "op": null, "ops": "5", "restored": 0, "removed": 2, "changed": 0, "names": 2, "grants": 0, "skipped": "",
                "left": [], "stopped": stopped,
                "steps": [{"what": "remove", "path": "/a"}, {"what": "remove", "path": "/b"}],
                "conflicts": [{"ops": "5", "by": null, "kind": null, "who": null, "path": "/b", "why": "it was changed"}],
            });
            let plan: Undoing = serde_json::from_value(plan).unwrap();
            let paths = told_steps(&plan).map(|step| step.path.to_string());
            paths.collect::<Vec<_>>()
        };
        assert_eq!(told(true), ["/a"]);
        // What stood in the way was left out, and what is told was done.
        assert_eq!(told(false), ["/a", "/b"]);
    }

    #[test]
    fn what_stays_is_a_line_a_kind() {
        let left = |op, kind: &str| LeftOut {
            op,
            kind: kind.to_owned(),
        };
        let left = [left(3, "bypass"), left(4, "key-create"), left(5, "bypass")];
        let lines: Vec<_> = staying(&left).collect();
        assert_eq!(
            lines,
            [
                "stays    operations 3,5 (bypass)",
                "stays    operation 4 (key-create)"
            ]
        );
    }
}

//! What a file was: its versions, whose each line is, how two moments differ.

use super::Command;
use super::context::{Context, path_of};
use super::moment::Moment;
use crate::core::{FsPath, Kind, Result, Text};
use crate::history::{self, Change, Compared, Difference, Side};
use crate::meta::Node;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One version of a file, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Counts the versions of the file, from 1.
    pub version: u64,
    pub op: u64,
    /// RFC 3339, UTC, nanoseconds.
    pub time: String,
    /// What kind of change made it, as the log has it.
    pub kind: String,
    pub size: u64,
    /// SHA-256 of the content; where it was not asked for, only if it is known without reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    pub user: Option<String>,
    pub agent: Option<String>,
    pub session: Option<String>,
    pub uid: u32,
    pub command: String,
}

impl Version {
    fn of(version: &history::Version) -> Self {
        let author = &version.record.author;
        Self {
            version: version.number,
            op: version.record.op.0,
            time: version.record.time.to_string(),
            kind: version.record.kind.name().to_owned(),
            size: version.node.size,
            hash: version.node.content.whole_hash().map(|h| h.to_string()),
            user: author.user.clone(),
            agent: author.agent.clone(),
            session: author.session.clone(),
            uid: author.uid,
            command: author.comm.clone(),
        }
    }
}

/// Lists the versions of a file, the oldest first. With `hash` the SHA-256 of large ones is computed, too.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    pub path: Text,
    #[serde(default)]
    pub hash: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct VersionList {
    pub versions: Vec<Version>,
    /// The first operation that is not forgotten, where some are and the file may be older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<u64>,
}

impl Command for Versions {
    const NAME: &'static str = "versions";
    type Reply = VersionList;

    fn run(self, cx: &mut Context<'_>) -> Result<VersionList> {
        let path = path_of(&self.path)?;
        let mut versions = Vec::new();
        for version in history::versions(cx.engine(), cx.caller, &path)? {
            let mut told = Version::of(&version);
            if self.hash && told.hash.is_none() {
                told.hash = hash_of(cx, &version.node)?;
            }
            versions.push(told);
        }
        let begins = begins(cx, &path)?;
        Ok(VersionList { versions, begins })
    }
}

/// The hash of a file's content; none of one that is too large to be read for it.
fn hash_of(cx: &Context<'_>, node: &Node) -> Result<Option<String>> {
    match cx.engine().blobs().whole_hash(&node.content) {
        Err(e) if e.kind() == Kind::TooLarge => Ok(None),
        hash => hash.map(|hash| Some(hash.to_string())),
    }
}

/// Where what is remembered begins, if the file may have had versions before that: one that was made later had none.
fn begins(cx: &Context<'_>, path: &FsPath) -> Result<Option<u64>> {
    let Some(op) = history::beginning(cx.engine(), cx.caller)? else {
        return Ok(None);
    };
    let first = history::version(cx.engine(), cx.caller, path, 1)?;
    Ok((first.record.op < op).then_some(op.0))
}

/// Tells of each line of a text file which version brought it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blame {
    pub path: Text,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Blamed {
    /// The versions that have lines in it, by number.
    pub versions: BTreeMap<u64, Version>,
    pub lines: Vec<BlamedLine>,
    /// The first operation that is not forgotten, where some are: older lines are those of the first version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct BlamedLine {
    pub version: u64,
    /// With its end.
    pub text: Text,
}

impl Command for Blame {
    const NAME: &'static str = "blame";
    type Reply = Blamed;

    fn run(self, cx: &mut Context<'_>) -> Result<Blamed> {
        let path = path_of(&self.path)?;
        let (versions, lines) = history::blame(cx.engine(), cx.caller, &path)?;
        let mut told = Blamed {
            versions: versions
                .iter()
                .map(|(number, version)| (*number, Version::of(version)))
                .collect(),
            lines: Vec::new(),
            begins: begins(cx, &path)?,
        };
        told.lines = lines
            .iter()
            .map(|line| BlamedLine {
                version: line.version,
                text: Text(line.text.to_vec()),
            })
            .collect();
        Ok(told)
    }
}

/// Compares a file or directory with itself. `from` and `to` are numbers of versions, or words for moments; without `from` a
/// file's version before that of `to` is meant, without `to` the present.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diff {
    pub path: Text,
    #[serde(default)]
    pub from: Option<String>,
    #[serde(default)]
    pub to: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Diffed {
    pub from: Moment,
    pub to: Moment,
    /// Of two texts: a unified diff, empty where they are alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// Of other files and of directories: what differs.
    #[serde(default)]
    pub changes: Vec<Changed>,
    /// Whether more differs than is told.
    #[serde(default)]
    pub more: bool,
}

/// Something that differs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Changed {
    /// From the path that was compared.
    pub path: Text,
    /// `added`, `removed`, `content` or `attributes`.
    pub change: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<State>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<State>,
}

/// What something was.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    /// The letter that `ls -l` begins a line with.
    pub kind: char,
    pub size: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// SHA-256 of a file's content, where it is known without reading, or one file is compared; none of a file that the caller
    /// may not read today, for who tries contents would find a short one by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl State {
    fn of(cx: &Context<'_>, node: &Node) -> Result<Self> {
        let known = node.is_file().then(|| node.content.whole_hash()).flatten();
        let hash = match known {
            Some(hash) if history::may_read(cx.engine(), cx.caller, node.ino)? => Some(hash),
            _ => None,
        };
        Ok(Self {
            kind: node.kind.letter(),
            size: node.size,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            hash: hash.map(|hash| hash.to_string()),
        })
    }

    /// The same with the hash of its content, if it takes reading all of it.
    fn hashed(cx: &Context<'_>, node: &Node) -> Result<Self> {
        Ok(Self {
            hash: hash_of(cx, node)?,
            ..Self::of(cx, node)?
        })
    }
}

impl Command for Diff {
    const NAME: &'static str = "diff";
    type Reply = Diffed;

    fn run(self, cx: &mut Context<'_>) -> Result<Diffed> {
        let path = path_of(&self.path)?;
        let words = (self.from.as_deref(), self.to.as_deref().unwrap_or("now"));
        let (old, new, compared) = history::compare(cx.engine(), cx.caller, &path, words)?;
        let mut told = Diffed {
            from: old.at.into(),
            to: new.at.into(),
            text: None,
            changes: Vec::new(),
            more: false,
        };
        match compared {
            Compared::Text(diff) => told.text = Some(Text(diff)),
            Compared::Bytes { differ: false } => {}
            Compared::Bytes { differ: true } => told.changes.push(bytes(cx, &old, &new)?),
            Compared::Trees(trees) => {
                let changes = trees.all.iter().map(|found| Changed::of(cx, found));
                told.changes = changes.collect::<Result<_>>()?;
                told.more = trees.more;
            }
        }
        Ok(told)
    }
}

fn bytes(cx: &Context<'_>, old: &Side, new: &Side) -> Result<Changed> {
    let state = |side: &Side| {
        let node = side.node.as_ref();
        node.map(|node| State::hashed(cx, node)).transpose()
    };
    Ok(Changed {
        path: Text::default(),
        change: word(Change::Content).to_owned(),
        old: state(old)?,
        new: state(new)?,
    })
}

impl Changed {
    fn of(cx: &Context<'_>, found: &Difference) -> Result<Self> {
        let state = |node: Option<&Node>| node.map(|node| State::of(cx, node)).transpose();
        Ok(Self {
            path: Text(found.path.clone()),
            change: word(found.change).to_owned(),
            old: state(found.old.as_deref())?,
            new: state(found.new.as_deref())?,
        })
    }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Content => "content",
        Change::Attributes => "attributes",
    }
}

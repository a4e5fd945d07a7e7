//! Access control lists in words.

use super::Command;
use super::context::{Context, path_of};
use crate::access::acl::{Acl, AclEntry, AclWho, letters};
use crate::core::{Error, Kind, Result, Text, error::fail};
use crate::fs::{AclOf, entry_words};
use crate::meta::Roster;
use serde::{Deserialize, Serialize};

/// A list as `getfacl` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct AclInfo {
    /// The user's name, or the number of somebody without one.
    pub owner: String,
    pub group: String,
    pub mode: u32,
    /// `user:alice:rw-`, `deny:user:intern:---`.
    pub entries: Vec<String>,
    /// The same, of what a directory hands on.
    pub default: Vec<String>,
    /// Whether grants from above end here.
    #[serde(default)]
    pub restricted: bool,
}

/// Shows the lists of a node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AclGet {
    pub path: Text,
}

impl Command for AclGet {
    const NAME: &'static str = "acl-get";
    type Reply = AclInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<AclInfo> {
        let node = cx.engine().resolve(cx.caller, &path_of(&self.path)?)?;
        shown(cx, node.ino)
    }
}

/// Sets an entry: `[default:][deny:]user|group:NAME:rwx`. Takes ownership.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AclSet {
    pub path: Text,
    pub entry: String,
    /// Takes the entry away instead; its letters do not matter then.
    #[serde(default)]
    pub remove: bool,
}

impl Command for AclSet {
    const NAME: &'static str = "acl-set";
    type Reply = AclInfo;

    fn run(self, cx: &mut Context<'_>) -> Result<AclInfo> {
        let (of, entry) = parse(&self.entry, &*cx.roster()?)?;
        let node = cx.engine().resolve(cx.caller, &path_of(&self.path)?)?;
        let engine = cx.engine();
        if self.remove {
            engine.remove_acl_entry(cx.caller, node.ino, of, (entry.who, entry.deny))?;
        } else {
            engine.set_acl_entry(cx.caller, node.ino, of, entry)?;
        }
        let now = shown(cx, node.ino)?;
        cx.durable(now)
    }
}

fn shown(cx: &Context<'_>, ino: crate::core::Ino) -> Result<AclInfo> {
    let (node, acls) = cx.engine().acls(cx.caller, ino)?;
    let roster = cx.roster()?;
    let words = |list: &Option<Acl>| {
        let entries = list.iter().flat_map(|l| &l.entries);
        entries.map(|e| entry_words(e, &roster)).collect()
    };
    Ok(AclInfo {
        owner: user_name(node.uid, &roster),
        group: group_name(node.gid, &roster),
        mode: node.mode,
        entries: words(&acls.access),
        default: words(&acls.default),
        restricted: cx.engine().is_restricted(cx.caller, ino)?,
    })
}

fn user_name(uid: u32, roster: &Roster) -> String {
    let user = roster.user_of_uid(uid);
    user.map_or_else(|| uid.to_string(), |u| u.name.clone())
}

fn group_name(gid: u32, roster: &Roster) -> String {
    let group = roster.group_of_gid(gid);
    group.map_or_else(|| gid.to_string(), |g| g.name.clone())
}

/// Reads an entry. A name is a user or group of the tenant; a number is taken as it is.
fn parse(text: &str, roster: &Roster) -> Result<(AclOf, AclEntry)> {
    let (of, rest) = match text.strip_prefix("default:") {
        Some(rest) => (AclOf::Below, rest),
        None => (AclOf::Itself, text),
    };
    let (deny, rest) = match rest.strip_prefix("deny:") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let parts: Vec<_> = rest.split(':').collect();
    let &[kind, name, rights] = &*parts else {
        return fail(
            Kind::Invalid,
            format!("entry {text:?}: write [default:][deny:]user:NAME:rwx or group:NAME:rwx"),
        );
    };
    let missing = || Error::new(Kind::NotFound, format!("no {kind} {name:?}"));
    let number = || name.parse().map_err(|e| missing().caused_by(e));
    let who = match kind {
        "user" => AclWho::User(match roster.user(name) {
            Some(user) => user.uid,
            None => number()?,
        }),
        "group" => AclWho::Group(match roster.group(name) {
            Some(group) => group.gid(),
            None => number()?,
        }),
        _ => return fail(Kind::Invalid, format!("entry {text:?}: say user or group")),
    };
    let rights = letters(rights)?;
    Ok((of, AclEntry { who, deny, rights }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_whom_what_and_whether_it_is_handed_on() {
        let roster = Roster::default();
        let (of, entry) = parse("default:deny:user:7:rw-", &roster).unwrap();
        assert_eq!((of, entry.deny, entry.rights), (AclOf::Below, true, 6));
        assert_eq!(entry.who, AclWho::User(7));
        assert_eq!(entry_words(&entry, &roster), "deny:user:7:rw-");
        for bad in ["user:7", "other:7:r", "user:7:q", "", "user:7:r:x"] {
            assert_eq!(parse(bad, &roster).unwrap_err().kind(), Kind::Invalid);
        }
        let nobody = parse("group:cooks:r", &roster).unwrap_err();
        assert_eq!(nobody.kind(), Kind::NotFound);
    }
}

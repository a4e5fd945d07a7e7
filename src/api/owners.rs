//! Mode, owner and group of a path.

use super::Command;
use super::context::{Context, Done, found_at};
use super::principals::octal;
use crate::core::{Error, Kind, Result, Text, error::fail};
use crate::fs::SetAttr;
use crate::meta::Roster;
use serde::{Deserialize, Serialize};

/// Changes the mode of a path: in octal, as `0o640`, `0640` or `640`. For its owner and administrators.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chmod {
    pub path: Text,
    pub mode: String,
}

impl Command for Chmod {
    const NAME: &'static str = "chmod";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        let mode = Some(mode(&self.mode)?);
        set(
            cx,
            &self.path,
            &SetAttr {
                mode,
                ..SetAttr::default()
            },
        )
    }
}

/// Changes the owner of a path: a user's name, or a number; as `alice:developers` the group as well. For administrators and the
/// superuser (chown(2)).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chown {
    pub path: Text,
    pub owner: String,
}

impl Command for Chown {
    const NAME: &'static str = "chown";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        let (owner, group) = match self.owner.split_once(':') {
            Some((owner, group)) => (owner, Some(group)),
            None => (&*self.owner, None),
        };
        if owner.is_empty() || group == Some("") {
            let message = format!(
                "owner {:?}: say OWNER or OWNER:GROUP; `chgrp` changes a group alone",
                self.owner
            );
            return fail(Kind::Invalid, message);
        }
        let roster = cx.roster()?;
        let user = roster.user(owner).map(|user| user.uid);
        let uid = Some(user.map_or_else(|| number("user", owner), Ok)?);
        let gid = group.map(|group| gid(&roster, group)).transpose()?;
        set(
            cx,
            &self.path,
            &SetAttr {
                uid,
                gid,
                ..SetAttr::default()
            },
        )
    }
}

fn gid(roster: &Roster, group: &str) -> Result<u32> {
    let found = roster.group(group).map(|group| group.gid());
    found.map_or_else(|| number("group", group), Ok)
}

/// Changes the group of a path: a group's name, or a number. For its owner if he is in the group, and for administrators.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chgrp {
    pub path: Text,
    pub group: String,
}

impl Command for Chgrp {
    const NAME: &'static str = "chgrp";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        let gid = Some(gid(&*cx.roster()?, &self.group)?);
        set(
            cx,
            &self.path,
            &SetAttr {
                gid,
                ..SetAttr::default()
            },
        )
    }
}

fn set(cx: &Context<'_>, path: &Text, set: &SetAttr) -> Result<Done> {
    let (path, node) = found_at(cx, path)?;
    let done = cx.engine().setattr(cx.caller, node.ino, set, None);
    done.map_err(|e| e.context(path))?;
    cx.durable(Done {})
}

fn mode(text: &str) -> Result<u32> {
    let bits = octal(text)?;
    if bits > 0o7777 || text.contains('+') {
        return fail(Kind::Invalid, format!("mode {text:?}: 0 to 7777 in octal"));
    }
    Ok(bits)
}

/// The number of somebody who has no name here. To chown(2) the highest means "leave it".
fn number(what: &str, text: &str) -> Result<u32> {
    let missing = || Error::new(Kind::NotFound, format!("no {what} {text:?}"));
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    let number = is_number.then(|| text.parse().ok()).flatten();
    number.filter(|n| *n != u32::MAX).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal_however_it_begins() {
        for text in ["640", "0640", "0o640"] {
            assert_eq!(mode(text).unwrap(), 0o640);
        }
        assert_eq!(mode("4755").unwrap(), 0o4755);
        for text in ["", "u+x", "+640", "0x1a", "689", "10000", "-1"] {
            assert_eq!(mode(text).unwrap_err().kind(), Kind::Invalid, "{text}");
        }
    }

    #[test]
    fn a_number_is_digits_and_not_the_one_that_means_nothing() {
        assert_eq!(number("user", "1001").unwrap(), 1001);
        for text in ["", "carol", "+5", "-1", "4294967295", "4294967296"] {
            assert_eq!(number("user", text).unwrap_err().kind(), Kind::NotFound);
        }
    }
}

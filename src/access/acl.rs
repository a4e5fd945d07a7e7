//! Access control lists: who else may use a node (acl(5)), and who may not whatever else allows it.
//!
//! The owner's, the mask's and everybody else's rights are the node's mode, as on any filesystem with POSIX ACLs; what a mode
//! has no room for is here.

use super::rights::Rights;
use crate::core::{Caller, Error, Kind, Result, error::fail};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many entries one list may have.
pub const ENTRIES_MAX: usize = 1024;

/// Whom an entry is about, by the numbers of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AclWho {
    User(u32),
    Group(u32),
}

impl AclWho {
    fn is(self, caller: &Caller) -> bool {
        match self {
            Self::User(uid) => caller.uid == uid,
            Self::Group(gid) => caller.in_group(gid),
        }
    }
}

/// One entry of a list; `rights` are the bits of `rwx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AclEntry {
    pub who: AclWho,
    /// Refuses what is in `rights` instead of allowing it; with none in it, everything.
    pub deny: bool,
    pub rights: u32,
}

/// One list: of a node itself, or what a directory hands on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Acl {
    /// The owner, of a list that is handed on: `rwx` bits.
    pub owner: u32,
    /// The owning group, where the mode's group bits are the mask.
    pub group: u32,
    /// What anybody in `entries` or the owning group has at most, of a list that is handed on.
    pub mask: u32,
    /// Everybody else, of a list that is handed on.
    pub other: u32,
    pub entries: Vec<AclEntry>,
}

/// Both lists of a node, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Acls {
    pub access: Option<Acl>,
    pub default: Option<Acl>,
}

impl Acls {
    pub fn is_empty(&self) -> bool {
        self.access.is_none() && self.default.is_none()
    }

    /// The stored form: JSON, which people read in the database.
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|e| Error::new(Kind::Io, "a list cannot be written down").caused_by(e))
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes)
            .map_err(|e| Error::new(Kind::Corrupt, "an ACL cannot be read").caused_by(e))
    }
}

impl AclEntry {
    /// What an entry refuses that does.
    pub fn refused(&self) -> Rights {
        if self.rights == 0 {
            Rights::ALL
        } else {
            Rights::from_bits(self.rights)
        }
    }
}

impl Acl {
    /// What entries of the list refuse this caller.
    pub fn denied(&self, caller: &Caller) -> Rights {
        let matching = self.denies().filter(|e| e.who.is(caller));
        matching.fold(Rights::NONE, |sum, e| sum.and(e.refused()))
    }

    /// The entries that refuse.
    pub fn denies(&self) -> impl Iterator<Item = &AclEntry> {
        self.entries.iter().filter(|e| e.deny)
    }

    /// Whether it allows somebody something that a mode cannot say.
    pub fn extends(&self) -> bool {
        self.entries.iter().any(|e| !e.deny)
    }

    /// What a caller who is not the owner has by the list under a mask (acl(5), access check algorithm); `None` when
    /// the list does not speak of him.
    pub fn allowed(&self, caller: &Caller, gid: u32, mask: u32) -> Option<Rights> {
        let mask = Rights::from_bits(mask);
        let allowing = || self.entries.iter().filter(|e| !e.deny);
        if let Some(named) = allowing().find(|e| e.who == AclWho::User(caller.uid)) {
            return Some(Rights::from_bits(named.rights).within(mask));
        }
        let own = caller.in_group(gid).then_some(self.group);
        let named = allowing().filter(|e| matches!(e.who, AclWho::Group(_)) && e.who.is(caller));
        let matching = named.map(|e| e.rights).chain(own);
        let union = |sum: Rights, bits| sum.and(Rights::from_bits(bits));
        matching.map(Some).fold(None, |sum, bits| {
            Some(union(sum.unwrap_or_default(), bits.unwrap_or(0)).within(mask))
        })
    }

    /// Puts an entry in the place of one about the same subject and of the same kind.
    pub fn set(&mut self, new: AclEntry) -> Result<()> {
        self.remove(new.who, new.deny);
        if self.entries.len() >= ENTRIES_MAX {
            return fail(
                Kind::NoSpace,
                format!("a list has {ENTRIES_MAX} entries at most"),
            );
        }
        self.entries.push(new);
        self.entries.sort_unstable();
        Ok(())
    }

    /// Takes an entry away; says whether it was there.
    pub fn remove(&mut self, who: AclWho, deny: bool) -> bool {
        let before = self.entries.len();
        self.entries.retain(|e| (e.who, e.deny) != (who, deny));
        self.entries.len() < before
    }

    /// The mask that hides nothing: all that the group class has.
    pub fn full_mask(&self) -> u32 {
        let allowing = self.entries.iter().filter(|e| !e.deny);
        allowing.fold(self.group, |sum, e| sum | e.rights)
    }
}

/// `rwx` as three letters.
pub struct Letters(pub u32);

impl fmt::Display for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            write!(f, "{}", if self.0 & bit == 0 { '-' } else { letter })?;
        }
        Ok(())
    }
}

/// Reads `rw-`, `rwx`, `r` and the like: up to three, each right once.
pub fn letters(text: &str) -> Result<u32> {
    let wrong = || {
        fail(
            Kind::Invalid,
            format!("permissions {text:?}: write them as in rw- or r-x"),
        )
    };
    let mut bits = 0;
    for letter in text.chars() {
        let bit = match letter {
            'r' => 4,
            'w' => 2,
            'x' => 1,
            '-' => 0,
            _ => return wrong(),
        };
        if bits & bit != 0 {
            return wrong();
        }
        bits |= bit;
    }
    if matches!(text.len(), 1..=3) {
        Ok(bits)
    } else {
        wrong()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::TenantId;

    fn person(uid: u32, groups: &[u32]) -> Caller {
        Caller {
            uid,
            gid: uid,
            groups: groups.into(),
            admin: false,
            ..Caller::engine(TenantId(1))
        }
    }

    #[test]
    fn rights_are_written_once_each() {
        for (text, bits) in [
            ("rwx", 7),
            ("r", 4),
            ("-w-", 2),
            ("---", 0),
            ("-", 0),
            ("rx", 5),
        ] {
            assert_eq!(letters(text).unwrap(), bits, "{text}");
        }
        for text in ["", "rwxx", "rr", "rwx-", "----", "q", "7"] {
            assert_eq!(letters(text).unwrap_err().kind(), Kind::Invalid, "{text}");
        }
    }

    fn entry(who: AclWho, deny: bool, rights: u32) -> AclEntry {
        AclEntry { who, deny, rights }
    }

    fn list(entries: &[AclEntry]) -> Acl {
        Acl {
            group: 5,
            entries: entries.to_vec(),
            ..Acl::default()
        }
    }

    #[test]
    fn a_named_user_has_what_his_entry_says_and_no_more_through_groups() {
        let acl = list(&[
            entry(AclWho::User(7), false, 4),
            entry(AclWho::Group(70), false, 7),
        ]);
        let of = |uid, groups: &[u32]| acl.allowed(&person(uid, groups), 50, 7);
        assert_eq!(of(7, &[70]), Some(Rights::READ));
        assert_eq!(of(8, &[70]), Some(Rights::from_bits(7)));
        assert_eq!(of(9, &[50]), Some(Rights::from_bits(5)));
        assert_eq!(of(9, &[50, 70]), Some(Rights::from_bits(7)));
        assert_eq!(of(9, &[]), None);
    }

    #[test]
    fn the_mask_limits_everybody_but_owner_and_others() {
        let acl = list(&[entry(AclWho::User(7), false, 7)]);
        let by_mask = |mask| acl.allowed(&person(7, &[]), 50, mask);
        assert_eq!(by_mask(4), Some(Rights::READ));
        assert_eq!(by_mask(0), Some(Rights::NONE));
    }

    #[test]
    fn a_deny_without_letters_refuses_everything() {
        let acl = list(&[
            entry(AclWho::User(7), true, 0),
            entry(AclWho::Group(70), true, 2),
        ]);
        assert_eq!(acl.denied(&person(7, &[])), Rights::ALL);
        assert_eq!(acl.denied(&person(8, &[70])), Rights::WRITE);
        assert_eq!(acl.denied(&person(8, &[])), Rights::NONE);
    }

    #[test]
    fn an_entry_takes_the_place_of_the_one_before() {
        let mut acl = list(&[]);
        for rights in [1, 6] {
            acl.set(entry(AclWho::User(7), false, rights)).unwrap();
        }
        acl.set(entry(AclWho::User(7), true, 4)).unwrap();
        assert_eq!(acl.entries.len(), 2);
        assert_eq!(acl.full_mask(), 7);
        assert!(acl.remove(AclWho::User(7), false) && !acl.remove(AclWho::User(7), false));
    }

    #[test]
    fn lists_survive_their_stored_form() {
        let acls = Acls {
            access: Some(list(&[entry(AclWho::Group(3), true, 2)])),
            default: None,
        };
        assert_eq!(Acls::decode(&acls.encode().unwrap()).unwrap(), acls);
        assert_eq!(Acls::decode(b"{").unwrap_err().kind(), Kind::Corrupt);
        assert_eq!(letters("rw-").unwrap(), 6);
        assert!(letters("rq").is_err());
        assert_eq!(Letters(5).to_string(), "r-x");
    }
}

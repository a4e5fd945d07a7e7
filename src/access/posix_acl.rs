//! The kernel's form of a POSIX ACL, as `system.posix_acl_access` and `system.posix_acl_default` carry it
//! (include/uapi/linux/posix_acl_xattr.h): a version, then entries of tag, permissions and number, little-endian.

use super::acl::{Acl, AclEntry, AclWho, ENTRIES_MAX};
use crate::core::{Error, Kind, Result, error::fail};

pub const ACCESS: &[u8] = b"system.posix_acl_access";
pub const DEFAULT: &[u8] = b"system.posix_acl_default";

const VERSION: u32 = 2;
const ENTRY: usize = 8;
const NOBODY: u32 = u32::MAX;

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// Writes what a list allows; its denies have no place there. `None` when a mode says as much.
pub fn encode(acl: &Acl) -> Option<Vec<u8>> {
    if !acl.extends() {
        return None;
    }
    Some(encode_all(acl))
}

/// The same of a list that a directory hands on, which a mode cannot say.
pub fn encode_all(acl: &Acl) -> Vec<u8> {
    let mut out = VERSION.to_le_bytes().to_vec();
    let mut put = |tag: u16, rights: u32, id: u32| {
        let rights = u16::try_from(rights & 7).unwrap_or(0);
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&rights.to_le_bytes());
        out.extend_from_slice(&id.to_le_bytes());
    };
    put(USER_OBJ, acl.owner, NOBODY);
    let mut named: Vec<_> = acl.entries.iter().filter(|e| !e.deny).collect();
    named.sort_unstable();
    for entry in &named {
        if let AclWho::User(uid) = entry.who {
            put(USER, entry.rights, uid);
        }
    }
    put(GROUP_OBJ, acl.group, NOBODY);
    for entry in &named {
        if let AclWho::Group(gid) = entry.who {
            put(GROUP, entry.rights, gid);
        }
    }
    if !named.is_empty() {
        put(MASK, acl.mask, NOBODY);
    }
    put(OTHER, acl.other, NOBODY);
    out
}

/// Reads a list; fails with `Invalid` on anything that acl_valid(3) would refuse.
pub fn decode(bytes: &[u8]) -> Result<Acl> {
    let Some((version, rest)) = bytes.split_first_chunk::<4>() else {
        return fail(Kind::Invalid, "an ACL begins with its version");
    };
    if u32::from_le_bytes(*version) != VERSION || rest.len() % ENTRY != 0 {
        return fail(Kind::Invalid, "an ACL of a form that is not known");
    }
    if rest.len() / ENTRY > ENTRIES_MAX {
        return fail(
            Kind::NoSpace,
            format!("a list has {ENTRIES_MAX} entries at most"),
        );
    }
    let mut found = Found::default();
    let (entries, _) = rest.as_chunks::<ENTRY>();
    for [t0, t1, p0, p1, id @ ..] in entries {
        let (tag, rights) = (
            u16::from_le_bytes([*t0, *t1]),
            u16::from_le_bytes([*p0, *p1]),
        );
        found.take(tag, rights, u32::from_le_bytes(*id))?;
    }
    found.finish()
}

#[derive(Default)]
struct Found {
    owner: Option<u32>,
    group: Option<u32>,
    mask: Option<u32>,
    other: Option<u32>,
    entries: Vec<AclEntry>,
}

impl Found {
    fn take(&mut self, tag: u16, rights: u16, id: u32) -> Result<()> {
        if rights > 7 {
            return fail(Kind::Invalid, "an ACL entry has more than rwx");
        }
        let rights = u32::from(rights);
        let place = match tag {
            USER_OBJ => &mut self.owner,
            GROUP_OBJ => &mut self.group,
            MASK => &mut self.mask,
            OTHER => &mut self.other,
            USER => return self.name(AclWho::User(id), rights),
            GROUP => return self.name(AclWho::Group(id), rights),
            _ => return fail(Kind::Invalid, format!("ACL entry of unknown kind {tag:#x}")),
        };
        match place.replace(rights) {
            None => Ok(()),
            Some(_) => fail(Kind::Invalid, "an ACL entry is there twice"),
        }
    }

    fn name(&mut self, who: AclWho, rights: u32) -> Result<()> {
        if self.entries.iter().any(|e| e.who == who) {
            return fail(Kind::Invalid, "an ACL entry is there twice");
        }
        self.entries.push(AclEntry {
            who,
            deny: false,
            rights,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Acl> {
        let missing = || Error::new(Kind::Invalid, "an ACL says owner, group and other");
        let group = self.group.ok_or_else(missing)?;
        if !self.entries.is_empty() && self.mask.is_none() {
            return fail(Kind::Invalid, "an ACL with names has a mask");
        }
        self.entries.sort_unstable();
        Ok(Acl {
            owner: self.owner.ok_or_else(missing)?,
            group,
            mask: self.mask.unwrap_or(group),
            other: self.other.ok_or_else(missing)?,
            entries: self.entries,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(named: &[(AclWho, u32)]) -> Acl {
        let entry = |&(who, rights): &(AclWho, u32)| AclEntry {
            who,
            deny: false,
            rights,
        };
        Acl {
            owner: 7,
            group: 5,
            mask: 6,
            other: 4,
            entries: named.iter().map(entry).collect(),
        }
    }

    #[test]
    fn a_list_comes_back_from_the_kernels_form() {
        let acl = list(&[(AclWho::User(7), 6), (AclWho::Group(3), 4)]);
        assert_eq!(decode(&encode(&acl).unwrap()).unwrap(), acl);
        assert_eq!(encode(&list(&[])), None);
        let plain = Acl {
            mask: 5,
            ..list(&[])
        };
        assert_eq!(decode(&encode_all(&plain)).unwrap(), plain);
    }

    #[test]
    fn what_is_no_valid_list_is_refused() {
        let good = encode(&list(&[(AclWho::User(7), 6)])).unwrap();
        let twice = [&good[..], &good[4..12]].concat();
        let mut version = good.clone();
        version[0] = 1;
        let no_other = &good[..good.len() - ENTRY];
        for bad in [&good[..3], &good[..7], &twice, &version, no_other] {
            assert_eq!(decode(bad).unwrap_err().kind(), Kind::Invalid);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            drop(decode(&bytes));
            drop(decode(&[&VERSION.to_le_bytes()[..], &bytes].concat()));
        }
    }
}

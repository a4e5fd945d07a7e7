//! Numbers in access control lists, between the engine and the kernel of one mount.

use super::numbers::Numbers;
use crate::access::acl::{Acl, AclEntry, AclWho};
use crate::access::posix_acl::{self, ACCESS, DEFAULT};
use crate::core::Result;

impl Numbers {
    /// An attribute's value with the other side's users and groups; only lists have any.
    pub(super) fn value(&self, name: &[u8], value: Vec<u8>) -> Result<Vec<u8>> {
        if name != ACCESS && name != DEFAULT || value.is_empty() {
            return Ok(value);
        }
        let list = posix_acl::decode(&value)?;
        let entries = list
            .entries
            .iter()
            .map(|entry| self.entry(*entry))
            .collect();
        Ok(posix_acl::encode_all(&Acl { entries, ..list }))
    }

    fn entry(&self, entry: AclEntry) -> AclEntry {
        let who = match entry.who {
            AclWho::User(uid) => AclWho::User(self.uid(uid)),
            AclWho::Group(gid) => AclWho::Group(self.gid(gid)),
        };
        AclEntry { who, ..entry }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Ino;

    #[test]
    fn users_in_lists_change_places_and_other_attributes_stay_as_they_are() {
        let numbers = Numbers::exchanging(Ino(1), (7, 1007), (7, 1007));
        let list = |uid| {
            let mut list = Acl::default();
            list.set(AclEntry {
                who: AclWho::User(uid),
                deny: false,
                rights: 4,
            })
            .unwrap();
            posix_acl::encode_all(&list)
        };
        assert_eq!(numbers.value(ACCESS, list(7)).unwrap(), list(1007));
        assert_eq!(numbers.value(DEFAULT, list(8)).unwrap(), list(8));
        assert_eq!(numbers.value(b"user.x", list(7)).unwrap(), list(7));
        assert!(numbers.value(ACCESS, vec![1]).is_err());
    }
}

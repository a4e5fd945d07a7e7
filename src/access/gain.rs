//! What another place would give on a node: grants above it that are not above it now, and denies that it would leave behind.

use super::acl::{Acl, AclEntry};
use super::chain::Chain;
use super::domain::{Domain, Grant, counting};
use super::rights::Rights;
use crate::core::Time;

/// All that anybody would have on a node by what was said above `to`, and has not by what was said above `from`. Whom each
/// right goes to is not told: who moves the node has to have it himself.
pub fn gained(own: Option<&Domain>, from: &Chain, to: &Chain, now: Time) -> Rights {
    let before: Vec<_> = counting(line(own, from), now).collect();
    let by_grants = counting(line(own, to), now).map(|new| {
        let lasting = before.iter().filter(|old| lasts(old, new));
        lasting.fold(new.rights, |rest, old| rest.without(old.rights))
    });
    let by_denies = denies(from).map(|old| {
        let kept = denies(to).filter(|new| new.who == old.who);
        kept.fold(old.refused(), |rest, new| rest.without(new.refused()))
    });
    by_grants.chain(by_denies).fold(Rights::NONE, Rights::and)
}

/// From the node upwards.
fn line<'a>(own: Option<&'a Domain>, above: &'a Chain) -> impl Iterator<Item = &'a Domain> {
    own.into_iter().chain(above.iter().map(|d| &**d))
}

/// Whether a grant is for the same as another, and for as long.
fn lasts(old: &Grant, new: &Grant) -> bool {
    let long_enough = match (old.expires, new.expires) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(old), Some(new)) => old >= new,
    };
    old.grantee == new.grantee && long_enough
}

fn denies(above: &Chain) -> impl Iterator<Item = &AclEntry> {
    let lists = above.iter().filter_map(|d| d.acls.default.as_ref());
    lists.flat_map(Acl::denies)
}

#[cfg(test)]
mod tests {
    use super::super::acl::AclWho;
    use super::super::domain::Grantee;
    use super::*;
    use crate::core::PrincipalId;
    use std::sync::Arc;

    const NOW: Time = Time(1000);

    fn grant(who: u64, rights: Rights, end: Option<i64>) -> Grant {
        Grant {
            id: 1,
            grantee: Grantee::Principal(PrincipalId(who)),
            rights,
            expires: end.map(Time),
        }
    }

    fn above(grants: &[Grant]) -> Chain {
        let domain = Domain {
            grants: grants.to_vec(),
            ..Domain::default()
        };
        Chain::from_iter([Arc::new(domain)])
    }

    fn denying(rights: u32) -> Chain {
        let mut list = Acl::default();
        list.set(AclEntry {
            who: AclWho::User(7),
            deny: true,
            rights,
        })
        .unwrap();
        let mut domain = Domain::default();
        domain.acls.default = Some(list);
        Chain::from_iter([Arc::new(domain)])
    }

    fn gain(from: &Chain, to: &Chain) -> Rights {
        gained(None, from, to, NOW)
    }

    #[test]
    fn a_place_gives_what_its_grants_do_and_others_did_not() {
        let (none, read) = (Chain::default(), Rights::READ);
        let both = read.and(Rights::WRITE);
        let to = |who, rights| above(&[grant(who, rights, None)]);
        assert_eq!(gain(&none, &to(7, both)), both);
        assert_eq!(gain(&to(7, both), &none), Rights::NONE);
        assert_eq!(gain(&to(7, both), &to(7, read)), Rights::NONE);
        assert_eq!(gain(&to(7, read), &to(7, both)), Rights::WRITE);
        assert_eq!(gain(&to(7, both), &to(8, both)), both);
    }

    #[test]
    fn what_lasts_longer_is_more_and_what_has_ended_is_nothing() {
        let until = |end| above(&[grant(7, Rights::READ, end)]);
        for (from, to, more) in [
            (Some(2000), None, true),
            (Some(2000), Some(2001), true),
            (Some(2000), Some(2000), false),
            (None, Some(2000), false),
            (Some(1000), Some(1000), false),
        ] {
            assert_eq!(gain(&until(from), &until(to)) == Rights::READ, more);
        }
    }

    #[test]
    fn a_boundary_holds_for_what_comes_below_it_but_for_owners() {
        let shut = Domain {
            restricted: true,
            ..Domain::default()
        };
        let to = |rights| above(&[grant(7, rights, None)]);
        let within = |rights| gained(Some(&shut), &Chain::default(), &to(rights), NOW);
        assert_eq!(within(Rights::READ), Rights::NONE);
        assert_eq!(within(Rights::ALL), Rights::ALL);
    }

    #[test]
    fn a_deny_that_is_left_behind_gives_what_it_refused() {
        let (none, all) = (Chain::default(), Rights::ALL);
        assert_eq!(gain(&denying(2), &none), Rights::WRITE);
        assert_eq!(gain(&denying(0), &none), all);
        assert_eq!(gain(&denying(0), &denying(0)), Rights::NONE);
        assert_eq!(gain(&denying(0), &denying(4)), all.without(Rights::READ));
        assert_eq!(gain(&none, &denying(0)), Rights::NONE);
    }
}

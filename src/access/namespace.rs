//! The top-level directories and the policy that comes with each (semantics.md §3).

use crate::core::Caller;
use crate::meta::tenant::GroupRule;

/// A top-level directory with a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub name: &'static str,
    pub read_only: bool,
    pub admin_only: bool,
    /// Permission bits that new entries may have, until the tenant sets others.
    pub mask: u32,
    /// Where new entries get their group from, until the tenant says otherwise.
    pub group: GroupRule,
}

/// Every namespace, in the order `ls` shows them.
pub const NAMESPACES: [Policy; 5] = [
    Policy {
        name: "archives",
        read_only: true,
        ..PLAIN
    },
    Policy {
        name: "external",
        read_only: true,
        ..PLAIN
    },
    Policy {
        name: "shared",
        mask: 0o775,
        group: GroupRule::Tenant,
        ..PLAIN
    },
    Policy {
        name: "system",
        read_only: true,
        admin_only: true,
        ..PLAIN
    },
    Policy {
        mask: 0o770,
        ..PLAIN
    },
];

const PLAIN: Policy = Policy {
    name: "workspace",
    read_only: false,
    admin_only: false,
    mask: 0o777,
    group: GroupRule::Keep,
};

/// Finds a namespace by its name.
pub fn named(name: &[u8]) -> Option<&'static Policy> {
    NAMESPACES.iter().find(|p| p.name.as_bytes() == name)
}

impl Policy {
    /// Whether the namespace exists for this caller at all: without a tenant there is no tree that has it.
    pub fn visible_to(&self, caller: &Caller) -> bool {
        caller.tenant.is_some() && (caller.admin || !self.admin_only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::TenantId;

    fn seen_by(tenant: Option<u32>, admin: bool) -> Vec<&'static str> {
        let caller = Caller {
            tenant: tenant.map(TenantId),
            admin,
            ..Caller::engine(TenantId(1))
        };
        NAMESPACES
            .iter()
            .filter(|p| p.visible_to(&caller))
            .map(|p| p.name)
            .collect()
    }

    /// semantics.md §3: "A tenant: the first four. Admin: all five."
    #[test]
    fn namespaces_are_seen_by_those_they_are_for() {
        assert_eq!(seen_by(None, false), [""; 0]);
        assert_eq!(
            seen_by(Some(1), false),
            ["archives", "external", "shared", "workspace"]
        );
        assert_eq!(seen_by(Some(1), true).len(), 5);
    }
}

//! What the relations of files give: the roles of semantics.md §4 and the names that others use for them.

use super::rights::Rights;
use crate::core::{Kind, Result, error::fail};

/// Every relation that gives rights on a file, the one word that is stored first.
const ROLES: [(&str, &[&str], Rights); 4] = [
    ("owner", &["owner", "owner-of"], Rights::ALL),
    (
        "can_write",
        &["can_write", "editor-of", "editor"],
        Rights::READ.and(Rights::WRITE),
    ),
    (
        "can_read",
        &["can_read", "viewer-of", "viewer"],
        Rights::READ,
    ),
    (
        "can_execute",
        &["can_execute"],
        Rights::READ.and(Rights::EXECUTE),
    ),
];

/// The stored word for a role, whichever of its names was said.
pub fn role(name: &str) -> Result<&'static str> {
    match ROLES.iter().find(|(_, names, _)| names.contains(&name)) {
        Some((word, _, _)) => Ok(word),
        None => fail(
            Kind::Invalid,
            format!(
                "relation {name:?} is not one of files: say owner, can_write, can_read or can_execute"
            ),
        ),
    }
}

/// What a stored relation gives; nothing, when it is no role.
pub fn rights(relation: &str) -> Rights {
    let found = ROLES.iter().find(|(word, _, _)| *word == relation);
    found.map_or(Rights::NONE, |(_, _, rights)| *rights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_of_a_role_means_the_same() {
        assert_eq!(role("owner-of").unwrap(), "owner");
        assert_eq!(role("editor-of").unwrap(), role("can_write").unwrap());
        assert_eq!(rights(role("viewer-of").unwrap()), Rights::READ);
        assert!(rights("owner").covers(rights("can_write").and(rights("can_execute"))));
        assert_eq!(role("master").unwrap_err().kind(), Kind::Invalid);
        assert_eq!(rights("editor-of"), Rights::NONE);
    }
}

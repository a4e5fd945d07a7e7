//! What a principal may be called, and what may be said about one.

use crate::core::{Kind, Result, error::fail};

/// The tenant that is meant where none is named.
pub(in crate::fs) const DEFAULT: &str = "default";
const NAME_MAX: usize = 64;
const REMARK_MAX: usize = 256;

/// Checks the name of a tenant: letters, digits, `-`, `_` and `.`, and nothing that means something else in a
/// relationship (`user:alice`, `group:a#member`, `*`), a path or a shell.
pub(in crate::fs) fn check_name(name: &str) -> Result<()> {
    let fits = !name.is_empty()
        && name.len() <= NAME_MAX
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !name.starts_with(['-', '.']);
    if fits {
        return Ok(());
    }
    fail(
        Kind::Invalid,
        format!(
            "name {name:?}: use 1 to {NAME_MAX} of the letters a to z and A to Z, digits, `-`, `_`, `.`, \
             and neither `-` nor `.` first"
        ),
    )
}

/// Checks the name of a new user, agent or group. `default` is the tenant that is meant when none is named, and digits alone
/// are a number wherever either may stand (`chown 4242`, `setfacl user:4242:r`).
pub(super) fn check_principal(name: &str) -> Result<()> {
    check_name(name)?;
    if name == DEFAULT {
        return fail(
            Kind::Invalid,
            "name \"default\" means the default tenant: take another",
        );
    }
    if name.bytes().all(|b| b.is_ascii_digit()) {
        return fail(
            Kind::Invalid,
            format!("name {name:?} would be taken for a number: put a letter into it"),
        );
    }
    Ok(())
}

/// Checks a text about somebody, which is shown on a line with others.
pub(super) fn check_remark(what: &str, text: Option<&str>) -> Result<()> {
    check_line(what, text, REMARK_MAX)
}

/// Checks a text of one line, of `max` characters at most.
pub(in crate::fs) fn check_line(what: &str, text: Option<&str>, max: usize) -> Result<()> {
    match text {
        Some(t) if t.chars().count() > max || t.chars().any(char::is_control) => fail(
            Kind::Invalid,
            format!("{what} {t:?}: use up to {max} printable characters"),
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_else_are_refused() {
        let long = "a".repeat(NAME_MAX + 1);
        for name in [
            "", "*", "a:b", "a#member", "a/b", "a@b", "a b", "a\n", "a\u{7f}", "ä", "-a", ".a",
            &long,
        ] {
            let refused = check_name(name).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid);
            assert!(refused.message().contains(&format!("{name:?}")));
        }
        for name in ["default", "0", "4242", "007"] {
            let refused = check_principal(name).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid);
        }
    }

    #[test]
    fn names_of_systems_and_of_people_are_taken() {
        for name in [
            "alice", "Alice", "root", "admin", "www-data", "j.doe_2", "7up",
        ] {
            check_principal(name).unwrap();
        }
    }

    #[test]
    fn a_remark_is_one_line() {
        assert!(check_remark("e-mail", Some("a@b\nc")).is_err());
        check_remark("name", Some("Ąlice O'Brien")).unwrap();
        check_remark("name", None).unwrap();
    }
}

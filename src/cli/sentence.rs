//! Relationships as people say them: `user bob can_write file /workspace/a`, or with `--relation can_write`.

use crate::core::{Kind, Result, error::fail};
use clap::Args;
use std::ffi::{OsStr, OsString};

/// The relation of a group and who is in it.
const MEMBER_OF: [&str; 3] = ["member-of", "member_of", "member"];

#[derive(Debug, Args)]
pub(super) struct Sentence {
    /// SUBJECT_TYPE SUBJECT [RELATION] OBJECT_TYPE OBJECT, as in `user bob can_write file /workspace/a`. Subjects are
    /// `user`, `agent` or `group` with a name; `user '*'` is everybody
    #[arg(required = true, num_args = 1.., value_name = "WORD")]
    words: Vec<OsString>,
    /// owner, can_write, can_read or can_execute, where the words do not say it
    #[arg(long)]
    relation: Option<String>,
}

/// A relation to a file: `can_read file /workspace/a`, or with `--relation`.
#[derive(Debug, Args)]
pub(super) struct Phrase {
    /// [RELATION] OBJECT_TYPE OBJECT, as in `owner-of file /workspace/a`
    #[arg(required = true, num_args = 1.., value_name = "WORD")]
    words: Vec<OsString>,
    /// owner, can_write, can_read or can_execute, where the words do not say it
    #[arg(long)]
    relation: Option<String>,
}

/// What a sentence says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Somebody has a role on a file.
    Role {
        subject: String,
        relation: String,
        path: OsString,
    },
    /// Somebody is in a group.
    Member { member: String, group: String },
}

impl Sentence {
    pub(super) fn meaning(self) -> Result<Meaning> {
        let [kind, name, rest @ ..] = self.words.as_slice() else {
            return unclear();
        };
        let (kind, name) = (text(kind)?, text(name)?);
        if !["user", "agent", "group"].contains(&kind.as_str()) {
            return fail(
                Kind::Invalid,
                format!("subject type {kind:?}: say user, agent or group"),
            );
        }
        let subject = format!("{kind}:{name}");
        let (relation, object, id) = object(rest, self.relation)?;
        if object == "file" {
            return Ok(Meaning::Role {
                subject,
                relation,
                path: id,
            });
        }
        if object == "group" && MEMBER_OF.contains(&relation.as_str()) {
            let (member, group) = (subject, text(&id)?);
            return Ok(Meaning::Member { member, group });
        }
        unknown(&relation, &object)
    }
}

impl Phrase {
    /// The relation and the path.
    pub(super) fn meaning(self) -> Result<(String, OsString)> {
        let (relation, object, id) = object(&self.words, self.relation)?;
        if object == "file" {
            return Ok((relation, id));
        }
        unknown(&relation, &object)
    }
}

/// Takes `[RELATION] OBJECT_TYPE OBJECT` apart.
fn object(words: &[OsString], option: Option<String>) -> Result<(String, String, OsString)> {
    match (words, option) {
        ([kind, id], Some(relation)) => Ok((relation, text(kind)?, id.clone())),
        ([relation, kind, id], None) => Ok((text(relation)?, text(kind)?, id.clone())),
        ([_, _, _], Some(relation)) => fail(
            Kind::Invalid,
            format!("the relation is said twice: as a word, and with --relation {relation}"),
        ),
        _ => unclear(),
    }
}

fn unclear<T>() -> Result<T> {
    fail(
        Kind::Invalid,
        "say it as in `user bob can_write file /workspace/a`, or with --relation can_write in place of that word",
    )
}

fn unknown<T>(relation: &str, object: &str) -> Result<T> {
    fail(
        Kind::Invalid,
        format!(
            "nothing has relation {relation:?} to a {object:?}: say a role on a `file`, or `member-of group`"
        ),
    )
}

fn text(word: &OsStr) -> Result<String> {
    match word.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => fail(Kind::Invalid, format!("{} is not text", word.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(line: &str, relation: Option<&str>) -> Result<Meaning> {
        let sentence = Sentence {
            words: line.split(' ').map(OsString::from).collect(),
            relation: relation.map(str::to_owned),
        };
        sentence.meaning()
    }

    fn role(subject: &str, relation: &str, path: &str) -> Meaning {
        Meaning::Role {
            subject: subject.into(),
            relation: relation.into(),
            path: path.into(),
        }
    }

    #[test]
    fn a_role_is_said_in_either_order() {
        let said = meaning("user bob file /p", Some("can_write")).unwrap();
        assert_eq!(said, role("user:bob", "can_write", "/p"));
        assert_eq!(meaning("user bob can_write file /p", None).unwrap(), said);
        let all = meaning("user * viewer-of file /p", None).unwrap();
        assert_eq!(all, role("user:*", "viewer-of", "/p"));
    }

    #[test]
    fn membership_is_a_relation_to_a_group() {
        let said = meaning("agent alice member-of group developers", None).unwrap();
        let expected = Meaning::Member {
            member: "agent:alice".into(),
            group: "developers".into(),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, relation) in [
            ("user bob file /p", None),
            ("user", None),
            ("user bob /p", Some("can_read")),
            ("user bob can_read file /p /q", None),
            ("user bob can_write file /p", Some("can_read")),
            ("robot bob can_write file /p", None),
            ("user bob can_write group developers", None),
            ("user bob can_write memory m", None),
        ] {
            let refused = meaning(line, relation).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid, "{line}");
        }
    }

    #[test]
    fn a_phrase_names_a_relation_and_a_file() {
        let phrase = |line: &str, relation: Option<&str>| {
            let words = line.split(' ').map(OsString::from).collect();
            let relation = relation.map(str::to_owned);
            Phrase { words, relation }.meaning()
        };
        let expected = ("owner-of".to_owned(), OsString::from("/p"));
        assert_eq!(phrase("owner-of file /p", None).unwrap(), expected);
        assert_eq!(phrase("file /p", Some("owner-of")).unwrap(), expected);
        assert!(phrase("file /p", None).is_err());
        assert!(phrase("member-of group g", None).is_err());
    }
}

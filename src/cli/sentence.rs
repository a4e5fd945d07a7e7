//! Relationships as people say them: `user bob can_write file /workspace/a`, or with `--relation can_write`.

use crate::api::checks::{MEMBER_OF, OWNER_OF};
use crate::core::{Kind, Result, error::fail};
use crate::meta::tuple::{FILE, PRINCIPALS};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

#[derive(Debug, Args)]
pub(super) struct Sentence {
    /// SUBJECT [RELATION] OBJECT, as in `user bob can_write file /workspace/a` or `user:bob viewer doc:readme`. Subjects are
    /// `user`, `agent` or `group` with a name, or objects of a type of your own; `user '*'` is everybody
    #[arg(required = true, num_args = 1.., value_name = "WORD")]
    pub(super) words: Vec<OsString>,
    /// owner, can_write, can_read or can_execute of a file, or one of an object's, where the words do not say it
    #[arg(long)]
    pub(super) relation: Option<String>,
}

/// A relation to something: `can_read file /workspace/a`, `viewer doc:readme`, or with `--relation`.
#[derive(Debug, Args)]
pub(super) struct Phrase {
    /// [RELATION] OBJECT, as in `owner-of file /workspace/a` or `viewer doc:readme`
    #[arg(required = true, num_args = 1.., value_name = "WORD")]
    words: Vec<OsString>,
    /// owner, can_write, can_read or can_execute of a file, or one of an object's, where the words do not say it
    #[arg(long)]
    relation: Option<String>,
}

/// What a sentence says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Somebody has a relation to something.
    Related {
        subject: String,
        relation: String,
        to: Thing,
    },
    /// Somebody is in a group.
    Member { member: String, group: String },
}

/// What a relation is to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Thing {
    File(OsString),
    /// As in `doc:readme`.
    Object(String),
}

impl Sentence {
    pub(super) fn meaning(self) -> Result<Meaning> {
        let (kind, name, rest) = match &*self.words {
            [joined, rest @ ..] if is_joined(joined) => {
                let (kind, name) = split(joined)?;
                (kind, text(&name)?, rest)
            }
            [kind, name, rest @ ..] => (text(kind)?, text(name)?, rest),
            _ => return unclear(),
        };
        let subject = format!("{kind}:{name}");
        let (relation, object, id) = object(rest, self.relation)?;
        if ![FILE, GROUP].contains(&&*object) {
            let to = Thing::Object(format!("{object}:{}", text(&id)?));
            return Ok(Meaning::Related {
                subject,
                relation,
                to,
            });
        }
        if !PRINCIPALS.contains(&&*kind) {
            let message = format!("subject type {kind:?}: say user, agent or group");
            return fail(Kind::Invalid, message);
        }
        if object == FILE {
            let to = Thing::File(id);
            return Ok(Meaning::Related {
                subject,
                relation,
                to,
            });
        }
        if MEMBER_OF.contains(&&*relation) {
            let (member, group) = (subject, text(&id)?);
            return Ok(Meaning::Member { member, group });
        }
        let to = of_group(&relation, &id)?;
        Ok(Meaning::Related {
            subject,
            relation,
            to,
        })
    }
}

impl Phrase {
    /// The relation, and what it is to.
    pub(super) fn meaning(self) -> Result<(String, Thing)> {
        let (relation, object, id) = object(&self.words, self.relation)?;
        match &*object {
            FILE => Ok((relation, Thing::File(id))),
            GROUP if MEMBER_OF.contains(&&*relation) => {
                let message = format!(
                    "`nexusctl group show {}` tells who is in a group",
                    text(&id)?
                );
                fail(Kind::Invalid, message)
            }
            GROUP => {
                let to = of_group(&relation, &id)?;
                Ok((relation, to))
            }
            kind => {
                let to = Thing::Object(format!("{kind}:{}", text(&id)?));
                Ok((relation, to))
            }
        }
    }
}

const GROUP: &str = "group";

/// Takes `[RELATION] OBJECT` apart, where an object is `TYPE NAME` or `TYPE:NAME`.
fn object(words: &[OsString], option: Option<String>) -> Result<(String, String, OsString)> {
    let (relation, object) = match (words, option) {
        ([_] | [_, _], Some(relation)) => (relation, words),
        ([relation, object @ ..], None) => (text(relation)?, object),
        ([_, _, _], Some(relation)) => {
            let message =
                format!("the relation is said twice: as a word, and with --relation {relation}");
            return fail(Kind::Invalid, message);
        }
        _ => return unclear(),
    };
    match object {
        [kind, id] => Ok((relation, text(kind)?, id.clone())),
        [joined] if is_joined(joined) => {
            let (kind, id) = split(joined)?;
            Ok((relation, kind, id))
        }
        _ => unclear(),
    }
}

pub(super) fn is_joined(word: &OsStr) -> bool {
    word.as_bytes().contains(&b':')
}

/// The type and the name of `TYPE:NAME`.
fn split(joined: &OsStr) -> Result<(String, OsString)> {
    let mut parts = joined.as_bytes().splitn(2, |b| *b == b':');
    match (parts.next(), parts.next()) {
        (Some(kind), Some(name)) => {
            let kind = text(OsStr::from_bytes(kind))?;
            Ok((kind, OsStr::from_bytes(name).to_owned()))
        }
        _ => unclear(),
    }
}

fn unclear<T>() -> Result<T> {
    fail(
        Kind::Invalid,
        "say it as in `user bob can_write file /workspace/a` or `user bob viewer doc:readme`, or with --relation in place of that word",
    )
}

/// A group, to which only owners are related beside members.
fn of_group(relation: &str, name: &OsStr) -> Result<Thing> {
    if OWNER_OF.contains(&relation) {
        return Ok(Thing::Object(format!("{GROUP}:{}", text(name)?)));
    }
    let message = format!(
        "nothing has relation {relation:?} to a group: say `member-of group NAME`, or `owner group NAME`"
    );
    fail(Kind::Invalid, message)
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

    fn related(subject: &str, relation: &str, to: Thing) -> Meaning {
        Meaning::Related {
            subject: subject.into(),
            relation: relation.into(),
            to,
        }
    }

    fn role(subject: &str, relation: &str, path: &str) -> Meaning {
        related(subject, relation, Thing::File(path.into()))
    }

    #[test]
    fn a_role_is_said_in_either_order() {
        let said = meaning("user bob file /p", Some("can_write")).unwrap();
        assert_eq!(said, role("user:bob", "can_write", "/p"));
        assert_eq!(meaning("user bob can_write file /p", None).unwrap(), said);
        let all = meaning("user * viewer-of file /p", None).unwrap();
        assert_eq!(all, role("user:*", "viewer-of", "/p"));
        let joined = meaning("user:bob can_write file:/p:q", None).unwrap();
        assert_eq!(joined, role("user:bob", "can_write", "/p:q"));
    }

    #[test]
    fn an_object_of_a_type_of_ones_own_is_said_in_one_word_or_two() {
        let expected = related("user:bob", "viewer", Thing::Object("doc:readme".into()));
        for (line, relation) in [
            ("user bob doc:readme", Some("viewer")),
            ("user bob doc readme", Some("viewer")),
            ("user bob viewer doc readme", None),
            ("user:bob viewer doc:readme", None),
        ] {
            assert_eq!(meaning(line, relation).unwrap(), expected, "{line}");
        }
        let set = meaning("folder plans#viewer viewer doc:readme", None).unwrap();
        let to = Thing::Object("doc:readme".into());
        assert_eq!(set, related("folder:plans#viewer", "viewer", to));
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
    fn a_group_has_owners() {
        let to = || Thing::Object("group:developers".into());
        for relation in ["owner", "admin", "owner-of"] {
            let said = meaning("user carol group developers", Some(relation)).unwrap();
            assert_eq!(said, related("user:carol", relation, to()));
        }
        let (relation, id) = ("owner".to_owned(), "group:developers".into());
        let words = vec![id];
        let phrase = Phrase {
            words,
            relation: Some(relation.clone()),
        };
        assert_eq!(phrase.meaning().unwrap(), (relation, to()));
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
            ("user bob can_write", None),
            ("user bob can_write readme", None),
        ] {
            let refused = meaning(line, relation).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid, "{line}");
        }
    }

    #[test]
    fn a_phrase_names_a_relation_and_what_it_is_to() {
        let phrase = |line: &str, relation: Option<&str>| {
            let words = line.split(' ').map(OsString::from).collect();
            let relation = relation.map(str::to_owned);
            Phrase { words, relation }.meaning()
        };
        let expected = ("owner-of".to_owned(), Thing::File("/p".into()));
        assert_eq!(phrase("owner-of file /p", None).unwrap(), expected);
        assert_eq!(phrase("file /p", Some("owner-of")).unwrap(), expected);
        let of_doc = ("viewer".to_owned(), Thing::Object("doc:1".into()));
        assert_eq!(phrase("viewer doc:1", None).unwrap(), of_doc);
        assert!(phrase("file /p", None).is_err());
        assert!(phrase("member-of group g", None).is_err());
    }
}

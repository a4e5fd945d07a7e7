//! `nexus why`.

use super::client::Client;
use super::place::Place;
use super::sentence::{Meaning, Sentence, Thing, is_joined};
use super::{output, paths};
use crate::access::rebac::Verdict;
use crate::api::reasons::{Explained, RebacWhy};
use crate::api::why::{Because, Why, Wish};
use crate::core::{Kind, Result, error::fail};
use crate::meta::tuple::PRINCIPALS;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// WHO, what, and to what: `bob write /workspace/a`, `agent coder read notes`, where it is read, write, execute or own; or
    /// `bob viewer doc:readme`, a relation to an object of your own types. A name alone is a user's
    #[arg(required = true, num_args = 3..=5, value_name = "WORD")]
    words: Vec<OsString>,
}

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
enum Question {
    Path(String, Wish, OsString),
    Object(String, String, String),
}

pub(super) fn run(place: &Place, client: &Client, args: WhyArgs) -> Result<()> {
    match question(args.words)? {
        Question::Path(subject, op, path) => {
            let path = paths::in_nexus(client, &path)?;
            let why = client.call(Why { subject, op, path })?;
            output::show(place.json, &why, of_path(&why))
        }
        Question::Object(subject, relation, object) => {
            let why = client.call(RebacWhy {
                subject,
                relation,
                object,
            })?;
            output::show(place.json, &why, of_object(&why))
        }
    }
}

fn question(mut words: Vec<OsString>) -> Result<Question> {
    if let Some(question) = of_path_in_short(&words)? {
        return Ok(question);
    }
    let is_joined = |word: Option<&OsString>| word.is_some_and(is_typed);
    let has_type = is_joined(words.first());
    let is_short = words.len() == 3 || (words.len() == 4 && !is_joined(words.last()));
    if let Some(who) = words.first_mut().filter(|_| !has_type && is_short) {
        let mut user = OsString::from("user:");
        user.push(&*who);
        *who = user;
    }
    let sentence = Sentence {
        words,
        relation: None,
    };
    match sentence.meaning()? {
        Meaning::Related {
            subject,
            relation,
            to: Thing::Object(object),
        } => Ok(Question::Object(subject, relation, object)),
        Meaning::Related {
            subject,
            relation,
            to: Thing::File(path),
        } => match role(&relation) {
            Some(wish) => Ok(Question::Path(subject, wish, path)),
            None => no_wish(&relation),
        },
        Meaning::Member { group, .. } => fail(
            Kind::Invalid,
            format!("`nexusctl group show {group}` tells who is in a group"),
        ),
    }
}

/// `bob write PATH`, `user bob write PATH`; `None` where it is said otherwise, or is about an object.
fn of_path_in_short(words: &[OsString]) -> Result<Option<Question>> {
    let is_kind = |word: &OsString| PRINCIPALS.iter().any(|kind| word == kind);
    let (who, what, path) = match words {
        [kind, name, what, path] if is_kind(kind) && !is_typed(path) => {
            let (kind, name) = (kind.to_string_lossy(), name.to_string_lossy());
            (format!("{kind}:{name}"), what, path)
        }
        [who, what, path] => (who.to_string_lossy().into_owned(), what, path),
        _ => return Ok(None),
    };
    let what = what.to_string_lossy();
    // A role may be a relation of an object, too, and of these there are more.
    let meant = wish(&what).or_else(|| role(&what).filter(|_| !is_typed(path)));
    // `user bob write`: what is missing is the path.
    let is_unclear = is_typed(path) || (words.len() == 3 && words.first().is_some_and(is_kind));
    match meant {
        Some(wish) => Ok(Some(Question::Path(who, wish, path.clone()))),
        None if is_unclear => Ok(None),
        None => no_wish(&what),
    }
}

/// Whether a word is an object, `TYPE:NAME`, and no path.
fn is_typed(word: &OsString) -> bool {
    is_joined(word) && !word.as_bytes().starts_with(b"/")
}

fn no_wish<T>(word: &str) -> Result<T> {
    let message = format!(
        "{word:?}: say read, write, execute or own; to make, delete or rename something takes write on its directory"
    );
    fail(Kind::Invalid, message)
}

fn wish(word: &str) -> Option<Wish> {
    Some(match word {
        "read" => Wish::Read,
        "write" => Wish::Write,
        "execute" => Wish::Execute,
        "own" => Wish::Own,
        _ => return None,
    })
}

/// What a role on a file is wanted for.
fn role(relation: &str) -> Option<Wish> {
    let by_role = match relation {
        "owner" | "owner-of" => Some(Wish::Own),
        "can_write" | "editor-of" => Some(Wish::Write),
        "can_read" | "viewer-of" => Some(Wish::Read),
        "can_execute" => Some(Wish::Execute),
        _ => None,
    };
    by_role.or_else(|| wish(relation))
}

fn of_path(why: &Because) -> String {
    let (sign, may) = if why.allowed {
        ("✓", "may")
    } else {
        ("✗", "may not")
    };
    let op = match why.op {
        Wish::Read => "read",
        Wish::Write => "write",
        Wish::Execute => "execute",
        Wish::Own => "own",
    };
    format!(
        "{sign} {} {may} {op} {}\n  layer    {}\n  because  {}",
        why.subject, why.path, why.layer, why.because
    )
}

fn of_object(why: &Explained) -> String {
    let (sign, is) = match why.answer.answer.verdict {
        Verdict::Yes => ("✓", "is"),
        Verdict::No => ("✗", "is not"),
        Verdict::Unknown => ("✗", "is not known to be"),
    };
    format!(
        "{sign} {} {is} {} of {}\n  because  {}",
        why.subject, why.relation, why.object, why.because
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Question> {
        question(line.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn a_question_is_about_a_path_or_an_object() {
        let of_path = |who: &str, wish| Question::Path(who.into(), wish, "/a:b".into());
        for (line, expected) in [
            ("bob write /a:b", of_path("bob", Wish::Write)),
            ("agent:x own /a:b", of_path("agent:x", Wish::Own)),
            (
                "user bob can_read file /a:b",
                of_path("user:bob", Wish::Read),
            ),
            ("bob execute file /a:b", of_path("user:bob", Wish::Execute)),
            ("user bob write /a:b", of_path("user:bob", Wish::Write)),
            ("agent x can_read /a:b", of_path("agent:x", Wish::Read)),
            ("bob can_write /a:b", of_path("bob", Wish::Write)),
        ] {
            assert_eq!(asked(line).unwrap(), expected, "{line}");
        }
        let expected = Question::Object("user:bob".into(), "viewer".into(), "doc:1".into());
        for line in [
            "bob viewer doc:1",
            "bob viewer doc 1",
            "user:bob viewer doc:1",
            "user bob viewer doc:1",
            "user bob viewer doc 1",
        ] {
            assert_eq!(asked(line).unwrap(), expected, "{line}");
        }
        let owner = Question::Object("user:bob".into(), "owner".into(), "doc:1".into());
        assert_eq!(asked("bob owner doc:1").unwrap(), owner);
        for (line, told) in [
            ("bob fly /a", "say read, write, execute or own"),
            ("bob delete a", "say read, write, execute or own"),
            ("user bob delete a", "say read, write, execute or own"),
            ("bob flies file /a", "say read, write, execute or own"),
            ("bob member-of group:g", "nexusctl group show g"),
            ("user bob write", "say it as in"),
        ] {
            let refused = asked(line).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid, "{line}");
            assert!(refused.message().contains(told), "{line}: {refused}");
        }
    }
}

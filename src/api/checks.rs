//! Has he? One question, and many at once.

use super::Command;
use super::context::{Context, found_at};
use super::failure::Failure;
use super::groups::GroupCheck;
use super::object::{On, Target, subject};
use crate::access::rebac::{Answer, Verdict};
use crate::core::{Kind, Result, error::fail};
use crate::fs::Inquiry;
use serde::{Deserialize, Serialize};

/// The most questions of one request.
pub const QUESTIONS_MAX: usize = 1000;
/// How much the questions of one request look at before the rest of them has to be asked in another: objects and tuples.
const EFFORT_MAX: usize = 1_000_000;
const TOO_MUCH: &str =
    "the questions before it took all the work that one request may: ask it in another";
/// What the relation between a group and who is in it is called.
pub const MEMBER_OF: [&str; 5] = ["member-of", "member_of", "member", "part-of", "part_of"];
/// What the relation between a group and who is in charge of it is called.
pub const OWNER_OF: [&str; 4] = ["owner", "owner-of", "admin", "admin-of"];

/// Tells whether relationships alone give somebody a relation to a path or an object, himself or through groups; modes and
/// lists are `why`'s. Anybody may ask about himself and his groups, owners and administrators about anybody.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacCheck {
    pub subject: String,
    pub relation: String,
    #[serde(flatten)]
    pub on: On,
}

/// The answer: what is unknown is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    pub granted: bool,
    #[serde(flatten)]
    pub answer: Answer,
}

impl From<Answer> for Checked {
    fn from(answer: Answer) -> Self {
        Self {
            granted: answer.allows(),
            answer,
        }
    }
}

impl From<bool> for Checked {
    fn from(granted: bool) -> Self {
        let verdict = if granted { Verdict::Yes } else { Verdict::No };
        Answer { verdict, cut: None }.into()
    }
}

impl Command for RebacCheck {
    const NAME: &'static str = "rebac-check";
    type Reply = Checked;

    fn run(self, cx: &mut Context<'_>) -> Result<Checked> {
        let caller = cx.caller;
        let engine = cx.engine().clone();
        self.answered(cx, &engine.inquire(caller)?)
    }
}

impl RebacCheck {
    fn answered(self, cx: &mut Context<'_>, inquiry: &Inquiry<'_>) -> Result<Checked> {
        match self.on.target()? {
            Target::File(path) => {
                let (path, node) = found_at(cx, &path)?;
                let (engine, to) = (cx.engine(), self.subject.parse()?);
                let granted = engine.holds(cx.caller, node.ino, &self.relation, &to);
                granted.map(Checked::from).map_err(|e| e.context(path))
            }
            Target::Group(group) if MEMBER_OF.contains(&&*self.relation) => {
                let member = self.subject;
                let asked = GroupCheck { group, member };
                Ok(asked.run(cx)?.granted.into())
            }
            Target::Group(group) if OWNER_OF.contains(&&*self.relation) => {
                let who = self.subject.parse()?;
                let owns = cx.engine().is_owner_of(cx.caller, &group, &who);
                owns.map(Checked::from)
            }
            Target::Group(_) => no_relation(&self.relation),
            Target::Own(object) => {
                let subject = subject(&self.subject)?;
                let answer = inquiry.check(&object, &self.relation.parse()?, &subject)?;
                Ok(answer.into())
            }
        }
    }
}

/// Says which relations a group has.
pub(super) fn no_relation<T>(said: &str) -> Result<T> {
    let message = format!("a group has no {said:?}: say member-of, or owner");
    fail(Kind::Invalid, message)
}

/// Answers many questions, each as `rebac-check` does; those about objects from one moment. What no effort is left for fails with
/// `unavailable`: it is to be asked in another request, of which the first question is always answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacCheckMany {
    pub questions: Vec<RebacCheck>,
}

/// What became of one of many questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    Answered(Checked),
    /// It could not be asked: somebody or something that it names is not there, or not his to ask about.
    Failed(Failure),
}

impl Outcome {
    /// Whether it was left out because of what came before it.
    pub fn is_left_out(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.error.kind == Kind::Unavailable)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Outcomes {
    /// One for each question, in their order.
    pub answers: Vec<Outcome>,
}

impl Command for RebacCheckMany {
    const NAME: &'static str = "rebac-check-many";
    type Reply = Outcomes;

    fn run(self, cx: &mut Context<'_>) -> Result<Outcomes> {
        let count = self.questions.len();
        if count > QUESTIONS_MAX {
            let message = format!("{count} questions, and {QUESTIONS_MAX} may be asked at once");
            return fail(Kind::Invalid, message);
        }
        let caller = cx.caller;
        let engine = cx.engine().clone();
        let inquiry = engine.inquire(caller)?;
        Ok(self.within(cx, &inquiry, EFFORT_MAX))
    }
}

impl RebacCheckMany {
    pub(super) fn within(
        self,
        cx: &mut Context<'_>,
        inquiry: &Inquiry<'_>,
        effort: usize,
    ) -> Outcomes {
        let outcome = |question: RebacCheck| {
            let answer = if inquiry.effort() < effort {
                question.answered(cx, inquiry)
            } else {
                fail(Kind::Unavailable, TOO_MUCH)
            };
            match answer {
                Ok(checked) => Outcome::Answered(checked),
                Err(e) => Outcome::Failed(Failure::from(&e)),
            }
        };
        Outcomes {
            answers: self.questions.into_iter().map(outcome).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_question_names_a_path_or_an_object() {
        let read = |on: (&str, &str)| {
            let form = json!({"subject": "user:bob", "relation": "viewer", on.0: on.1});
            serde_json::from_value::<RebacCheck>(form)
                .unwrap()
                .on
                .target()
                .unwrap()
        };
        assert!(matches!(read(("path", "/a")), Target::File(path) if path == "/a".into()));
        assert!(
            matches!(read(("object", "file:/a:b")), Target::File(path) if path == "/a:b".into())
        );
        assert!(matches!(read(("object", "group:g")), Target::Group(name) if name == "g"));
        assert!(
            matches!(read(("object", "doc:1")), Target::Own(object) if object.id.as_str() == "1")
        );
    }

    #[test]
    fn what_is_unknown_is_not_granted_and_says_so() {
        let unknown = Answer {
            verdict: Verdict::Unknown,
            cut: Some(crate::access::rebac::Cut::Hops),
        };
        let told = Outcome::Answered(unknown.into());
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(
            json,
            json!({"granted": false, "verdict": "unknown", "cut": "hops"})
        );
        assert_eq!(serde_json::from_value::<Outcome>(json).unwrap(), told);
    }
}

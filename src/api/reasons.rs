//! Why somebody has a relation to an object of a tenant's own types, or has not.

use super::Command;
use super::checks::Checked;
use super::context::Context;
use super::object::{On, Target, subject};
use crate::access::rebac::{Gap, Tuple};
use crate::core::{Kind, Result, error::fail};
use crate::fs::Reasons;
use serde::{Deserialize, Serialize};

/// Explains why somebody has a relation to an object of a type of the tenant's own, or has not: the relationships that decided,
/// or the one that is missing, as far as whoever asks may know of them. Who may ask whether may ask why. For paths there is
/// `why`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebacWhy {
    pub subject: String,
    pub relation: String,
    /// `doc:readme`.
    pub object: String,
}

/// A relationship: a subject has a relation to an object, perhaps until a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub subject: String,
    pub relation: String,
    pub object: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Explained {
    pub subject: String,
    pub relation: String,
    pub object: String,
    #[serde(flatten)]
    pub answer: Checked,
    /// The relationships that decided, from the object to the subject.
    pub chain: Vec<Link>,
    /// How many more there are, about what the asker may not see.
    pub untold: usize,
    /// Relationships that are over and would have led there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Link>,
    /// The same for people, and what is missing or excludes.
    pub because: String,
}

impl Command for RebacWhy {
    const NAME: &'static str = "rebac-why";
    type Reply = Explained;

    fn run(self, cx: &mut Context<'_>) -> Result<Explained> {
        let on = On::Object {
            object: self.object.clone(),
        };
        let Target::Own(object) = on.target()? else {
            let message = "`why` explains paths, and `group-show` tells who is in a group";
            return fail(Kind::Invalid, message);
        };
        let by = subject(&self.subject)?;
        let inquiry = cx.engine().inquire(cx.caller)?;
        let why = inquiry.explain(&object, &self.relation.parse()?, &by)?;
        Ok(Explained {
            subject: by.to_string(),
            relation: self.relation,
            object: object.to_string(),
            answer: why.answer.into(),
            because: because(&why),
            chain: why.chain.iter().map(link).collect(),
            untold: why.untold,
            ended: why.ended.iter().map(link).collect(),
        })
    }
}

fn link(tuple: &Tuple) -> Link {
    Link {
        subject: tuple.subject.to_string(),
        relation: tuple.relation.to_string(),
        object: tuple.object.to_string(),
        expires: tuple.expires.map(|end| end.to_string()),
    }
}

fn because(why: &Reasons) -> String {
    let gap = why.gap.as_ref().map(|gap| match gap {
        Gap::Missing { object, relation } => format!("nothing leads to {relation} of {object}"),
        Gap::Excluded { object, relation } => format!("excluded from {relation} of {object}"),
    });
    let cut = why.answer.cut.map(|cut| cut.to_string());
    let chain = why.chain.iter().map(Tuple::to_string);
    let untold = match why.untold {
        0 => None,
        more => Some(format!("{more} more about what you may not see")),
    };
    let ended = why.ended.iter().map(|tuple| {
        let Link {
            subject,
            relation,
            object,
            expires,
        } = link(tuple);
        let end = expires.unwrap_or_default();
        format!("{subject} was {relation} of {object} until {end}")
    });
    let all: Vec<_> = gap
        .into_iter()
        .chain(ended)
        .chain(cut)
        .chain(chain)
        .chain(untold)
        .collect();
    if all.is_empty() {
        return "nothing that you may see leads there".to_owned();
    }
    all.join("; ")
}

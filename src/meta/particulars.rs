//! What exactly an operation on rights did, as its record says it: which role until when, who joined, which entries.

use super::log::{OpKind, Record};
use super::tuple::Tuple;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a request that was refused was about, by the names of its fields: `path`, `subject`, `of`.
pub type Request = BTreeMap<String, String>;

/// The particulars of a record. Records of earlier versions have some of them not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Particulars {
    /// What was granted or revoked: `can_write`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relation: Option<String>,
    /// When what was granted ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The number of the tuple that came or went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tuple: Option<u64>,
    /// Who came into the group, or left it: `user:bob`, `group:interns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Entries that a list got, `default:user:bob:rw-`, and behind a `-` those that it lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<String>,
    /// What was asked for and refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub asked: Request,
    /// How often what operation `first` tells was done again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// When it was done again last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Whether it stands for whatever else was refused, of which there was too much in that hour to tell one by one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub others: bool,
}

impl Record {
    /// What the record says beside whom and what it was about.
    pub fn particulars(&self) -> Particulars {
        let none = Particulars::default();
        let said = |key: &str| self.details()[key].clone();
        match self.kind {
            OpKind::Grant | OpKind::Revoke => {
                let tuple = serde_json::from_value::<Tuple>(said("tuple"));
                tuple.map_or(none, |tuple| Particulars {
                    relation: Some(tuple.relation),
                    expires: tuple.expires.map(|end| end.to_string()),
                    tuple: Some(tuple.id),
                    ..Particulars::default()
                })
            }
            OpKind::GroupAdd | OpKind::GroupRemove => Particulars {
                member: said("member_name").as_str().map(str::to_owned),
                ..none
            },
            OpKind::SetAcl => Particulars {
                entries: texts(&said("entries")),
                ..none
            },
            OpKind::Refused | OpKind::Bypass => Particulars {
                asked: serde_json::from_value(said("asked")).unwrap_or_default(),
                times: said("times").as_u64(),
                last: said("last").as_str().map(str::to_owned),
                first: self.repeats().map(|op| op.0),
                others: said("others") == true,
                ..none
            },
            _ => none,
        }
    }
}

fn texts(all: &Value) -> Vec<String> {
    let all = all.as_array().into_iter().flatten();
    all.filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

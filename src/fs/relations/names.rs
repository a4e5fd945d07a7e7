//! Principals by name, as people say them, and by number, as they are stored: who comes later under a name is somebody else.

use crate::access::rebac::{ObjectId, ObjectRef, Relation, Subject, Tuple};
use crate::core::{Error, Kind, PrincipalId, Result, TenantId, Time, error::fail};
use crate::meta::tuple::{self, EVERYBODY, FILE, PRINCIPALS};
use crate::meta::{self, Member, Principal, Roster};

/// A subject as it is stored. Fails with `NotFound` for a principal that the tenant does not have.
pub(super) fn numbered(roster: &Roster, subject: &Subject) -> Result<Subject> {
    let number = |object: &ObjectRef| numbered_object(roster, object);
    match subject {
        Subject::Wildcard(kind) | Subject::Object(ObjectRef { kind, .. })
            if kind.as_str() == FILE =>
        {
            fail(Kind::Invalid, "files cannot be subjects")
        }
        Subject::Wildcard(_) => Ok(subject.clone()),
        Subject::Object(object) => Ok(Subject::Object(number(object)?)),
        Subject::Userset(object, relation) => {
            Ok(Subject::Userset(number(object)?, relation.clone()))
        }
    }
}

fn numbered_object(roster: &Roster, object: &ObjectRef) -> Result<ObjectRef> {
    if !is_principal(object) {
        return Ok(object.clone());
    }
    let name: meta::Subject = object.to_string().parse()?;
    let missing = || Error::new(Kind::NotFound, format!("no {} {:?}", name.kind, name.name));
    let id = roster.named(&name).ok_or_else(missing)?.id();
    with_number(object.kind.as_str(), id)
}

/// A stored subject as people know it; `None` for a principal that is gone.
pub(super) fn named(roster: &Roster, subject: Subject) -> Option<Subject> {
    Some(match subject {
        Subject::Wildcard(_) => subject,
        Subject::Object(object) => Subject::Object(named_object(roster, object)?),
        Subject::Userset(object, relation) => {
            Subject::Userset(named_object(roster, object)?, relation)
        }
    })
}

pub(super) fn named_object(roster: &Roster, object: ObjectRef) -> Option<ObjectRef> {
    if !is_principal(&object) {
        return Some(object);
    }
    let id = PrincipalId(object.id.as_str().parse().ok()?);
    let name = roster.by_id(id)?.subject().name;
    let id = ObjectId::new(&name).ok()?;
    Some(ObjectRef { id, ..object })
}

fn is_principal(object: &ObjectRef) -> bool {
    PRINCIPALS.contains(&object.kind.as_str())
}

fn with_number(kind: &str, id: PrincipalId) -> Result<ObjectRef> {
    ObjectRef::new(kind, &id.0.to_string())
}

/// A principal as an object of the graph.
pub(super) fn object_of(principal: &Principal) -> Result<ObjectRef> {
    let kind = principal.subject().kind.to_string();
    with_number(&kind, principal.id())
}

/// What a membership says in the graph; `None` when one of the two is gone.
pub(super) fn membership(roster: &Roster, row: &Member) -> Result<Option<Tuple>> {
    let (Some(group), Some(member)) = (roster.by_id(row.group), roster.by_id(row.member)) else {
        return Ok(None);
    };
    let is_in = Relation::new("member")?;
    let object = object_of(member)?;
    let member = match member {
        Principal::Group(_) => Subject::Userset(object, is_in.clone()),
        Principal::User(_) | Principal::Agent(_) => Subject::Object(object),
    };
    Ok(Some(Tuple::new(object_of(group)?, is_in, member)))
}

/// What a stored row says.
pub(super) fn said(row: &tuple::Tuple) -> Result<Tuple> {
    let object = ObjectRef::new(&row.object_type, &row.object_id)?;
    let subject = if row.subject_id == EVERYBODY {
        Subject::Wildcard(row.subject_type.parse()?)
    } else {
        let subject = ObjectRef::new(&row.subject_type, &row.subject_id)?;
        match &*row.subject_relation {
            "" => Subject::Object(subject),
            relation => Subject::Userset(subject, relation.parse()?),
        }
    };
    Ok(Tuple {
        object,
        relation: row.relation.parse()?,
        subject,
        expires: row.expires,
    })
}

/// The row that says so.
pub(super) fn row(id: u64, tenant: TenantId, said: &Tuple, created: Time) -> tuple::Tuple {
    let (subject_id, subject_relation) = match &said.subject {
        Subject::Wildcard(_) => (EVERYBODY, ""),
        Subject::Object(object) => (object.id.as_str(), ""),
        Subject::Userset(object, relation) => (object.id.as_str(), relation.as_str()),
    };
    tuple::Tuple {
        id,
        tenant,
        object_type: said.object.kind.to_string(),
        object_id: said.object.id.to_string(),
        relation: said.relation.to_string(),
        subject_type: said.subject.kind().to_string(),
        subject_id: subject_id.to_owned(),
        subject_relation: subject_relation.to_owned(),
        created,
        expires: said.expires,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_was_said() {
        for text in ["user:7", "group:8#member", "user:*", "folder:a b#viewer"] {
            let said_once = Tuple {
                expires: Some(Time(9)),
                ..Tuple::new(
                    "doc:x/y".parse().unwrap(),
                    "viewer".parse().unwrap(),
                    text.parse().unwrap(),
                )
            };
            let row = row(1, TenantId(2), &said_once, Time(3));
            assert_eq!(said(&row).unwrap(), said_once);
        }
    }
}

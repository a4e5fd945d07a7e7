//! The configuration a tenant starts with, and the other names its relations go by.
//!
//! Promise: the store holds one name for one meaning; aliases end at the door that canonicalises.

use super::name::{Relation, TypeName};
use super::schema::Schema;
use super::tuple::Tuple;
use crate::core::{Error, Kind, Result};

/// Other names, and the names that are stored for them.
const ALIASES: [(&str, &str); 3] = [
    ("editor-of", "can_write"),
    ("viewer-of", "can_read"),
    ("part-of", "member"),
];

/// Reads the configuration a tenant starts with.
pub fn standard() -> Result<Schema> {
    let read = serde_json::from_str(include_str!("standard.json"));
    read.map_err(|e| Error::new(Kind::Corrupt, "the standard configuration").caused_by(e))
}

/// The name under which a relation of a type is stored: `editor-of` is `can_write` where a type has that, and `viewer-of` is
/// `viewer`. A name that the type itself has stays what it is, and so does one that it has under none.
pub fn canonical(schema: &Schema, kind: &TypeName, name: &Relation) -> Relation {
    let said = name.as_str();
    let alias = ALIASES.iter().find(|(alias, _)| *alias == said);
    let others = [alias.map(|(_, stored)| *stored), said.strip_suffix("-of")];
    let names = [Some(said)].into_iter().chain(others).flatten();
    let mut found = names.filter_map(|name| schema.find(kind, name));
    found.next().map_or(name, |(stored, _)| stored).clone()
}

/// A tuple as it is stored: its relation by the canonical name, a bare group as its members.
pub fn canonical_tuple(schema: &Schema, tuple: Tuple) -> Tuple {
    let relation = canonical(schema, &tuple.object.kind, &tuple.relation);
    schema.complete(Tuple { relation, ..tuple })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{World, p, tuple};
    use super::super::{Principals, Verdict};
    use super::*;

    fn world(tuples: &[&str]) -> World {
        let schema = standard().unwrap();
        let stored = tuples.iter().map(|t| canonical_tuple(&schema, tuple(t)));
        let stored: Vec<Tuple> = stored.collect();
        World::of(schema, stored)
    }

    #[test]
    fn an_agent_in_a_group_that_owns_a_file_owns_it() {
        let world = world(&[
            "agent:alice member-of group:developers",
            "group:developers owner-of file:project",
        ]);
        for relation in ["owner", "can_write", "can_read", "can_execute"] {
            assert_eq!(
                world.verdict(&format!("agent:alice {relation} file:project")),
                Verdict::Yes
            );
            assert_eq!(
                world.verdict(&format!("agent:bob {relation} file:project")),
                Verdict::No
            );
        }
        let mut evaluator = world.at(0);
        let mut expand = |whom| {
            let listed = evaluator
                .expand(&p("file:project"), &p("owner"), whom)
                .unwrap();
            assert_eq!(listed.cut, None);
            listed
                .found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            expand(Principals::All),
            ["agent:alice", "group:developers#member"]
        );
        assert_eq!(expand(Principals::Leaves), ["agent:alice"]);
    }

    #[test]
    fn writing_and_executing_imply_reading_and_nothing_else() {
        let world = world(&[
            "user:w editor-of file:1",
            "user:x can_execute file:1",
            "user:r viewer-of file:1",
        ]);
        let rights = |user: &str| {
            let has = |r: &&str| world.verdict(&format!("user:{user} {r} file:1")) == Verdict::Yes;
            let all = ["owner", "can_write", "can_read", "can_execute"];
            all.into_iter().filter(has).collect::<Vec<_>>()
        };
        assert_eq!(rights("w"), ["can_write", "can_read"]);
        assert_eq!(rights("x"), ["can_read", "can_execute"]);
        assert_eq!(rights("r"), ["can_read"]);
    }

    #[test]
    fn a_grant_on_a_directory_holds_below_it_and_not_beside_or_above() {
        let world = world(&[
            "file:top parent-of file:dir",
            "file:dir parent-of file:a",
            "file:dir parent-of file:b",
            "user:u owner-of file:dir",
            "user:v owner-of file:a",
        ]);
        for (user, file, verdict) in [
            ("u", "a", Verdict::Yes),
            ("u", "b", Verdict::Yes),
            ("u", "top", Verdict::No),
            ("v", "b", Verdict::No),
            ("v", "dir", Verdict::No),
        ] {
            assert_eq!(
                world.verdict(&format!("user:{user} can_read file:{file}")),
                verdict,
                "{user} {file}"
            );
        }
    }

    #[test]
    fn a_team_that_is_part_of_a_department_brings_its_members() {
        let world = world(&[
            "group:team part-of group:dept",
            "user:u member-of group:team",
            "group:dept viewer-of file:1",
        ]);
        assert_eq!(world.verdict("user:u can_read file:1"), Verdict::Yes);
    }

    #[test]
    fn a_name_of_a_types_own_is_no_alias() {
        let nobody = || serde_json::json!({"rewrite": {"nil": true}});
        let doc =
            serde_json::json!({"owner-of": nobody(), "viewer": nobody(), "can_write": nobody()});
        let own = serde_json::json!({"types": {"doc": {"relations": doc}, "none": {}}});
        let own: Schema = serde_json::from_value(own).unwrap();
        for (said, stored) in [
            ("owner-of", "owner-of"),
            ("viewer-of", "viewer"),
            ("editor-of", "can_write"),
            ("part-of", "part-of"),
            ("other", "other"),
        ] {
            let relation = canonical(&own, &p("doc"), &p(said));
            assert_eq!(relation, p(stored));
            assert_eq!(canonical(&own, &p("none"), &p(said)), p(said));
        }
    }

    #[test]
    fn nobody_shares_with_everybody_by_the_standard_configuration() {
        let schema = standard().unwrap();
        assert!(schema.admits(&tuple("user:* can_read file:1")).is_err());
        assert!(schema.admits(&tuple("group:g owner file:1")).is_err());
    }
}

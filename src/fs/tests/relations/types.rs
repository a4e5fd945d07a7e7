//! Definitions: what is refused, what a change of one does, what goes with one.

use super::*;

#[track_caller]
fn refused_saying(result: Result<impl std::fmt::Debug>, kind: Kind, why: &str) {
    let e = result.unwrap_err();
    assert_eq!(e.kind(), kind, "{e}");
    assert!(e.message().contains(why), "{e} does not say {why:?}");
}

fn set(w: &World, by: &Caller, types: &str) -> Result<()> {
    w.engine().set_types(by, definitions(types)).map(drop)
}

#[test]
fn what_cannot_be_is_refused_and_nothing_of_it_is_stored() {
    let (w, alice, _) = docs();
    let before = w.engine().head(TENANT).unwrap();
    for (types, why) in [
        ("file: {}", "the tree is judged by it"),
        (
            "group: {relations: {boss: {rewrite: {this: true}}}}",
            "take another name",
        ),
        (
            "x: {relations: {r: {rewrite: {computed: s}}}}",
            "type x has no relation s; it has r",
        ),
        (
            "y: {}\nx: {relations: {r: {rewrite: {this: true}, types: [{type: file}]}}}",
            "files cannot be subjects",
        ),
        (
            "x: {relations: {r: {rewrite: {not: {computed: r}}}}}",
            "it excludes itself",
        ),
        ("folder: {}", "nothing that parent leads to has a relation"),
    ] {
        refused_saying(set(&w, &boss(), types), Kind::Invalid, why);
    }
    refused(set(&w, &alice, "x: {}"), Kind::NotPermitted);
    let takes = "{type: user, wildcard: true}, ".repeat(20);
    let relation = |n| format!("r{n}: {{rewrite: {{this: true}}, types: [{takes}]}}, ");
    let huge: String = (0..200).map(relation).collect();
    let huge = format!("x: {{relations: {{{huge}}}}}");
    refused_saying(set(&w, &boss(), &huge), Kind::Invalid, "bytes to define");
    assert_eq!(w.engine().head(TENANT).unwrap(), before);
    assert_eq!(w.engine().types(&alice).unwrap().len(), 2);
    // What changes nothing is no operation.
    define(&w, &boss(), DOCS);
    define(&w, &boss(), "user: {}");
    assert_eq!(w.engine().head(TENANT).unwrap(), before);
}

#[test]
fn a_tuple_that_a_definition_no_longer_admits_counts_for_nothing_until_it_does_again() {
    let (mut w, _, _) = docs();
    give(&w, "user:bob viewer folder:f");
    give(&w, "folder:f parent doc:1");
    let idle = |w: &World| {
        let found = w.engine().types(&boss()).unwrap();
        found
            .iter()
            .map(|t| (t.name.to_string(), t.tuples, t.idle))
            .collect::<Vec<_>>()
    };
    assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::Yes);
    let closed = DOCS.replace("      types: [{type: user}, {type: user, wildcard: true}, {type: agent}, {type: group, relation: member}]\ndoc:", "      types: [{type: agent}]\ndoc:");
    define(&w, &boss(), &closed);
    for _ in 0..2 {
        assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::No);
        assert_eq!(
            idle(&w),
            [("doc".to_owned(), 1, 0), ("folder".to_owned(), 1, 1)]
        );
        refused_saying(
            relate(&w, &boss(), "user:alice viewer folder:f"),
            Kind::Invalid,
            "does not take user:alice",
        );
        w.crash();
    }
    define(&w, &boss(), DOCS);
    assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::Yes);
    w.assert_sound();
}

#[test]
fn a_type_goes_with_its_tuples_on_either_side_in_one_operation() {
    let (mut w, _, _) = docs();
    give(&w, "user:bob viewer folder:f");
    give(&w, "folder:f parent doc:1");
    give(&w, "user:bob reader doc:1");
    let (folder, doc) = ("folder".parse().unwrap(), "doc".parse().unwrap());
    refused_saying(
        w.engine().delete_type(&boss(), &folder),
        Kind::Invalid,
        "folder is named by others: owner of doc",
    );
    refused(
        w.engine().delete_type(&boss(), &"file".parse().unwrap()),
        Kind::NotFound,
    );
    // Nobody asks about folders any more; the tuple that names one stays until its type goes.
    define(
        &w,
        &boss(),
        "doc: {relations: {parent: {rewrite: {this: true}, types: [{type: user}]}, reader: {rewrite: {this: true}, types: [{type: user}]}}}",
    );
    assert_eq!(all(&w).len(), 3);
    let before = w.engine().head(TENANT).unwrap();
    assert_eq!(w.engine().delete_type(&boss(), &folder).unwrap(), 2);
    assert_eq!(w.engine().head(TENANT).unwrap().0, before.0 + 1);
    for _ in 0..2 {
        assert_eq!(all(&w).len(), 1);
        assert_eq!(asks(&w, "user:bob reader doc:1"), Verdict::Yes);
        refused_saying(
            verdict(&w, &boss(), "user:bob viewer folder:f"),
            Kind::Invalid,
            "no type folder",
        );
        w.crash();
    }
    assert_eq!(w.engine().delete_type(&boss(), &doc).unwrap(), 1);
    assert_eq!(all(&w), []);
    // What is defined again under the name starts with nothing.
    define(&w, &boss(), DOCS);
    assert_eq!(asks(&w, "user:bob reader doc:1"), Verdict::No);
    w.assert_sound();
}

#[test]
fn tenants_have_types_of_the_same_name_and_nothing_of_each_other() {
    let (mut w, _, _) = docs();
    let other = w.engine().create_tenant(&boss(), "other").unwrap();
    let theirs = Caller::engine(other.id);
    w.engine()
        .create_user(&theirs, "bob", None, (None, None))
        .unwrap();
    refused_saying(
        verdict(&w, &theirs, "user:bob viewer doc:1"),
        Kind::Invalid,
        "no type doc",
    );
    define(
        &w,
        &theirs,
        "doc: {relations: {viewer: {rewrite: {this: true}, types: [{type: user}]}}}",
    );
    let ours = give(&w, "user:bob reader doc:1");
    for _ in 0..2 {
        assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::Yes);
        assert_eq!(
            verdict(&w, &theirs, "user:bob viewer doc:1").unwrap(),
            Verdict::No
        );
        refused(
            verdict(&w, &theirs, "user:alice viewer doc:1"),
            Kind::NotFound,
        );
        assert_eq!(w.engine().grants(&theirs, |_| true).unwrap(), []);
        refused(w.engine().revoke(&theirs, ours), Kind::NotFound);
        w.crash();
    }
    relate(&w, &theirs, "user:bob viewer doc:1").unwrap();
    w.engine()
        .delete_type(&theirs, &"doc".parse().unwrap())
        .unwrap();
    assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::Yes);
    w.assert_sound();
}

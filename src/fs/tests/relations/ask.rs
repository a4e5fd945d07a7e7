//! Questions: who may ask, what is unknown, groups as they are now.

use super::super::permissions::time::world_at;
use super::*;
use crate::access::rebac::{Cut, Principals, SubjectFilter};
use std::sync::atomic::{AtomicBool, Ordering};

fn expand(
    w: &World,
    by: &Caller,
    relation: &str,
    object: &str,
    whom: Principals,
) -> Result<Vec<String>> {
    let inquiry = w.engine().inquire(by)?;
    let found = inquiry.expand(&object.parse()?, &relation.parse()?, whom)?;
    Ok(found.found.iter().map(ToString::to_string).collect())
}

fn objects(w: &World, by: &Caller, text: &str) -> Result<Vec<String>> {
    let words: Vec<&str> = text.split(' ').collect();
    let inquiry = w.engine().inquire(by)?;
    let found = inquiry.objects(&words[2].parse()?, &words[1].parse()?, &words[0].parse()?)?;
    Ok(found.found.iter().map(ToString::to_string).collect())
}

#[test]
fn members_of_groups_have_what_their_groups_were_given_while_they_are_in() {
    let (mut w, _, _) = docs();
    let e = w.engine();
    for group in ["inner", "outer"] {
        e.create_group(&boss(), group, None).unwrap();
    }
    e.add_member(&boss(), "inner", &subject("bob")).unwrap();
    e.add_member(&boss(), "outer", &subject("group:inner"))
        .unwrap();
    // A bare group is its members.
    give(&w, "group:outer viewer folder:f");
    give(&w, "folder:f parent doc:1");
    let all = ["user:bob", "group:inner#member", "group:outer#member"];
    for _ in 0..2 {
        assert_eq!(asks(&w, "user:bob viewer-of doc:1"), Verdict::Yes);
        assert_eq!(asks(&w, "group:inner#member viewer doc:1"), Verdict::Yes);
        assert_eq!(asks(&w, "user:alice viewer doc:1"), Verdict::No);
        let found = |whom| expand(&w, &boss(), "viewer", "doc:1", whom).unwrap();
        assert_eq!(found(Principals::All), all);
        assert_eq!(found(Principals::Leaves), ["user:bob"]);
        assert_eq!(
            objects(&w, &boss(), "user:bob viewer doc").unwrap(),
            ["doc:1"]
        );
        w.crash();
    }
    let e = w.engine();
    e.remove_member(&boss(), "inner", &subject("bob")).unwrap();
    assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::No);
    e.add_member(&boss(), "inner", &subject("bob")).unwrap();
    assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::Yes);
    e.delete_group(&boss(), "inner").unwrap();
    assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::No);
    assert_eq!(
        expand(&w, &boss(), "viewer", "doc:1", Principals::All).unwrap(),
        all[2..]
    );
}

#[test]
fn one_asks_about_oneself_and_owners_about_everybody() {
    let (w, alice, bob) = docs();
    let carol = make(&w, "carol");
    w.engine().create_group(&boss(), "g", None).unwrap();
    w.engine()
        .add_member(&boss(), "g", &subject("bob"))
        .unwrap();
    give(&w, "user:alice owner doc:1");
    give(&w, "group:g reader doc:1");
    let own = |text| verdict(&w, &bob, text).unwrap();
    assert_eq!(own("user:bob viewer doc:1"), Verdict::Yes);
    assert_eq!(own("group:g#member viewer doc:1"), Verdict::Yes);
    assert_eq!(own("user:* viewer doc:1"), Verdict::No);
    assert_eq!(own("user:bob viewer doc:2"), Verdict::No);
    refused(
        verdict(&w, &bob, "user:alice viewer doc:1"),
        Kind::NotPermitted,
    );
    refused(
        verdict(&w, &bob, "folder:f#viewer viewer doc:1"),
        Kind::NotPermitted,
    );
    refused(
        verdict(&w, &carol, "group:g#member viewer doc:1"),
        Kind::NotPermitted,
    );
    assert_eq!(
        verdict(&w, &alice, "user:bob viewer doc:1").unwrap(),
        Verdict::Yes
    );
    refused(
        expand(&w, &bob, "viewer", "doc:1", Principals::All),
        Kind::NotPermitted,
    );
    assert_eq!(
        expand(&w, &alice, "viewer", "doc:1", Principals::Leaves).unwrap(),
        ["user:alice", "user:bob"]
    );
    assert_eq!(objects(&w, &bob, "user:bob viewer doc").unwrap(), ["doc:1"]);
    refused(
        objects(&w, &alice, "user:bob viewer doc"),
        Kind::NotPermitted,
    );
    let group: SubjectFilter = "group#member".parse().unwrap();
    let inquiry = w.engine().inquire(&alice).unwrap();
    let asked = said("user:x viewer doc:1");
    let listed = inquiry
        .subjects(&asked.object, &asked.relation, &[group])
        .unwrap();
    assert_eq!(listed.found, ["group:g#member".parse().unwrap()]);
    // A list shows what is known of: to bob what names him.
    let known = |who: &Caller| w.engine().grants(who, |_| true).unwrap().len();
    assert_eq!((known(&alice), known(&bob), known(&carol)), (2, 1, 0));
}

#[test]
fn everybody_is_everybody_but_who_is_excluded() {
    let (w, _, bob) = docs();
    give(&w, "user:* viewer folder:f");
    give(&w, "folder:f parent doc:1");
    give(&w, "user:bob banned doc:1");
    assert_eq!(asks(&w, "user:alice viewer doc:1"), Verdict::Yes);
    assert_eq!(asks(&w, "user:bob viewer doc:1"), Verdict::No);
    assert_eq!(
        verdict(&w, &bob, "user:* reader doc:1").unwrap(),
        Verdict::Yes
    );
    let late = make(&w, "late");
    assert_eq!(
        verdict(&w, &late, "user:late viewer doc:1").unwrap(),
        Verdict::Yes
    );
}

#[test]
fn ten_hops_are_followed_and_the_eleventh_is_unknown_and_refused() {
    let (w, _, bob) = docs();
    let e = w.engine();
    for n in 0..11 {
        e.create_group(&boss(), &format!("g{n}"), None).unwrap();
    }
    for n in 0..10 {
        let inner = subject(&format!("group:g{n}"));
        e.add_member(&boss(), &format!("g{}", n + 1), &inner)
            .unwrap();
    }
    e.add_member(&boss(), "g0", &subject("bob")).unwrap();
    give(&w, "group:g8 reader doc:near");
    give(&w, "group:g9 reader doc:far");
    assert_eq!(asks(&w, "user:bob reader doc:near"), Verdict::Yes);
    let inquiry = e.inquire(&bob).unwrap();
    let asked = said("user:bob reader doc:far");
    let answer = inquiry
        .check(&asked.object, &asked.relation, &asked.subject)
        .unwrap();
    assert_eq!(
        (answer.verdict, answer.cut),
        (Verdict::Unknown, Some(Cut::Hops))
    );
    assert!(!answer.allows());
    // What is unknown gives no ownership either.
    give(&w, "group:g9 owner doc:far");
    refused(
        relate(&w, &bob, "user:alice reader doc:far"),
        Kind::NotPermitted,
    );
    let listed = inquiry
        .objects(&asked.object.kind, &asked.relation, &asked.subject)
        .unwrap();
    assert_eq!(listed.cut, Some(Cut::Hops));
}

/// permissions.md: "0 stale allows after the acknowledgement"
#[test]
fn a_change_holds_for_the_next_question_while_others_ask() {
    let (w, alice, bob) = docs();
    give(&w, "user:alice owner doc:1");
    let ended = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    assert_eq!(
                        verdict(&w, &alice, "user:alice viewer doc:1").unwrap(),
                        Verdict::Yes
                    );
                }
            });
        }
        let long = w.engine().inquire(&bob).unwrap();
        for round in 0..50 {
            let id = give(&w, "user:bob reader doc:1");
            assert_eq!(
                verdict(&w, &bob, "user:bob viewer doc:1").unwrap(),
                Verdict::Yes,
                "{round}"
            );
            w.engine().revoke(&bob, id).unwrap();
            assert_eq!(
                verdict(&w, &bob, "user:bob viewer doc:1").unwrap(),
                Verdict::No,
                "{round}"
            );
        }
        // Who began to ask before still has the answers of then.
        assert!(
            long.objects(
                &"doc".parse().unwrap(),
                &"viewer".parse().unwrap(),
                &"user:bob".parse().unwrap()
            )
            .unwrap()
            .found
            .is_empty()
        );
        ended.store(true, Ordering::Relaxed);
    });
}

/// What is told of an answer, on lines.
fn why(w: &World, by: &Caller, text: &str) -> Result<Vec<String>> {
    let asked = said(text);
    let inquiry = w.engine().inquire(by)?;
    let why = inquiry.explain(&asked.object, &asked.relation, &asked.subject)?;
    let mut told = vec![why.answer.verdict.to_string()];
    told.extend(why.gap.map(|gap| format!("{gap:?}")));
    told.extend(why.chain.iter().map(ToString::to_string));
    let once = |t: &rebac::Tuple| format!("once: {} {} {}", t.subject, t.relation, t.object);
    told.extend(why.ended.iter().map(once));
    told.extend((why.untold > 0).then(|| format!("{} untold", why.untold)));
    Ok(told)
}

/// semantics.md §4: "Everybody is told why he may do something or may not, and about others whoever owns it; nothing is named
/// that the asker may not see."
#[test]
fn why_is_told_to_who_may_ask_whether_and_names_what_he_may_know_of() {
    let (w, alice, bob) = docs();
    let e = w.engine();
    e.create_group(&boss(), "inner", None).unwrap();
    e.create_group(&boss(), "outer", None).unwrap();
    e.add_member(&boss(), "inner", &subject("bob")).unwrap();
    e.add_member(&boss(), "outer", &subject("group:inner"))
        .unwrap();
    give(&w, "group:outer viewer folder:secret");
    give(&w, "folder:secret parent doc:1");
    give(&w, "user:alice owner doc:1");
    let all = [
        "yes",
        "folder:secret is parent of doc:1",
        "group:outer#member is viewer of folder:secret",
        "group:inner#member is member of group:outer",
        "user:bob is member of group:inner",
    ];
    let asked = "user:bob viewer doc:1";
    assert_eq!(why(&w, &boss(), asked).unwrap(), all);
    // Bob's own grant names the folder; that the document lies in it, its owner knows.
    let his = why(&w, &bob, asked).unwrap();
    assert_eq!(his, [&[all[0]], &all[2..], &["1 untold"]].concat());
    let hers = why(&w, &alice, asked).unwrap();
    assert_eq!(hers, [&all[..2], &all[3..], &["1 untold"]].concat());
    refused(why(&w, &bob, "user:alice viewer doc:1"), Kind::NotPermitted);
    give(&w, "user:bob banned doc:1");
    let banned = why(&w, &bob, asked).unwrap();
    assert_eq!(banned[0], "no");
    assert!(banned[1].starts_with("Excluded"), "{banned:?}");
    assert_eq!(banned[2], "user:bob is banned of doc:1");
    let missing = why(&w, &boss(), "user:alice parent doc:2").unwrap();
    assert!(missing[1].starts_with("Missing"), "{missing:?}");
}

#[test]
fn why_names_what_is_over_and_would_have_led_there() {
    let noon = Time(1_700_000_000_000_000_000);
    let end = Time(noon.0 + 1_000_000_000);
    let w = world_at(noon);
    let (alice, bob) = (make(&w, "alice"), make(&w, "bob"));
    define(&w, &boss(), DOCS);
    let until = |text: &str| w.engine().relate(&boss(), &said(text).until(end)).unwrap();
    until("user:bob viewer folder:f");
    until("folder:f parent doc:1");
    give(&w, "user:bob banned doc:2");
    until("user:bob reader doc:2");
    let asked = "user:bob viewer doc:1";
    assert_eq!(why(&w, &bob, asked).unwrap()[0], "yes");
    w.engine().clock().set(end);
    let all = why(&w, &boss(), asked).unwrap();
    assert_eq!(all[0], "no");
    assert_eq!(
        all[2..],
        [
            "once: folder:f parent doc:1",
            "once: user:bob viewer folder:f"
        ]
    );
    // He knows of what names him, and others may not ask.
    let his = why(&w, &bob, asked).unwrap();
    assert_eq!(his[2..], ["once: user:bob viewer folder:f"]);
    refused(why(&w, &alice, asked), Kind::NotPermitted);
    // It is not the end of it that keeps him out.
    let banned = why(&w, &boss(), "user:bob viewer doc:2").unwrap();
    assert!(
        !banned.iter().any(|line| line.starts_with("once")),
        "{banned:?}"
    );
}

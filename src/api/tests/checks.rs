//! Many questions of one request.

use super::{Village, boss};
use crate::access::rebac::{Format, Tuple};
use crate::api::checks::{Outcome, RebacCheck, RebacCheckMany};
use crate::api::{Context, On};

const TYPES: &str = "
types:
  folder: {relations: {viewer: {rewrite: {this: true}, types: [{type: user}]}}}
  doc:
    relations:
      parent: {rewrite: {this: true}, types: [{type: folder}]}
      viewer: {rewrite: {ttu: {tupleset: parent, computed: viewer}}}
";
const FOLDERS: usize = 50;

/// A question costs what it looks at, and a request answers as many as it may pay for.
#[test]
fn what_a_request_has_no_effort_left_for_is_to_be_asked_in_another() {
    let v = Village::new();
    let e = &v.nexus.engine;
    let types = Format::Yaml.read(TYPES).unwrap();
    e.set_types(&boss(), types).unwrap();
    for n in 0..FOLDERS {
        let folder = format!("folder:{n}").parse().unwrap();
        let tuple = Tuple::new("doc:1".parse().unwrap(), "parent".parse().unwrap(), folder);
        e.relate(&boss(), &tuple).unwrap();
    }
    let question = |object: &str| RebacCheck {
        subject: "user:ann".into(),
        relation: "viewer".into(),
        on: On::Object {
            object: object.into(),
        },
    };
    let asked = |object: &str, count: usize, effort: usize| {
        let caller = boss();
        let inquiry = e.inquire(&caller).unwrap();
        let mut cx = Context {
            nexus: &v.nexus,
            caller: &caller,
            tell: &mut |_| Ok(()),
        };
        let questions = vec![question(object); count];
        let told = RebacCheckMany { questions }.within(&mut cx, &inquiry, effort);
        assert_eq!(told.answers.len(), count);
        let answered = told.answers.iter().position(Outcome::is_left_out);
        let (answered, left_out) = told.answers.split_at(answered.unwrap_or(count));
        assert!(left_out.iter().all(Outcome::is_left_out));
        let is_told = |answer: &Outcome| matches!(answer, Outcome::Answered(_));
        assert!(answered.iter().all(is_told));
        (left_out.len(), inquiry.effort())
    };
    let (none, each) = asked("doc:1", 1, 1);
    assert_eq!(none, 0);
    assert!((2 * FOLDERS..4 * FOLDERS).contains(&each), "{each}");
    assert_eq!(asked("doc:1", 20, 3 * each), (17, 3 * each));
    assert_eq!(asked("doc:1", 20, 3 * each + 1), (16, 4 * each));
    assert_eq!(asked("doc:2", 20, 3 * each).0, 0);
}

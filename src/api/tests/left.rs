//! What becomes of work that nobody waits for.

use super::{Village, boss};
use crate::api::{Context, dispatch};
use crate::core::{Kind, error::fail};
use serde_json::json;

#[test]
fn work_ends_when_its_asker_has_left() {
    let v = Village::new();
    for n in 0..9 {
        let bytes = format!("needle {n} {}", "x".repeat(n));
        v.write(&boss(), &format!("/workspace/{n}"), bytes.as_bytes())
            .unwrap();
    }
    let grep = json!({"pattern": "needle", "path": "/workspace"}).to_string();
    for (command, body) in [("verify", "{}"), ("grep", &*grep)] {
        for left_after in [0, 4] {
            let mut told = 0;
            let mut cx = Context {
                nexus: &v.nexus,
                caller: &boss(),
                tell: &mut |_| {
                    told += 1;
                    if told > left_after {
                        return fail(Kind::Unavailable, "left");
                    }
                    Ok(())
                },
            };
            let refused = dispatch(command, &mut cx, body.as_bytes()).unwrap_err();
            assert_eq!(refused.message(), "left");
            assert_eq!(told, left_after + 1, "{command}");
        }
    }
}

//! Commands as doors hand them over: a name and JSON, by several people of one tenant.

mod town;
mod alike;
mod undone;
mod fields;
mod known;
mod trash;
mod redo;
mod people;
mod search;
mod sessions;
mod untold;
mod grep;
mod left;
mod checks;
mod whose;
mod saves;
mod tenants;
mod follow;

use super::{Context, dispatch};
use crate::core::{Caller, Config, Kind, TenantId};
use crate::nexus::Nexus;
use serde_json::{Value, json};

const PEOPLE: [&str; 3] = ["ann", "ben", "cas"];

/// A store with people who have a group together.
struct Village {
    nexus: Nexus,
    _dir: tempfile::TempDir,
}

fn boss() -> Caller {
    Caller::engine(TenantId(1))
}

impl Village {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let nexus = Nexus::open(Config::new(dir.path().join("data"))).unwrap();
        let village = Self { nexus, _dir: dir };
        for user in PEOPLE {
            village.must(&boss(), "user-create", &json!({ "user": user }));
        }
        village.must(
            &boss(),
            "agent-create",
            &json!({"agent": "rob", "owner": "ann", "isolated": true}),
        );
        village.must(&boss(), "group-create", &json!({"group": "team"}));
        village.must(
            &boss(),
            "group-add",
            &json!({"group": "team", "member": "ben"}),
        );
        village
    }

    /// A user, or the isolated agent.
    fn person(&self, name: &str) -> Caller {
        let (user, agent) = match name.strip_prefix("agent:") {
            Some(agent) => ("ann", Some(agent)),
            None => (name, None),
        };
        let user = self.nexus.engine.user(TenantId(1), user).unwrap();
        self.nexus.engine.confirm(&Caller {
            user: Some(user.name.as_str().into()),
            user_id: Some(user.id),
            agent: agent.map(Into::into),
            uid: user.uid,
            gid: user.gid,
            admin: false,
            ..boss()
        })
    }

    fn ask(&self, who: &Caller, command: &str, body: &Value) -> crate::core::Result<Value> {
        let mut cx = Context {
            nexus: &self.nexus,
            caller: who,
            tell: &mut |_| Ok(()),
        };
        let reply = dispatch(command, &mut cx, body.to_string().as_bytes())?;
        Ok(serde_json::from_slice(&reply).unwrap())
    }

    #[track_caller]
    fn must(&self, who: &Caller, command: &str, body: &Value) -> Value {
        let reply = self.ask(who, command, body);
        reply.unwrap_or_else(|e| panic!("{command} {body}: {}", e.chain()))
    }

    fn kind(&self, who: &Caller, command: &str, body: &Value) -> Option<Kind> {
        self.ask(who, command, body).err().map(|e| e.kind())
    }

    fn write(&self, who: &Caller, at: &str, bytes: &[u8]) -> crate::core::Result<Value> {
        use super::stream::{Onto, Writing};
        let cx = Context {
            nexus: &self.nexus,
            caller: who,
            tell: &mut |_| Ok(()),
        };
        let path = crate::core::FsPath::parse(at.as_bytes()).unwrap();
        let mut writing = Writing::open(&cx, &path, Onto::Replace, false)?;
        writing.write(bytes)?;
        Ok(serde_json::to_value(writing.finish()?).unwrap())
    }
}

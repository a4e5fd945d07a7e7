//! Random sharing by several users, on mounts and through the daemon's socket, compared with a model after each step.
//!
//! Two come by the mount of everybody, whose kernel keeps what all may see; one has a mount of her own, whose kernel keeps what she
//! was shown. `NEXUS_SHARING_STEPS=n` makes n steps instead of some hundred.

mod tree;
mod words;

use super::model::{Model, NOBODY, READ, SEARCH, Thing, WRITE};
use super::{ALICE, BOB, CAROL};
use crate::dice::{Dice, setting};
use crate::hammer::now;
use crate::person::Person;
use crate::world::{World, needs_root};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

const STEPS: u64 = 600;
/// How many steps a store sees; then another begins.
const GAME: u64 = 5000;
const PEOPLE: [(&str, u32); 3] = [("alice", ALICE), ("bob", BOB), ("carol", CAROL)];
const GROUPS: [&str; 3] = ["g0", "g1", "g2"];
const SUBJECTS: [&str; 6] = [
    "user:alice",
    "user:bob",
    "user:carol",
    "group:g0",
    "group:g1",
    "group:g2",
];
const TOP: &str = "/workspace/t";
/// How many things there are at most.
const THINGS: usize = 40;
/// How often a question is asked again, during which a grant has ended.
const TRIES: u32 = 100;

/// Somebody who plays.
struct Player {
    name: &'static str,
    /// On his mount, where one that is his own takes everybody for him.
    there: Person,
    /// Where the daemon asks the kernel who he is.
    asking: Person,
    mount: PathBuf,
    has_own: bool,
}

impl Player {
    fn new(world: &World, (name, uid): (&'static str, u32)) -> Self {
        let has_own = name == "carol";
        let mount = if has_own {
            let own = world.host("carols");
            let at = own.to_str().unwrap();
            world.nexus(&["mount", at, "--user", name]).must();
            own
        } else {
            world.root().to_owned()
        };
        Self {
            name,
            there: Person::new(world, if has_own { 0 } else { uid }),
            asking: Person::new(world, uid),
            mount,
            has_own,
        }
    }
}

struct Game {
    world: World,
    model: Model,
    dice: Dice,
    people: Vec<Player>,
    admin: Person,
    /// The numbers that lists know groups by.
    gids: BTreeMap<&'static str, u32>,
}

impl Game {
    fn on(world: World, dice: Dice) -> Self {
        let world = world.for_many_users();
        for (name, uid) in PEOPLE {
            world.ctl(&["user", "create", name, "--uid", &uid.to_string()]);
        }
        let gid = |group| {
            world.ctl(&["group", "create", group]);
            let id = world.ctl(&["group", "show", group])["id"].as_u64();
            u32::try_from((1 << 30) + id.unwrap()).unwrap()
        };
        let gids = GROUPS.map(|group| (group, gid(group))).into();
        let mut model = Model::default();
        let top = Thing::new(true, NOBODY, 0o777);
        model.things.insert(TOP.to_owned(), top);
        Self {
            admin: Person::new(&world, 0),
            people: PEOPLE.map(|who| Player::new(&world, who)).into(),
            gids,
            dice,
            model,
            world,
        }
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.dice.index(of.len())]
    }

    fn pick(&mut self) -> String {
        let n = self.dice.index(self.model.things.len());
        self.model.things.keys().nth(n).unwrap().clone()
    }

    /// A path that may or may not be there.
    fn spot(&mut self) -> String {
        let mut dir = self.pick();
        if !self.model.things[&dir].is_dir || dir.matches('/').count() > 5 {
            TOP.clone_into(&mut dir);
        }
        format!("{dir}/{}", self.one(&["a", "b", "c"]))
    }

    /// What the model says at a moment, and at each end of a grant until now.
    fn answers<T: PartialEq>(&mut self, by_model: impl Fn(&Model) -> T) -> Vec<T> {
        let (began, over) = (self.model.now, now());
        let ends = self.model.ends();
        let passed = ends.range(began..=over).copied();
        let mut all = Vec::new();
        for moment in [began].into_iter().chain(passed).chain([over]) {
            self.model.now = moment;
            let answer = by_model(&self.model);
            if all.last() != Some(&answer) {
                all.push(answer);
            }
        }
        all
    }

    /// Makes a call, which goes or is refused as the model says; what ends meanwhile may have ended before or after.
    #[track_caller]
    fn goes(
        &mut self,
        what: &str,
        by_model: impl Fn(&Model) -> bool,
        call: impl FnOnce(&mut Self) -> Result<Value, String>,
    ) -> bool {
        self.model.now = now();
        let said = call(self);
        println!("{what}: {}", said.is_ok());
        let answers = self.answers(by_model);
        let fits = answers.contains(&said.is_ok());
        assert!(fits, "{what}: {said:?}, and by the model {answers:?}");
        said.is_ok()
    }

    /// Asks a question, again when something has ended meanwhile, and compares the answer with the model's.
    #[track_caller]
    fn agrees<T: PartialEq + Debug>(
        &mut self,
        what: impl FnOnce() -> String,
        by_model: impl Fn(&Model) -> T,
        mut ask: impl FnMut(&mut Self) -> T,
    ) {
        for _ in 0..TRIES {
            self.model.now = now();
            let said = ask(self);
            if let [answer] = &*self.answers(&by_model) {
                if said != *answer {
                    self.differs(&what(), &said, answer, ask);
                }
                return;
            }
        }
        panic!("grants end all the time");
    }

    /// Fails, and tells what there is, and whether the answer is another one when nothing is remembered.
    #[track_caller]
    fn differs<T: Debug>(
        &mut self,
        what: &str,
        said: &T,
        by_model: &T,
        mut ask: impl FnMut(&mut Self) -> T,
    ) {
        for (at, thing) in &self.model.things {
            println!("{at}: {thing:?}");
        }
        println!("{:?} at {}", self.model.members, self.model.now);
        println!("asked again: {:?}", ask(self));
        for (n, (name, _)) in PEOPLE.into_iter().enumerate() {
            for at in self.model.things.keys().cloned().collect::<Vec<_>>() {
                let found = self.does(n, "stat", &at, &[]).is_ok();
                let told = self.asks(Some(n), "info", &json!({ "path": at })).is_ok();
                let model = self.model.finds(name, &at);
                println!("{name} finds {at}: {found}, at the socket {told}, by the model {model}");
            }
        }
        std::fs::write("/proc/sys/vm/drop_caches", "2").unwrap();
        println!("without the kernel's names: {:?}", ask(self));
        self.asks(None, "cache-drop", &json!({})).unwrap();
        println!("with nothing remembered: {:?}", ask(self));
        panic!("{what}: {said:?}, and by the model {by_model:?}");
    }

    /// One call on somebody's mount.
    #[track_caller]
    fn does(&mut self, n: usize, call: &str, at: &str, more: &[&str]) -> Result<Value, String> {
        let player = &mut self.people[n];
        let at = player.mount.join(&at[1..]);
        let mut words = vec![at.to_str().unwrap()];
        words.extend(more);
        player.there.does(call, &words)
    }

    /// Asks the daemon as somebody, or as the administrator.
    #[track_caller]
    fn asks(&mut self, n: Option<usize>, command: &str, body: &Value) -> Result<Value, String> {
        match n {
            Some(n) => self.people[n].asking.asks(command, body),
            None => self.admin.asks(command, body),
        }
    }

    fn step(&mut self) {
        let (n, at) = (self.dice.index(PEOPLE.len()), self.pick());
        if self.model.things.len() > THINGS {
            return self.prune();
        }
        match self.dice.below(48) {
            0..8 => {
                let spot = self.spot();
                self.make(n, &spot);
            }
            8..14 => self.grant(n, &at),
            14..17 => self.revoke(),
            17..19 => self.restrict(n, &at),
            19..23 => self.change_member(),
            // The kernel forgets what it knows, and so does the engine.
            23 if self.dice.one_in(5) => {
                self.asks(None, "cache-drop", &json!({})).unwrap();
            }
            // Nothing shuts the top.
            _ if at == TOP => {}
            24..27 => self.remove(n, &at),
            27..31 => {
                let to = self.spot();
                self.rename(n, &at, &to);
            }
            31..34 => {
                let other = self.pick();
                self.exchange(n, &at, &other);
            }
            34..38 => self.chmod(n, &at),
            38..40 => self.chown(&at),
            40..44 => self.entry(n, &at),
            44..46 => self.list(n, &at),
            46..48 => self.unlist(n, &at),
            _ => {}
        }
    }

    /// What each finds and may do at some place, by every way in.
    fn compare(&mut self) {
        let at = self.pick();
        let at = at.as_str();
        let is_dir = self.model.things[at].is_dir;
        for (n, (user, _)) in PEOPLE.into_iter().enumerate() {
            let what = |what: &'static str| move || format!("{user} {what} {at}");
            let finds = |m: &Model| m.finds(user, at);
            self.agrees(what("stats"), finds, |g| g.does(n, "stat", at, &[]).is_ok());
            self.agrees(what("asks of"), finds, |g| {
                g.asks(Some(n), "info", &json!({ "path": at })).is_ok()
            });
            if is_dir {
                let listed = |m: &Model| m.listed(user, at).map(|names| json!(names));
                self.agrees(what("lists"), listed, |g| g.does(n, "list", at, &[]).ok());
                let enters = |m: &Model| m.finds(user, at) && m.looks(user, at, SEARCH);
                self.agrees(what("enters"), enters, |g| {
                    g.does(n, "enter", at, &[]).is_ok()
                });
            } else {
                let reads = |m: &Model| m.uses(user, at, READ);
                self.agrees(what("reads"), reads, |g| g.does(n, "read", at, &[]).is_ok());
                self.agrees(what("gets"), reads, |g| {
                    g.people[n].asking.does("get", &[at]).is_ok()
                });
                let writes = |m: &Model| m.uses(user, at, WRITE);
                self.agrees(what("opens to write"), writes, |g| {
                    g.does(n, "open", at, &[]).is_ok()
                });
            }
            let check =
                json!({"path": at, "relation": "can_read", "subject": format!("user:{user}")});
            let granted = |m: &Model| m.finds(user, at) && m.granted(user, at) & READ != 0;
            self.agrees(what("has can_read on"), granted, |g| {
                let checked = g.asks(Some(n), "rebac-check", &check);
                checked.is_ok_and(|reply| reply["granted"] == true)
            });
        }
    }

    fn play(&mut self, steps: u64) {
        for step in 0..steps {
            println!("step {step}");
            self.step();
            self.compare();
        }
    }
}

/// semantics.md §4: "One judge answers for every door"
#[test]
fn users_on_mounts_and_at_the_socket_may_and_see_what_the_model_says() {
    if !needs_root() {
        return;
    }
    let mut left = setting("NEXUS_SHARING_STEPS").unwrap_or(STEPS);
    let mut seeds = Dice::new("sharing");
    while left > 0 {
        let steps = left.min(GAME);
        let mut game = Game::on(World::unmounted(&[]), Dice::from_seed(seeds.next()));
        game.play(steps);
        game.world.is_sound();
        left -= steps;
    }
}

/// What breaks the invalidation on purpose, and how the model finds it.
#[test]
fn a_kernel_that_is_told_nothing_is_found_by_the_model() {
    const ROUNDS: u64 = 10;
    if !needs_root() {
        return;
    }
    if !cfg!(debug_assertions) {
        println!("skipped: only a daemon of a debug build can be told to tell kernels nothing");
        return;
    }
    let found = (1..=ROUNDS).find_map(|seed| {
        let mut game = Game::on(World::mute(), Dice::from_seed(seed));
        let lost = catch_unwind(AssertUnwindSafe(|| game.play(300))).err()?;
        lost.downcast_ref::<String>().cloned()
    });
    let found = found.expect("nothing was found");
    assert!(found.contains("by the model"), "{found}");
}

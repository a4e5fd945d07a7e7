//! A kernel that keeps for everybody what everybody finds in the past: whatever is done, it is told before that is not so.

use super::{head, then, world};
use crate::access::acl::{AclEntry, AclWho};
use crate::core::{Caller, Ino, Kind, MountId, Name, Op, Result};
use crate::fs::tests::permissions::{give, ino, mkdir, rename, unlink};
use crate::fs::tests::principals::{TENANT, boss, make};
use crate::fs::tests::threads::Numbers;
use crate::fs::tests::{World, name, path, person};
use crate::fs::{AclOf, Event, Looks, SetAttr};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

const TOP: &str = "/workspace/t";
const MODES: [u32; 7] = [0o755, 0o755, 0o755, 0o750, 0o711, 0o700, 0o644];
const STEPS: u32 = 60;

struct Game {
    w: World,
    n: Numbers,
    people: Vec<Caller>,
    grants: Vec<u64>,
    moments: Vec<Op>,
    looks: Arc<Looks>,
    told: Arc<Mutex<Vec<Event>>>,
    /// What is kept: a directory and a name in it, and what that stands for.
    kept: HashMap<(Ino, Name), Option<Ino>>,
    /// How often a name, and that there is none, was kept and how often all was forgotten.
    counts: [usize; 4],
}

impl Game {
    fn new(seed: u64) -> Self {
        let w = world();
        w.engine()
            .set_namespace(&boss(), "workspace", Some(0o777), None)
            .unwrap();
        let mut people: Vec<_> = ["alice", "bob", "carl"]
            .iter()
            .map(|u| make(&w, u))
            .collect();
        people.extend([boss(), person("root", 0)]);
        mkdir(&w, &boss(), TOP);
        let looks = Arc::<Looks>::default();
        let notices = w
            .engine()
            .events()
            .subscribe(TENANT, MountId(9), looks.clone());
        let told = Arc::<Mutex<Vec<Event>>>::default();
        let hears = told.clone();
        std::thread::spawn(move || {
            for notice in notices {
                hears.lock().extend(notice.events.iter().cloned());
            }
        });
        Self {
            w,
            n: Numbers(seed),
            people,
            grants: Vec::new(),
            moments: Vec::new(),
            looks,
            told,
            kept: HashMap::new(),
            counts: [0; 4],
        }
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.n.index(u32::try_from(of.len()).unwrap())]
    }

    /// What there is today below the top, and whether each is a directory.
    fn paths(&self) -> Vec<(String, bool)> {
        let mut all = vec![(TOP.to_owned(), true)];
        let mut at = 0;
        while let Some((dir, is_dir)) = all.get(at).cloned() {
            at += 1;
            if is_dir {
                let listed = self.w.engine().list(&boss(), ino(&self.w, &dir)).unwrap();
                all.extend(
                    listed
                        .iter()
                        .map(|e| (format!("{dir}/{}", e.name), e.node.is_dir())),
                );
            }
        }
        all
    }

    fn pick(&mut self) -> (String, bool) {
        let all = self.paths();
        let n = self.n.index(u32::try_from(all.len()).unwrap());
        all[n].clone()
    }

    /// A path that may be new.
    fn spot(&mut self) -> String {
        let (dir, is_dir) = self.pick();
        let dir = if is_dir && dir.matches('/').count() < 5 {
            dir
        } else {
            TOP.to_owned()
        };
        format!("{dir}/{}", self.one(&["a", "b", "c"]))
    }

    /// Changes something, if that can be done.
    fn step(&mut self) -> Result<()> {
        let ((at, is_dir), to) = (self.pick(), self.spot());
        let (w, admin) = (&self.w, boss());
        let (e, node) = (w.engine().clone(), ino(w, &at));
        match self.n.below(16) {
            // The top stays.
            5..8 if at == TOP => Ok(()),
            0 | 1 => {
                let (dir, name) = e
                    .resolve_parent(&admin, &path(&to))
                    .map(|(d, n)| (d, n.clone()))?;
                e.mkdir(&admin, dir, &name, 0o755).map(drop)
            }
            2..5 => w.write(&admin, &to, b"x").map(drop),
            5 | 6 => rename(w, &admin, &at, &to),
            7 if is_dir => {
                let (dir, name) = e
                    .resolve_parent(&admin, &path(&at))
                    .map(|(d, n)| (d, n.clone()))?;
                e.rmdir(&admin, dir, &name)
            }
            7 => unlink(w, &admin, &at),
            8 => {
                let (dir, name) = e
                    .resolve_parent(&admin, &path(&to))
                    .map(|(d, n)| (d, n.clone()))?;
                e.link(&admin, node, dir, &name).map(drop)
            }
            9..12 => {
                let mode = Some(self.one(&MODES));
                let set = SetAttr {
                    mode,
                    ..SetAttr::default()
                };
                e.setattr(&admin, node, &set, None).map(drop)
            }
            12 => {
                let uid = Some(self.people[self.n.index(3)].uid);
                let set = SetAttr {
                    uid,
                    ..SetAttr::default()
                };
                e.setattr(&admin, node, &set, None).map(drop)
            }
            13 => {
                let to = self.one(&["alice", "bob", "*"]);
                self.grants.push(give(&self.w, &admin, &at, "can_read", to));
                Ok(())
            }
            14 => match self.grants.pop() {
                Some(id) => e.revoke(&admin, id).map(drop),
                None => Ok(()),
            },
            _ => {
                let who = AclWho::User(self.people[self.n.index(2)].uid);
                let entry = AclEntry {
                    who,
                    deny: true,
                    rights: 0,
                };
                if self.n.below(2) == 0 {
                    return e
                        .set_acl_entry(&admin, node, AclOf::Itself, entry)
                        .map(drop);
                }
                e.restrict(&admin, node, true).map(drop)
            }
        }
    }

    /// What each of the people finds.
    fn found(&self, dir: Ino, name: &Name) -> Vec<std::result::Result<Ino, Kind>> {
        let find = |who| self.w.engine().lookup(who, dir, name);
        let all = self.people.iter().map(|who| find(who).map(|node| node.ino));
        all.map(|found| found.map_err(|e| e.kind())).collect()
    }

    /// Keeps what may be kept of a directory and of those below it.
    fn look(&mut self, dir: Ino) {
        let listed = self.w.engine().list(&boss(), dir).unwrap();
        let names = listed.iter().map(|e| e.name.clone()).chain([name("none")]);
        for name in names {
            self.keep(dir, &name);
        }
        for below in listed.iter().filter(|e| e.node.is_dir()) {
            self.look(below.node.ino);
        }
    }

    /// A kernel leads everybody to what some found under a name: who would have been refused is refused there.
    fn leads_nobody_else(&mut self, found: &[std::result::Result<Ino, Kind>]) {
        let e = self.w.engine();
        let Some(there) = found.iter().find_map(|found| found.ok()) else {
            return;
        };
        for (who, found) in self.people.iter().zip(found) {
            let Err(kind) = found else {
                assert_eq!(*found, Ok(there));
                continue;
            };
            self.counts[3] += 1;
            assert!(e.lookup(who, there, &name("a")).is_err(), "{kind:?}");
            assert!(e.opendir(who, there).is_err(), "{kind:?}");
            let shows = !e.is_computed(there);
            assert!(e.is_entrance(there) == shows);
            assert!(!shows || e.getattr(who, there).is_err(), "{kind:?}");
            assert!(!shows || e.listxattr(who, there).is_err(), "{kind:?}");
        }
    }

    fn keep(&mut self, dir: Ino, name: &Name) {
        let found = self.found(dir, name);
        if self.w.engine().is_common(dir, name) {
            self.leads_nobody_else(&found);
        }
        if !self.w.engine().finds_alike(dir, name).unwrap() {
            return;
        }
        assert!(
            found.iter().all(|one| *one == found[0]),
            "{dir} {name}: {found:?}"
        );
        let kept = match found[0] {
            Ok(ino) => Some(ino),
            Err(kind) => {
                assert_eq!(kind, Kind::NotFound);
                None
            }
        };
        self.counts[usize::from(kept.is_none())] += 1;
        self.kept.insert((dir, name.clone()), kept);
    }

    /// Looks at the past, changes something, and holds what the kernel would still have against what everybody finds.
    fn play(&mut self) {
        self.looks.note(self.w.engine().next_ino());
        for op in self.moments.clone() {
            // By a word in a directory that may be closed, and by the root's.
            let at = self.w.engine().resolve(&boss(), &path(&then(op, TOP)));
            if let Ok(top) = at {
                self.look(top.ino);
            }
            let at = ino(&self.w, &format!("{TOP}/.at"));
            self.keep(at, &name(&format!("op:{op}")));
        }
        for (dir, _) in self.paths().into_iter().filter(|(_, is_dir)| *is_dir) {
            self.keep(ino(&self.w, &dir), &name(".at"));
        }
        // What cannot be done is not.
        self.step().ok();
        let told = std::mem::take(&mut *self.told.lock());
        if told.iter().any(|e| matches!(e, Event::Past(_))) {
            let given = self.looks.begin_to_forget();
            self.looks.forgot(given);
            self.kept.clear();
            self.counts[2] += 1;
        }
        for ((dir, name), kept) in &self.kept {
            for found in self.found(*dir, name) {
                assert_eq!(found.ok(), *kept, "{dir} {name}");
            }
        }
    }
}

#[test]
fn what_is_kept_for_all_everybody_finds_until_a_kernel_is_told() {
    let mut counts = [0; 4];
    for seed in 1..9 {
        println!("seed {seed}");
        let mut game = Game::new(seed);
        for n in 0..STEPS {
            if n % 12 == 8 {
                let now = head(&game.w);
                game.moments.push(now);
            }
            game.play();
        }
        for (all, own) in counts.iter_mut().zip(game.counts) {
            *all += own;
        }
    }
    println!("names, absences, forgotten, refused behind a name: {counts:?}");
    assert!(counts.iter().all(|n| *n > 100), "{counts:?}");
}

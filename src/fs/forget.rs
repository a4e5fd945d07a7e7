//! Forgetting: what of the past is older than somebody wants to keep goes, at an administrator's word.
//!
//! The horizon moves first, by one operation a tenant: from then on nothing behind it is shown or undone, whatever becomes of
//! the rest. Rows go after that, some at a time beside everybody's work; what a crash leaves of them goes when the store is
//! open again. Then a sweep takes the blobs that nothing refers to any more.

use super::buried;
use super::engine::Engine;
use super::namespace::admin;
use super::sweep::Unreferenced;
use crate::core::{Caller, FsPath, Ino, Kind, Op, Result, TenantId, Time};
use crate::meta::{
    Edit, Horizon, Horizons, OpKind, Snapshot, Tenant, horizon, life, log_query, tenant,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many rows one transaction deletes.
const BATCH: usize = 1000;
/// How many nodes of a deleted tenant go in one transaction, with their names and attributes.
const BURIED: u32 = 250;
/// How often some nodes are looked at in one housekeeping.
const LITTLE: usize = 16;

/// What is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// The trees from here on.
    pub since: Time,
    /// Those that snapshots name, however old; without it older snapshots go.
    pub snapshots: bool,
}

/// What a tenant forgets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgetting {
    /// The tenant's name.
    pub tenant: String,
    /// The oldest operation whose tree is kept; 0 where nothing was ever forgotten.
    pub horizon: Op,
    /// The operation that moved it; `None` for a rehearsal, and where it stays.
    pub op: Option<Op>,
    pub rows: u64,
    /// Bytes of contents that files had, each as large as it was: many may share what is stored.
    pub bytes: u64,
    /// Snapshots that go.
    pub snapshots: Vec<String>,
}

/// What was forgotten, and what the store has more room for by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thinned {
    pub tenants: Vec<Forgetting>,
    pub freed: Unreferenced,
}

/// Rows of the past on their way out.
#[derive(Debug, Default)]
pub(super) struct Thinning {
    /// Whether rows behind a horizon may be left.
    is_due: bool,
    /// Of nodes up to this one none is.
    after: Ino,
    /// Of forgotten tenants none of the nodes up to this one is, once no row of the past is left.
    buried: Ino,
}

/// A horizon that is to move.
struct Move {
    tenant: Tenant,
    to: Horizon,
    /// Whether that is another one than it is.
    is_new: bool,
    snapshots: Vec<Arc<Snapshot>>,
}

impl Engine {
    /// Forgets what is older than is to be kept, of every tenant; with `rehearse` only tells what that would be. Administrators only.
    pub fn forget(&self, caller: &Caller, keep: Keep, rehearse: bool) -> Result<Thinned> {
        admin(caller)?;
        let mut thinning = self.thinning.lock();
        let mut moves = Vec::new();
        for tenant in self.tenants() {
            let id = tenant.id;
            moves.extend(self.unless_deleted(id, self.destination(tenant, keep))?);
        }
        let to = |m: &Move| (m.tenant.id, m.to.clone());
        let mut horizons: Horizons = moves.iter().map(to).collect();
        let sums = self.count(&horizons)?;
        let overdue = self.overdue(keep.since)?;
        if !rehearse {
            // Before the first horizon moves: what has moved is thinned, though another one cannot be moved.
            thinning.begin();
        }
        let mut tenants = Vec::new();
        for m in &moves {
            let sum = sums.get(&m.tenant.id).copied().unwrap_or_default();
            let op = if rehearse || !m.is_new {
                None
            } else {
                let by = self.move_horizon(caller, m, sum);
                match self.unless_deleted(m.tenant.id, by)? {
                    None => continue,
                    by => by,
                }
            };
            tenants.push(Forgetting {
                tenant: m.tenant.name.clone(),
                horizon: m.to.upto,
                op,
                rows: sum.rows,
                bytes: sum.bytes,
                snapshots: m.snapshots.iter().map(|s| s.name.clone()).collect(),
            });
        }
        for of in &overdue {
            let op = (!rehearse).then(|| self.forget_tenant(caller, of));
            tenants.push(of.told(op.transpose()?));
        }
        if rehearse {
            buried::add_to(&mut horizons, &overdue);
            let freed = self.sweep(&horizons, false)?;
            return Ok(Thinned { tenants, freed });
        }
        while thinning.is_due {
            self.thin(&mut thinning)?;
        }
        // Read again: a snapshot may have come meanwhile.
        let horizons = horizon::all(&mut *self.store.read()?)?;
        let freed = self.sweep(&horizons, true)?;
        Ok(Thinned { tenants, freed })
    }

    /// Nothing where it failed because its tenant was deleted meanwhile: that one is forgotten another time, as a whole.
    fn unless_deleted<T>(&self, of: TenantId, done: Result<T>) -> Result<Option<T>> {
        match done {
            Err(e) if e.kind() == Kind::NotFound && self.home(of).is_err() => Ok(None),
            done => done.map(Some),
        }
    }

    /// Where a tenant's horizon is to be: at the last operation before what is kept, and never nearer to the beginning than it is.
    fn destination(&self, tenant: Tenant, keep: Keep) -> Result<Move> {
        let home = self.home(tenant.id)?;
        let before = Time(keep.since.0.saturating_sub(1));
        let old = log_query::op_at(&mut *self.store.read()?, tenant.id, before)?;
        let mut to = (*home.horizon).clone();
        to.upto = to.upto.max(old);
        let goes = |s: &&Arc<Snapshot>| !keep.snapshots && s.op <= to.upto;
        let snapshots: Vec<_> = home.snapshots.values().filter(goes).cloned().collect();
        let is_new = to.upto > home.horizon.upto || !snapshots.is_empty();
        to.named.retain(|op| !snapshots.iter().any(|s| s.op == *op));
        Ok(Move {
            tenant,
            to,
            is_new,
            snapshots,
        })
    }

    fn count(&self, horizons: &Horizons) -> Result<BTreeMap<TenantId, life::Sum>> {
        let (mut sums, mut after) = (BTreeMap::<_, life::Sum>::new(), Ino(0));
        while let Some(some) = life::forgotten(&mut *self.store.read()?, horizons, after)? {
            after = some.last;
            for (tenant, more) in some.sums {
                let sum = sums.entry(tenant).or_default();
                sum.rows += more.rows;
                sum.bytes += more.bytes;
            }
        }
        Ok(sums)
    }

    /// Moves a horizon: one operation of the tenant whose it is.
    fn move_horizon(&self, caller: &Caller, what: &Move, sum: life::Sum) -> Result<Op> {
        let caller = Caller {
            tenant: Some(what.tenant.id),
            ..caller.clone()
        };
        self.change(&caller, |ch| {
            let (by, upto) = (ch.op(), what.to.upto);
            ch.edit(Edit::Horizon {
                tenant: what.tenant.id,
                upto,
                by,
            });
            let home = self.home(what.tenant.id)?;
            // Another one of its name may have come meanwhile.
            let is_there = |s: &&Arc<Snapshot>| home.snapshots.get(&s.name) == Some(*s);
            let going: Vec<_> = what.snapshots.iter().filter(is_there).collect();
            for snapshot in &going {
                ch.edit(Edit::SnapshotGone(Arc::clone(snapshot)));
            }
            let said = json!({
                "note": format!("what was before operation {}", what.to.oldest()),
                "horizon": upto.0, "rows": sum.rows, "bytes": sum.bytes, "snapshots": going,
            });
            ch.record(
                OpKind::Forget,
                what.tenant.root,
                &FsPath::default(),
                None,
                &said,
            );
            Ok(by)
        })
    }

    /// Deletes the rows of some nodes that are behind the horizon, or notes that none is left.
    fn thin(&self, thinning: &mut Thinning) -> Result<()> {
        let mut tx = self.store.read()?;
        let horizons = horizon::all(&mut *tx)?;
        let found = life::forgotten(&mut *tx, &horizons, thinning.after)?;
        drop(tx);
        let Some(some) = found else {
            if self.bury_some(thinning)? {
                return Ok(());
            }
            let mut tx = self.store.begin()?;
            horizon::set_thinned(&mut *tx)?;
            tx.commit()?;
            *thinning = Thinning::default();
            return Ok(());
        };
        // Nobody adds rows there, so those that were read are all.
        for rows in some.rows.chunks(BATCH) {
            let mut tx = self.store.begin()?;
            life::delete(&mut *tx, rows)?;
            tx.commit()?;
        }
        thinning.after = some.last;
        Ok(())
    }

    /// Deletes some nodes of deleted tenants that are forgotten; whether there were any. No row of their past is left.
    fn bury_some(&self, thinning: &mut Thinning) -> Result<bool> {
        let mut tx = self.store.read()?;
        for tenant in tenant::forgotten(&mut *tx)? {
            let nodes = tenant::nodes_of(&mut *tx, tenant, thinning.buried, BURIED)?;
            let Some(last) = nodes.last().copied() else {
                continue;
            };
            drop(tx);
            let mut tx = self.store.begin()?;
            tenant::forget_nodes(&mut *tx, &nodes)?;
            tx.commit()?;
            thinning.buried = last;
            return Ok(true);
        }
        let is_left = thinning.buried > Ino(0);
        thinning.buried = Ino(0);
        Ok(is_left)
    }

    /// Finds out whether a crash came between a horizon and the rows behind it.
    pub(super) fn load_thinning(&self) -> Result<()> {
        self.thinning.lock().is_due = horizon::is_behind(&mut *self.store.read()?)?;
        Ok(())
    }

    /// Goes on where a crash came in between, a little at a time.
    pub(super) fn thin_on(&self) -> Result<()> {
        // Whoever has it is at it.
        let Some(mut thinning) = self.thinning.try_lock() else {
            return Ok(());
        };
        for _ in 0..LITTLE {
            if thinning.is_due {
                self.thin(&mut thinning)?;
            }
        }
        Ok(())
    }
}

impl Thinning {
    fn begin(&mut self) {
        *self = Self {
            is_due: true,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Error;
    use crate::fs::tests::principals::{TENANT, boss};
    use crate::fs::tests::{World, alice, path};

    fn left(w: &World) -> u64 {
        let e = w.engine();
        let horizons = horizon::all(&mut *e.store.read().unwrap()).unwrap();
        e.count(&horizons)
            .unwrap()
            .values()
            .map(|sum| sum.rows)
            .sum()
    }

    /// semantics.md §6: "What is behind the horizon is not shown and not undone, whatever a crash left of it"
    #[test]
    fn what_a_crash_left_of_the_rows_goes_when_the_store_is_open_again() {
        let mut w = World::new();
        for n in 0..600 {
            let at = format!("/workspace/f{}", n % 300);
            w.write(&alice(), &at, format!("{n}").as_bytes()).unwrap();
        }
        let old = Op(w.engine().head(TENANT).unwrap().0 - 1);
        let keep = Keep {
            since: w.engine().clock().now(),
            snapshots: false,
        };
        let tenant = w.engine().tenants().remove(0);
        let to = w.engine().destination(tenant, keep).unwrap();
        w.engine()
            .move_horizon(&boss(), &to, life::Sum::default())
            .unwrap();
        let sound = |w: &World, behind: u64| {
            let refused = w.engine().can_undo(TENANT, old).unwrap_err();
            assert_eq!(refused.kind(), Kind::NotFound);
            assert_eq!(left(w), behind);
            w.assert_sound();
        };
        w.crash();
        sound(&w, 300);
        let e = w.engine();
        e.thin(&mut e.thinning.lock()).unwrap();
        w.crash();
        sound(&w, 44);
        w.engine().housekeep().unwrap();
        sound(&w, 0);
        assert!(!horizon::is_behind(&mut *w.engine().store.read().unwrap()).unwrap());
    }

    #[test]
    fn what_only_a_snapshot_kept_goes_after_a_crash_though_the_horizon_stays() {
        let mut w = World::new();
        w.write(&alice(), "/workspace/f", b"one").unwrap();
        let e = w.engine();
        let at = w.workspace();
        e.create_snapshot(&alice(), at, "kept", None).unwrap();
        w.write(&alice(), "/workspace/f", b"two").unwrap();
        let keep = |snapshots| Keep {
            since: e.clock().now(),
            snapshots,
        };
        e.forget(&boss(), keep(true), false).unwrap();
        assert_eq!(left(&w), 0);
        let tenant = e.tenants().remove(0);
        let mut to = e.destination(tenant.clone(), keep(false)).unwrap();
        to.to.upto = e.horizon(TENANT).unwrap().upto;
        e.move_horizon(&boss(), &to, life::Sum::default()).unwrap();
        assert_ne!(left(&w), 0);
        w.crash();
        w.engine().housekeep().unwrap();
        assert_eq!(left(&w), 0);
        w.assert_sound();
    }

    /// A tenant with many files that was deleted and is to be forgotten; its number.
    fn buried(w: &World) -> TenantId {
        let e = w.engine();
        let id = e.create_tenant(&boss(), "acme").unwrap().id;
        for n in 0..600 {
            let at = format!("/workspace/f{}", n % 300);
            w.write(&Caller::engine(id), &at, format!("{n}").as_bytes())
                .unwrap();
        }
        let at = e.resolve(&Caller::engine(id), &path("/workspace"));
        e.create_snapshot(&Caller::engine(id), at.unwrap().ino, "kept", None)
            .unwrap();
        e.delete_tenant(&boss(), "acme").unwrap();
        let now = Time(e.clock().now().0 + 1);
        let [overdue] = &*e.overdue(now).unwrap() else {
            panic!("one was deleted")
        };
        e.forget_tenant(&boss(), overdue).unwrap();
        id
    }

    fn nodes_left(w: &World, of: TenantId) -> u64 {
        let sql = "SELECT COUNT(*) FROM nodes WHERE tenant = $1";
        let mut tx = w.engine().store.read().unwrap();
        tx.query(sql, &[of.into()]).unwrap()[0].uint(0).unwrap()
    }

    /// semantics.md §6: "The files of a deleted tenant are history that nobody is shown, and forgotten as a whole once its deletion is older"
    #[test]
    fn a_deleted_tenant_goes_a_little_at_a_time_whatever_crashes_in_between() {
        let mut w = World::new();
        let id = buried(&w);
        let mut before = nodes_left(&w, id);
        assert!(before > 300);
        for _ in 0..5 {
            w.crash();
            w.assert_sound();
            let e = w.engine();
            // What each process begins with is the past, of which nothing is left after the first.
            for _ in 0..2 {
                let mut thinning = e.thinning.lock();
                if thinning.is_due {
                    e.thin(&mut thinning).unwrap();
                }
                drop(thinning);
                let now = nodes_left(&w, id);
                assert!(before - now <= u64::from(BURIED), "{before} to {now}");
                before = now;
                w.assert_sound();
            }
        }
        assert_eq!(before, 0);
        let mut tx = w.engine().store.read().unwrap();
        assert!(!horizon::is_behind(&mut *tx).unwrap());
        let sql = "SELECT 1 FROM entries WHERE parent NOT IN (SELECT ino FROM nodes) \
                   UNION ALL SELECT 1 FROM xattrs WHERE ino NOT IN (SELECT ino FROM nodes)";
        assert!(tx.query(sql, &[]).unwrap().is_empty());
    }

    #[test]
    fn a_tenant_that_is_deleted_meanwhile_is_passed_over() {
        let w = World::new();
        let e = w.engine();
        let tenant = e.create_tenant(&boss(), "acme").unwrap();
        let keep = Keep {
            since: e.clock().now(),
            snapshots: false,
        };
        let planned = e.destination(tenant.clone(), keep).unwrap();
        e.delete_tenant(&boss(), "acme").unwrap();
        let moved = e.move_horizon(&boss(), &planned, life::Sum::default());
        assert_eq!(e.unless_deleted(tenant.id, moved).unwrap(), None);
        let anew = e.destination(tenant.clone(), keep);
        assert!(e.unless_deleted(tenant.id, anew).unwrap().is_none());
        let other: Result<()> = Err(Error::new(Kind::NotFound, "something else"));
        assert!(e.unless_deleted(TENANT, other).is_err());
    }
}

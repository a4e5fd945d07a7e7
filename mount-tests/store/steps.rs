//! What is done to a store while its disk fails: a bit of everything, one operation of the log a step at most.

use super::volume::Volume;
use crate::dice::Dice;
use nexus::core::Result;

/// Takes the store, and what puts a path below the run's directory.
type Deed = fn(&Volume, &dyn Fn(&str) -> String) -> Result<()>;

/// One call, or a few that end with the one that counts.
pub(super) struct Step {
    pub(super) name: &'static str,
    /// Whether all that was done so far is durable once it has succeeded.
    pub(super) syncs: bool,
    deed: Deed,
}

impl Step {
    /// Does it, with every path below `dir`.
    pub(super) fn run(&self, volume: &Volume, dir: &str) -> Result<()> {
        volume.tick();
        (self.deed)(volume, &|name| format!("{dir}{name}"))
    }
}

fn bytes(seed: u64, len: usize) -> Vec<u8> {
    Dice::from_seed(seed).bytes(len)
}

/// What a snapshot is called.
fn name(path: &str) -> String {
    path.replace('/', "-")
}

pub(super) const STEPS: &[Step] = &[
    Step {
        name: "a small file",
        syncs: false,
        deed: |v, p| v.put(&p("a"), &bytes(1, 100), false),
    },
    Step {
        name: "a directory",
        syncs: false,
        deed: |v, p| v.mkdir(&p("d")),
    },
    Step {
        name: "a synced file",
        syncs: true,
        deed: |v, p| v.put(&p("b"), &bytes(2, 30_000), true),
    },
    Step {
        name: "the small file anew",
        syncs: false,
        deed: |v, p| v.put(&p("a"), &bytes(3, 5000), false),
    },
    Step {
        name: "a blob of its own file, synced",
        syncs: true,
        deed: |v, p| v.put(&p("blob"), &bytes(4, 200_000), true),
    },
    Step {
        name: "a rename",
        syncs: false,
        deed: |v, p| v.rename(&p("b"), &p("d/b")),
    },
    Step {
        name: "a tree of chunks, synced",
        syncs: true,
        deed: |v, p| v.put(&p("d/tree"), &bytes(5, 2_500_000), true),
    },
    Step {
        name: "a link",
        syncs: false,
        deed: |v, p| v.symlink(&p("link"), "d/b"),
    },
    Step {
        name: "a checkpoint",
        syncs: true,
        deed: |v, _| v.checkpoint(),
    },
    Step {
        name: "an append",
        syncs: false,
        deed: |v, p| v.append(&p("a"), &bytes(6, 70_000), false),
    },
    Step {
        name: "a snapshot",
        syncs: false,
        deed: |v, p| v.snapshot(&p("d"), &name(&p("kept"))),
    },
    Step {
        name: "an unlink",
        syncs: false,
        deed: |v, p| v.unlink(&p("blob")),
    },
    Step {
        name: "an undo",
        syncs: false,
        deed: |v, p| v.undo(&p("blob")),
    },
    Step {
        name: "an attribute",
        syncs: false,
        deed: |v, p| v.label(&p("a"), b"kept"),
    },
    Step {
        name: "a sync of all",
        syncs: true,
        deed: |v, _| v.sync(),
    },
    Step {
        name: "a file that replaces another",
        syncs: false,
        deed: |v, p| v.rename(&p("a"), &p("d/b")),
    },
    Step {
        name: "a forgetting that keeps snapshots",
        syncs: true,
        deed: |v, _| v.forget(3, true),
    },
    Step {
        name: "a restored directory",
        syncs: false,
        deed: |v, p| v.restore(&p("d"), &name(&p("kept"))),
    },
    Step {
        name: "an undo of that",
        syncs: false,
        deed: |v, p| v.undo(&p("d")),
    },
    Step {
        name: "a new tree of chunks in the place of the old",
        syncs: false,
        deed: |v, p| v.put(&p("d/tree"), &bytes(8, 2_500_000), false),
    },
    Step {
        name: "a forgetting of all that is over",
        syncs: true,
        deed: |v, _| v.forget(0, false),
    },
    Step {
        name: "an unlink that is undone",
        syncs: false,
        deed: |v, p| v.unlink(&p("blob")),
    },
    Step {
        name: "the undo of it",
        syncs: false,
        deed: |v, p| v.undo(&p("blob")),
    },
    Step {
        name: "a last file, synced",
        syncs: true,
        deed: |v, p| v.put(&p("last"), &bytes(7, 1000), true),
    },
];

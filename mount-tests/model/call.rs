//! The calls that a random program makes.

use proptest::prelude::*;
use rustix::fs::{OFlags, RenameFlags};

pub(super) const SLOTS: usize = 3;
const NAMES: [&str; 4] = ["a", "b", "d", "e"];
const OFFSETS: [u64; 8] = [0, 1, 4095, 4096, 65_537, 262_144, 1_048_570, 3_000_000];
const LENGTHS: [usize; 7] = [0, 1, 10, 4096, 66_000, 300_000, 1_500_000];

#[derive(Debug, Clone)]
pub(super) enum Call {
    Write {
        path: String,
        size: usize,
        seed: u8,
    },
    Append {
        path: String,
        size: usize,
        seed: u8,
    },
    Read(String),
    Truncate {
        path: String,
        size: u64,
    },
    Mkdir {
        path: String,
        mode: u32,
    },
    Rmdir(String),
    Unlink(String),
    Rename {
        from: String,
        to: String,
        flags: u32,
    },
    Link {
        from: String,
        to: String,
    },
    Symlink {
        target: String,
        path: String,
    },
    Chmod {
        path: String,
        mode: u32,
    },
    Times {
        path: String,
        secs: i64,
        nanos: i64,
    },
    SetAttribute {
        path: String,
        name: u8,
        size: usize,
    },
    RemoveAttribute {
        path: String,
        name: u8,
    },
    List(String),
    Open {
        slot: usize,
        path: String,
        flags: u32,
    },
    WriteAt {
        slot: usize,
        at: u64,
        size: usize,
        seed: u8,
    },
    ReadAt {
        slot: usize,
        at: u64,
        size: usize,
    },
    SetLen {
        slot: usize,
        size: u64,
    },
    Punch {
        slot: usize,
        at: u64,
        size: u64,
    },
    Allocate {
        slot: usize,
        at: u64,
        size: u64,
    },
    Copy {
        from: usize,
        at: u64,
        to: usize,
        out: u64,
        size: usize,
    },
    Sync(usize),
    Close(usize),
    Crash,
}

pub(super) fn call() -> impl Strategy<Value = Call> {
    let path =
        || prop::collection::vec(prop::sample::select(&NAMES[..]), 1..4).prop_map(|p| p.join("/"));
    let size = || prop::sample::select(&LENGTHS[..]);
    let at = || prop::sample::select(&OFFSETS[..]);
    let slot = || 0..SLOTS;
    let bits = OFlags::RDONLY | OFlags::CREATE;
    let modes: Vec<u32> = [
        bits,
        OFlags::RDWR,
        OFlags::RDWR | OFlags::CREATE,
        OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        OFlags::RDWR | OFlags::TRUNC,
        OFlags::RDWR | OFlags::APPEND,
        OFlags::WRONLY | OFlags::NOFOLLOW,
    ]
    .map(|f| f.bits())
    .into();
    let flags = prop::sample::select(modes);
    let rename = prop::sample::select(vec![
        0,
        0,
        RenameFlags::NOREPLACE.bits(),
        RenameFlags::EXCHANGE.bits(),
    ]);
    prop_oneof![
        6 => (path(), size(), any::<u8>()).prop_map(|(path, size, seed)| Call::Write { path, size, seed }),
        2 => (path(), size(), any::<u8>()).prop_map(|(path, size, seed)| Call::Append { path, size, seed }),
        2 => path().prop_map(Call::Read),
        2 => (path(), at()).prop_map(|(path, size)| Call::Truncate { path, size }),
        6 => (path(), 0..0o10_000_u32).prop_map(|(path, mode)| Call::Mkdir { path, mode: mode | 0o700 }),
        2 => path().prop_map(Call::Rmdir),
        3 => path().prop_map(Call::Unlink),
        5 => (path(), path(), rename).prop_map(|(from, to, flags)| Call::Rename { from, to, flags }),
        2 => (path(), path()).prop_map(|(from, to)| Call::Link { from, to }),
        2 => (path(), path()).prop_map(|(target, path)| Call::Symlink { target, path }),
        2 => (path(), 0..0o10_000_u32).prop_map(|(path, mode)| Call::Chmod { path, mode: mode | 0o700 }),
        1 => (path(), -9_000_000_000..9_000_000_000_i64, 0..1_000_000_000_i64)
            .prop_map(|(path, secs, nanos)| Call::Times { path, secs, nanos }),
        1 => (path(), 0..3_u8, 0..500_usize)
            .prop_map(|(path, name, size)| Call::SetAttribute { path, name, size }),
        1 => (path(), 0..3_u8).prop_map(|(path, name)| Call::RemoveAttribute { path, name }),
        2 => path().prop_map(Call::List),
        6 => (slot(), path(), flags).prop_map(|(slot, path, flags)| Call::Open { slot, path, flags }),
        5 => (slot(), at(), size(), any::<u8>())
            .prop_map(|(slot, at, size, seed)| Call::WriteAt { slot, at, size, seed }),
        3 => (slot(), at(), size()).prop_map(|(slot, at, size)| Call::ReadAt { slot, at, size }),
        1 => (slot(), at()).prop_map(|(slot, size)| Call::SetLen { slot, size }),
        1 => (slot(), at(), at()).prop_map(|(slot, at, size)| Call::Punch { slot, at, size }),
        1 => (slot(), at(), at()).prop_map(|(slot, at, size)| Call::Allocate { slot, at, size }),
        2 => (slot(), at(), slot(), at(), size())
            .prop_map(|(from, at, to, out, size)| Call::Copy { from, at, to, out, size }),
        1 => slot().prop_map(Call::Sync),
        2 => slot().prop_map(Call::Close),
        1 => Just(Call::Crash),
    ]
}

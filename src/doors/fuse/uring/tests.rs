//! Requests as the kernel lays them down, and whatever else may lie there, without a kernel.

use super::slot::Slot;
use crate::core::{Caller, Clock, Config, MountId, Result, TenantId};
use crate::db::{Db as _, Sqlite};
use crate::doors::fuse::caller::{Callers, Identity};
use crate::doors::fuse::door::Door;
use crate::doors::fuse::numbers::Numbers;
use crate::fs::Engine;
use crate::fs::view::{Item, View};
use bytes::Bytes;
use fuser::FopenFlags;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::mpsc::channel;
use tempfile::TempDir;

const ROOM: usize = 8192;
const OPCODE_MAX: u32 = 60;

/// A door of an engine of its own, and a slot before it.
struct Desk {
    _dir: TempDir,
    door: Door,
    slot: Slot,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
struct Back {
    len: u32,
    error: i32,
    unique: u64,
    bytes: Vec<u8>,
}

impl Back {
    fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new(dir.path());
        let db = Arc::new(Sqlite::open(&config.database()).unwrap());
        db.migrate().unwrap();
        let engine = Arc::new(Engine::new(config, db, Clock::System).unwrap());
        let tenant = TenantId(1);
        let root = engine.root(&Caller::engine(tenant)).unwrap();
        let identity = Identity::Os { root_admin: true };
        let callers = Callers::new(engine.clone(), tenant, MountId(1), &identity).unwrap();
        let door = Door {
            engine,
            callers,
            numbers: Numbers::plain(root),
            alone: None,
            lists: parking_lot::Mutex::new(lru::LruCache::new(super::super::door::LISTS)),
            past: Arc::default(),
            everywhere: None,
            lists_past: false,
            end: Arc::default(),
            notices: std::sync::OnceLock::new(),
        };
        Self {
            _dir: dir,
            door,
            slot: Slot::new(0, ROOM),
        }
    }

    /// A request of root with a length that fits.
    fn ask(&mut self, opcode: u32, node: u64, head: &[u8], body: &[u8]) -> Back {
        let len = u32::try_from(40 + head.len() + body.len()).unwrap();
        let mut header = [len.to_ne_bytes(), opcode.to_ne_bytes()].concat();
        header.extend([7_u64.to_ne_bytes(), node.to_ne_bytes()].concat());
        header.resize(40, 0);
        let body_len = u32::try_from(body.len()).unwrap();
        self.slot.lay(&header, head, body, body_len);
        self.answered()
    }

    fn answered(&mut self) -> Back {
        let (tell, told) = channel();
        self.slot.answer(&self.door, || {
            Ok(Box::new(move |said| tell.send(said).unwrap()))
        });
        if self.slot.is_waiting {
            // Who asks here is no thread, so that he is not let wait.
            let said = told.recv().unwrap();
            self.slot.put(Door::waited(said).map(|()| Bytes::new()));
        }
        let (header, bytes) = self.slot.taken();
        let word = |at: usize| header[at..at + 4].try_into().unwrap();
        Back {
            len: u32::from_ne_bytes(word(0)),
            error: i32::from_ne_bytes(word(4)),
            unique: u64::from_ne_bytes(header[8..16].try_into().unwrap()),
            bytes: bytes.to_vec(),
        }
    }

    /// The number of a name.
    fn number(&mut self, dir: u64, name: &[u8]) -> u64 {
        let back = self.ask(1, dir, &[], &[name, b"\0"].concat());
        assert_eq!((back.error, back.bytes.len()), (0, 128), "{back:?}");
        back.u64(0)
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_ne_bytes()).collect()
}

fn longs(longs: &[u64]) -> Vec<u8> {
    longs.iter().flat_map(|l| l.to_ne_bytes()).collect()
}

/// A view that fails as nothing should.
struct Broken;

impl View for Broken {
    fn name(&self) -> &'static str {
        ".broken"
    }

    fn item(&self, _: &Caller, _: u64) -> Result<Item> {
        panic!("as it is meant to");
    }
}

#[test]
fn a_request_that_panics_is_answered_and_the_next_one_as_well() {
    let mut desk = Desk::new();
    desk.door.engine.set_views(vec![Box::new(Broken)]);
    let back = desk.ask(1, 1, &[], b".broken\0");
    assert_eq!((back.error, back.unique), (-libc::EIO, 7));
    desk.number(1, b"workspace");
}

#[test]
fn a_file_is_made_written_read_and_listed_through_a_slot() {
    let mut desk = Desk::new();
    let dir = desk.number(1, b"workspace");
    let flags = u32::try_from(libc::O_RDWR | libc::O_CREAT).unwrap();
    let made = desk.ask(35, dir, &words(&[flags, 0o644, 0, 0]), b"new\0");
    assert_eq!((made.error, made.len, made.unique), (0, 16 + 144, 7));
    let (ino, handle) = (made.u64(0), made.u64(128));
    let place = [longs(&[handle, 0]), words(&[5, 0]), longs(&[0, 0])].concat();
    let wrote = desk.ask(16, ino, &place, b"bytes");
    assert_eq!((wrote.error, wrote.bytes), (0, words(&[5, 0])));
    let read = desk.ask(15, ino, &place, b"");
    assert_eq!((read.error, read.bytes.as_slice()), (0, &b"bytes"[..]));
    // A stored file is always ready: POLLIN, POLLOUT, POLLRDNORM and POLLWRNORM.
    let polled = desk.ask(
        40,
        ino,
        &[longs(&[handle, 9]), words(&[1, 5])].concat(),
        b"",
    );
    assert_eq!((polled.error, polled.bytes), (0, words(&[0x145, 0])));
    let shown = desk.ask(3, ino, &[0; 16], b"");
    // The number, then the size, behind the 16 bytes that say how long they hold.
    assert_eq!(
        (shown.bytes.len(), shown.u64(16), shown.u64(24)),
        (104, ino, 5)
    );
    assert_eq!(desk.ask(25, ino, &longs(&[handle, 0, 0]), b"").error, 0);
    assert_eq!(desk.ask(18, ino, &longs(&[handle, 0, 0]), b"").error, 0);
    assert_eq!(desk.number(dir, b"new"), ino);
}

#[test]
fn a_range_is_locked_looked_for_waited_for_and_given_back_through_a_slot() {
    const GETLK: u32 = 31;
    const SETLK: u32 = 32;
    const SETLKW: u32 = 33;
    let mut desk = Desk::new();
    let dir = desk.number(1, b"workspace");
    let flags = u32::try_from(libc::O_RDWR | libc::O_CREAT).unwrap();
    let made = desk.ask(35, dir, &words(&[flags, 0o644, 0, 0]), b"new\0");
    let (ino, handle) = (made.u64(0), made.u64(128));
    let lock = |owner: u64, kind: i32, (start, end): (u64, u64)| {
        let kind = kind.cast_unsigned();
        let place = longs(&[handle, owner, start, end]);
        [place, words(&[kind, 4711, 0, 0])].concat()
    };
    let taken = desk.ask(SETLK, ino, &lock(1, libc::F_WRLCK, (10, 19)), b"");
    assert_eq!((taken.error, taken.bytes.len()), (0, 0));
    let refused = lock(2, libc::F_RDLCK, (0, 10));
    assert_eq!(desk.ask(SETLK, ino, &refused, b"").error, -libc::EAGAIN);
    assert_eq!(desk.ask(SETLKW, ino, &refused, b"").error, -libc::EAGAIN);
    let found = desk.ask(GETLK, ino, &refused, b"");
    let exclusive = libc::F_WRLCK.cast_unsigned();
    let expected = [longs(&[10, 19]), words(&[exclusive, 4711])].concat();
    assert_eq!((found.error, found.bytes), (0, expected));
    let beside = lock(2, libc::F_RDLCK, (0, 9));
    assert_eq!(desk.ask(SETLKW, ino, &beside, b"").error, 0);
    assert_eq!(desk.ask(25, ino, &longs(&[handle, 0, 1]), b"").error, 0);
    assert_eq!(desk.ask(SETLKW, ino, &refused, b"").error, 0);
    // From now on every close is told of, that of who only reads, too.
    let reads = words(&[libc::O_RDONLY.cast_unsigned(), 0]);
    let flags = |opened: &Back| u32::from_ne_bytes(opened.bytes[8..12].try_into().unwrap());
    let noflush = FopenFlags::FOPEN_NOFLUSH.bits();
    assert_eq!(flags(&desk.ask(14, ino, &reads, b"")) & noflush, 0);
    let other = desk
        .ask(35, dir, &words(&[2, 0o644, 0, 0]), b"other\0")
        .u64(0);
    assert_eq!(flags(&desk.ask(14, other, &reads, b"")) & noflush, noflush);
    let free = desk.ask(GETLK, ino, &lock(2, libc::F_WRLCK, (0, 99)), b"");
    assert_eq!(free.bytes[16..20], libc::F_UNLCK.to_ne_bytes());
    assert_eq!(desk.ask(SETLK, ino, &[0; 47], b"").error, -libc::EBADF);
    assert_eq!(desk.ask(SETLK, ino, &[0; 39], b"").error, -libc::EINVAL);
}

#[test]
fn a_directory_is_listed_in_pieces_of_the_size_that_was_asked_for() {
    let mut desk = Desk::new();
    let dir = desk.number(1, b"workspace");
    assert_eq!(desk.ask(9, dir, &words(&[0o755, 0]), b"below\0").error, 0);
    let handle = desk.ask(27, dir, &words(&[0, 0]), b"").u64(0);
    let mut names = Vec::new();
    let mut offset = 0;
    loop {
        // Room for one name of up to 8 bytes: 24 bytes, then the name.
        let part = [longs(&[handle, offset]), words(&[32, 0]), longs(&[0, 0])].concat();
        let back = desk.ask(28, dir, &part, b"");
        if back.bytes.is_empty() {
            break;
        }
        assert_eq!((back.error, back.bytes.len()), (0, 32));
        let len = usize::from(back.bytes[16]);
        names.push(back.bytes[24..24 + len].to_vec());
        offset = back.u64(8);
    }
    assert_eq!(names, [&b"."[..], b"..", b"below"]);
}

#[test]
fn a_name_that_is_not_there_is_number_zero_and_one_without_an_end_is_refused() {
    let mut desk = Desk::new();
    let dir = desk.number(1, b"workspace");
    assert_eq!(desk.number(dir, b"none"), 0);
    assert_eq!(desk.ask(1, dir, &[], b"none").error, -libc::EINVAL);
    assert_eq!(desk.ask(10, dir, &[], b"none\0").error, -libc::ENOENT);
}

#[test]
fn what_the_door_does_not_know_is_enosys_and_a_request_cut_short_is_einval() {
    let mut desk = Desk::new();
    assert_eq!(desk.ask(37, 1, &[0; 24], b"").error, -libc::ENOSYS);
    assert_eq!(desk.ask(4095, 1, &[], b"").error, -libc::ENOSYS);
    for opcode in [
        4, 8, 9, 12, 13, 14, 15, 16, 18, 21, 34, 35, 40, 43, 45, 46, 47,
    ] {
        let back = desk.ask(opcode, 1, &[0; 3], b"a\0b\0");
        assert_eq!(back.error, -libc::EINVAL, "operation {opcode}");
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let mut desk = Desk::new();
    let header = |len: u32| [words(&[len, 1]), longs(&[7, 1]), vec![0; 16]].concat();
    for (len, body_len) in [
        (40, 2),
        (0, 0),
        (u32::MAX, 2),
        (42, u32::MAX),
        (42 + 129, 2),
    ] {
        desk.slot.lay(&header(len), &[], b"a\0", body_len);
        let back = desk.answered();
        assert_eq!(back.error, -libc::EINVAL, "{len} {body_len}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_lies_in_a_slot_is_answered(
        opcode in 0..OPCODE_MAX,
        node in 0..40_u64,
        head in prop::collection::vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..128),
        body in prop::collection::vec(prop_oneof![Just(0), Just(b'a'), any::<u8>()], 0..64),
    ) {
        thread_local! {
            static DESK: std::cell::RefCell<Desk> = std::cell::RefCell::new(Desk::new());
        }
        DESK.with_borrow_mut(|desk| {
            let back = desk.ask(opcode, node, &head, &body);
            // The kernel takes nothing else for an error (fuse_uring_out_header_has_err).
            prop_assert!((-511..=0).contains(&back.error), "{back:?}");
            prop_assert_eq!(back.len as usize, 16 + back.bytes.len());
            prop_assert!(back.error == 0 || back.bytes.is_empty());
            Ok(())
        })?;
    }
}

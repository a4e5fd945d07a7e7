//! Reading a request: numbers and names, one after the other, as they lie in linux/fuse.h. What is cut short or says what
//! cannot be is EINVAL.

use crate::core::HandleId;
use crate::doors::fuse::answer::{Answer, Sender};
use fuser::{Errno, INodeNo};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// The length of `fuse_in_header`.
const IN_HEADER: usize = 40;

/// A request of the kernel.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub opcode: u32,
    pub node: INodeNo,
    pub who: Sender,
    /// The structure of the operation.
    pub head: Fields<'a>,
    /// Names and bytes behind it.
    pub body: Fields<'a>,
}

impl<'a> Request<'a> {
    /// Reads `fuse_in_header`, and finds out how much of the other two parts is meant.
    pub(super) fn parse(header: &'a [u8], head: &'a [u8], body: &'a [u8]) -> Answer<Self> {
        let mut fields = Fields(header);
        let len = fields.size()?;
        let opcode = fields.u32()?;
        let _unique = fields.u64()?;
        let node = INodeNo(fields.u64()?);
        let who = Sender {
            uid: fields.u32()?,
            gid: fields.u32()?,
            pid: fields.u32()?,
        };
        let head_len = len.checked_sub(IN_HEADER + body.len());
        let head = head_len.and_then(|n| head.get(..n)).ok_or(Errno::EINVAL)?;
        Ok(Self {
            opcode,
            node,
            who,
            head: Fields(head),
            body: Fields(body),
        })
    }
}

/// What is left to read.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Answer<[u8; N]> {
        let (value, rest) = self.0.split_first_chunk().ok_or(Errno::EINVAL)?;
        self.0 = rest;
        Ok(*value)
    }

    pub(super) fn u32(&mut self) -> Answer<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    pub(super) fn i32(&mut self) -> Answer<i32> {
        self.take().map(i32::from_ne_bytes)
    }

    pub(super) fn u64(&mut self) -> Answer<u64> {
        self.take().map(u64::from_ne_bytes)
    }

    pub(super) fn i64(&mut self) -> Answer<i64> {
        self.take().map(i64::from_ne_bytes)
    }

    /// A length in 32 bits.
    pub(super) fn size(&mut self) -> Answer<usize> {
        usize::try_from(self.u32()?).map_err(|_| Errno::EINVAL)
    }

    /// A place in a file, which `off_t` must hold too.
    pub(super) fn offset(&mut self) -> Answer<u64> {
        let offset = self.u64()?;
        i64::try_from(offset).map_or(Err(Errno::EINVAL), |_| Ok(offset))
    }

    pub(super) fn node(&mut self) -> Answer<INodeNo> {
        self.u64().map(INodeNo)
    }

    pub(super) fn handle(&mut self) -> Answer<HandleId> {
        self.u64().map(HandleId)
    }

    /// A name up to its NUL.
    pub(super) fn name(&mut self) -> Answer<&'a OsStr> {
        let end = self.0.iter().position(|b| *b == 0).ok_or(Errno::EINVAL)?;
        let (name, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Ok(OsStr::from_bytes(name))
    }

    pub(super) fn bytes(&mut self, len: usize) -> Answer<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(Errno::EINVAL)?;
        self.0 = rest;
        Ok(bytes)
    }
}

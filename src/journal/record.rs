//! The form of a record: a header of 32 bytes, the payload, zeros up to a multiple of 8.
//!
//! Header, little-endian: half of the store's [seal](super::seal) (4), payload length (4), number (8), newest number known to be on
//! disk when it was written (8), CRC-32 over the last three and the payload (4), the seal's other half (4).
//!
//! A record without payload is a mark: no change, but word of what is on disk.

use super::seal::Seal;

/// The place of a record in the order of all changes. The upper 32 bits count recoveries, so that no record of an earlier
/// run can follow one of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Whether it is the number before the first record of a run.
    pub(super) fn is_of_none(self) -> bool {
        self.0 & u64::from(u32::MAX) == 0
    }

    /// The number before the first record of the next run.
    pub fn next_run(self) -> Self {
        Self(((self.0 >> 32) + 1) << 32)
    }
}

pub(super) const HEADER: usize = 32;
pub(super) const ALIGN: usize = 8;
/// The longest payload, in bytes: what a header has room for.
pub(super) const PAYLOAD_MAX: usize = u32::MAX as usize;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub len: u32,
    pub lsn: Lsn,
    pub synced: Lsn,
    crc: u32,
}

/// Appends a whole record to `out`.
pub(super) fn frame(seal: Seal, lsn: Lsn, synced: Lsn, payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&seal.0[..4]);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&lsn.0.to_le_bytes());
    out.extend_from_slice(&synced.0.to_le_bytes());
    let crc = checksum(&out[start + 4..], payload);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&seal.0[4..]);
    out.extend_from_slice(payload);
    out.resize(start + size(payload.len()), 0);
}

/// How many bytes a record with such a payload takes.
pub(super) fn size(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(ALIGN)
}

/// Reads the record that `bytes` begin with; `None` when there is no whole and sound one.
pub(super) fn parse(seal: Seal, bytes: &[u8]) -> Option<(Header, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEADER>()?;
    let header = header(seal, head)?;
    let payload = rest.get(..header.len as usize)?;
    (checksum(&head[4..24], payload) == header.crc).then_some((header, payload))
}

/// What a header says, whether it is sound or not; `None` when it is none of this store.
pub(super) fn header(seal: Seal, head: &[u8; HEADER]) -> Option<Header> {
    let word = |at: usize| Some(u32::from_le_bytes(*head[at..].first_chunk()?));
    let long = |at: usize| Some(u64::from_le_bytes(*head[at..].first_chunk()?));
    (head[..4] == seal.0[..4] && head[28..] == seal.0[4..]).then_some(())?;
    Some(Header {
        len: word(4)?,
        lsn: Lsn(long(8)?),
        synced: Lsn(long(16)?),
        crc: word(24)?,
    })
}

fn checksum(head: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(head);
    crc.update(payload);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: Seal = Seal(*b"12345678");

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for payload in [&b""[..], b"1234567", b"12345678", &[9; 5000]] {
            let mut out = vec![];
            frame(SEAL, Lsn(7), Lsn(3), payload, &mut out);
            assert_eq!(out.len(), size(payload.len()));
            let (header, read) = parse(SEAL, &out).unwrap();
            assert_eq!((header.lsn, header.synced, read), (Lsn(7), Lsn(3), payload));
        }
    }

    #[test]
    fn a_record_with_any_bit_changed_is_none() {
        let mut out = vec![];
        frame(SEAL, Lsn(7), Lsn(3), b"payload", &mut out);
        // Not the zero behind the payload: nothing reads it.
        for bit in 0..(HEADER + 7) * 8 {
            let mut bad = out.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(SEAL, &bad).is_none(), "bit {bit}");
        }
        for cut in 0..HEADER + 7 {
            assert!(parse(SEAL, &out[..cut]).is_none(), "{cut} bytes");
        }
    }
}

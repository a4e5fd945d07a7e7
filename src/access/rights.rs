//! Rights on a node, one or several.

/// What a caller wants to do with a node. On a directory, `Execute` is to look names up in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    Read,
    Write,
    Execute,
    /// What only an owner may: modes, times, grants.
    Own,
}

/// A set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u8);

impl Rights {
    pub const NONE: Self = Self(0);
    pub const READ: Self = Self(1);
    pub const WRITE: Self = Self(2);
    pub const EXECUTE: Self = Self(4);
    pub const OWN: Self = Self(8);
    pub const ALL: Self = Self(15);

    /// The three that a mode has: `rwx` as 4, 2 and 1.
    pub const fn from_bits(bits: u32) -> Self {
        let read = (bits >> 2 & 1) as u8;
        let write = (bits >> 1 & 1) as u8 * Self::WRITE.0;
        let execute = (bits & 1) as u8 * Self::EXECUTE.0;
        Self(read | write | execute)
    }

    /// The bits of a mode: 4, 2 and 1.
    pub fn bits(self) -> u32 {
        let bit = |right: Self, bit: u32| if self.0 & right.0 == 0 { 0 } else { bit };
        bit(Self::READ, 4) | bit(Self::WRITE, 2) | bit(Self::EXECUTE, 1)
    }

    /// All of it in one byte, for [`Rights::from_byte`].
    pub fn byte(self) -> u8 {
        self.0
    }

    /// What [`Rights::byte`] gave.
    pub fn from_byte(byte: u8) -> Self {
        Self(byte & Self::ALL.0)
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn has(self, right: Right) -> bool {
        self.0 & Self::from(right).0 != 0
    }

    /// Whether all of `other` is in it.
    pub fn covers(self, other: Self) -> bool {
        other.without(self).is_empty()
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl From<Right> for Rights {
    fn from(right: Right) -> Self {
        match right {
            Right::Read => Self::READ,
            Right::Write => Self::WRITE,
            Right::Execute => Self::EXECUTE,
            Right::Own => Self::OWN,
        }
    }
}

impl Right {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "search or execute",
            Self::Own => "owner's",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_a_mode_come_back() {
        for bits in 0..8 {
            assert_eq!(Rights::from_bits(bits).bits(), bits);
        }
        assert_eq!(Rights::from_bits(6), Rights::READ.and(Rights::WRITE));
        assert!(!Rights::from_bits(7).has(Right::Own));
    }
}

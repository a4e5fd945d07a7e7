//! Randomness that can be repeated: every throw follows from a seed that is printed.

use std::io::Read as _;

/// A splitmix64 generator (Steele, Lea, Flood 2014).
pub(crate) struct Dice(u64);

impl Dice {
    /// Takes the seed from `NEXUS_SEED`, else from the system, and prints it.
    pub(crate) fn new(what: &str) -> Self {
        let seed = setting("NEXUS_SEED").unwrap_or_else(|| {
            let mut bytes = [0; 8];
            let mut random = std::fs::File::open("/dev/urandom").unwrap();
            random.read_exact(&mut bytes).unwrap();
            u64::from_le_bytes(bytes) >> 16
        });
        println!("{what}: NEXUS_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend(self.next().to_le_bytes());
        }
        out.truncate(len);
        out
    }
}

/// A number from the environment.
pub(crate) fn setting(name: &str) -> Option<u64> {
    word(name).and_then(|v| v.parse().ok())
}

/// A word from the environment.
#[allow(
    clippy::disallowed_methods,
    reason = "how long to run, and over what, are settings of the run"
)]
pub(crate) fn word(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

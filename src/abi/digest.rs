//! *The* ABI digest: SHA-256 of the ABI text.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::Abi;

/// SHA-256 of an ABI text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Abi {
    /// The digest of [`Abi::to_text`].
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.to_text().as_bytes()).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

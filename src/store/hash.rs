//! SHA-256 as lower-case hexadecimal.

use crate::error::{Error, Result};
use sha2::Digest;
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A running hash.
///
/// ```
/// use seqtilt::store::{Sha256, sha256};
/// let mut running = Sha256::default();
/// running.update(b"AG");
/// running.update(b"GT");
/// assert_eq!(running.hex(), sha256(b"AGGT"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of what was taken in so far.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut hex = String::with_capacity(64);
        for byte in self.0.clone().finalize() {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

/// The hash of some bytes.
///
/// ```
/// assert!(seqtilt::store::sha256(b"abc").starts_with("ba7816bf8f01cfea"));
/// ```
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let mut running = Sha256::default();
    running.update(bytes);
    running.hex()
}

/// The hash of a file, read in pieces.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_file(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let mut file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    let mut running = Sha256::default();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(running.hex()),
            Ok(count) => running.update(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_hashes_like_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let bytes = vec![7; 200_000];
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(sha256_file(&path).unwrap(), sha256(&bytes));
        assert_eq!(sha256_file(folder.path().join("b")).unwrap_err().kind(), crate::Kind::Data);
    }

    #[test]
    fn the_empty_hash_is_the_published_one() {
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}

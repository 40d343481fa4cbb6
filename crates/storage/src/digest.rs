//! SHA-256, by which a result says what exactly it was made from.

use std::io;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{StorageError, open_file};

/// The digest of a file, as `sha256sum FILE` prints it.
///
/// # Errors
/// Where the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String, StorageError> {
    let hash = || -> io::Result<Sha256> {
        let mut hash = Sha256::new();
        io::copy(&mut open_file(path)?, &mut hash)?;
        Ok(hash)
    };
    let hash = hash().map_err(StorageError::file("read", path))?;
    Ok(format!("{:x}", hash.finalize()))
}

/// The digest of bytes, in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The short name of a key: the first 16 digits of the SHA-256 of its JSON.
///
/// # Errors
/// Where the key has no JSON form.
pub fn record_id<T: Serialize>(key: &T) -> Result<String, StorageError> {
    let mut digest = sha256_hex(&serde_json::to_vec(key)?);
    digest.truncate(16);
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_file(&path).unwrap(), digest);
        assert_eq!(sha256_hex(b"abc"), digest);
        // printf '"abc"' | sha256sum
        assert_eq!(record_id(&"abc").unwrap(), "6cc43f858fbb7633");
        let missing = sha256_file(&folder.path().join("none")).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read"), "{missing}");
    }
}

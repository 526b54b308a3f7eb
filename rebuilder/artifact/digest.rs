//! SHA-256 digests as a type, and readers and writers that hash what passes through.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A SHA-256 digest; written and parsed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

/// A text that is not a SHA-256 digest.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a SHA-256 digest (64 hexadecimal digits)")]
pub struct DigestError(String);

impl Sha256 {
    /// Digest of bytes that are in memory already.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(sha2::Sha256::digest(bytes.as_ref()).into())
    }

    /// Digest and length in bytes of everything that `reader` yields.
    pub fn of_reader(reader: impl Read) -> io::Result<(Self, u64)> {
        let mut hashing = HashingReader::new(reader);
        let size = io::copy(&mut hashing, &mut io::sink())?;
        Ok((hashing.finish(), size))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// The first 12 digits: enough for a person to tell digests apart on a terminal.
    pub fn short(self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl FromStr for Sha256 {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.to_hex()
    }
}

/// The digests of one file that claims about it may name, and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// SHA-256.
    pub sha256: Sha256,
    /// SHA-384, hexadecimal; empty if only the SHA-256 is known.
    sha384: String,
    /// SHA-512, hexadecimal; likewise.
    sha512: String,
    /// Bytes.
    pub size: u64,
}

impl Digests {
    /// Digests of bytes that are in memory already.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            sha256: Sha256::of(bytes),
            sha384: hex::encode(sha2::Sha384::digest(bytes)),
            sha512: hex::encode(sha2::Sha512::digest(bytes)),
            size: bytes.len() as u64,
        }
    }

    /// Digests of everything that `reader` yields, in one pass.
    pub fn of_reader(mut reader: impl Read) -> io::Result<Self> {
        let (mut sha256, mut sha384, mut sha512) =
            (sha2::Sha256::new(), sha2::Sha384::new(), sha2::Sha512::new());
        let (mut size, mut buffer) = (0_u64, vec![0; 1 << 16]);
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            sha256.update(bytes);
            sha384.update(bytes);
            sha512.update(bytes);
            size = size.saturating_add(bytes.len() as u64);
        }
        Ok(Self {
            sha256: Sha256(sha256.finalize().into()),
            sha384: hex::encode(sha384.finalize()),
            sha512: hex::encode(sha512.finalize()),
            size,
        })
    }

    /// What is known of a file by its SHA-256 alone.
    pub fn known(sha256: Sha256) -> Self {
        Self {
            sha256,
            sha384: String::new(),
            sha512: String::new(),
            size: 0,
        }
    }

    /// The digest under in-toto's name for its algorithm, in hexadecimal digits; `None` if it is not known.
    pub fn get(&self, algorithm: &str) -> Option<String> {
        match algorithm {
            "sha256" => Some(self.sha256.to_hex()),
            "sha384" => Some(self.sha384.clone()).filter(|digits| !digits.is_empty()),
            "sha512" => Some(self.sha512.clone()).filter(|digits| !digits.is_empty()),
            _ => None,
        }
    }
}

/// Hashes what is read through it.
pub struct HashingReader<R> {
    inner: R,
    state: sha2::Sha256,
}

impl<R: Read> HashingReader<R> {
    /// Starts a new digest over `inner`.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            state: sha2::Sha256::new(),
        }
    }

    /// Digest of everything read so far.
    pub fn finish(self) -> Sha256 {
        Sha256(self.state.finalize().into())
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.state.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Hashes and counts what is written through it.
pub struct HashingWriter<W> {
    inner: W,
    state: sha2::Sha256,
    size: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Starts a new digest over `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            state: sha2::Sha256::new(),
            size: 0,
        }
    }

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The inner writer, the digest of everything written, and its length in bytes.
    pub fn finish(self) -> (W, Sha256, u64) {
        (self.inner, Sha256(self.state.finalize().into()), self.size)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.state.update(buffer.get(..count).unwrap_or_default());
        self.size = self.size.saturating_add(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_only_whole_digests() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Sha256::of("abc").to_string(), abc);
        assert_eq!(abc.parse::<Sha256>().unwrap(), Sha256::of("abc"));
        for bad in ["", "abc", &abc[1..], &format!("{abc}0"), &abc.replace('b', "g")] {
            assert!(bad.parse::<Sha256>().is_err(), "{bad:?} was taken for a digest");
        }
    }
}

//! Digests that packages hold of their members, in several algorithms.

use std::io::{self, Read};

use md5::Digest as _;

/// Digest algorithms that signed jars use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Digests of one file by every algorithm that was asked for.
pub(super) type Digests = Vec<(Algorithm, Vec<u8>)>;

impl Algorithm {
    /// By its name in attributes, in lower case.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "md5" => Self::Md5,
            "sha" | "sha1" | "sha-1" => Self::Sha1,
            "sha224" | "sha-224" => Self::Sha224,
            "sha256" | "sha-256" => Self::Sha256,
            "sha384" | "sha-384" => Self::Sha384,
            "sha512" | "sha-512" => Self::Sha512,
            _ => return None,
        })
    }

    fn hasher(self) -> Box<dyn Hasher> {
        match self {
            Self::Md5 => Box::new(md5::Md5::new()),
            Self::Sha1 => Box::new(sha1::Sha1::new()),
            Self::Sha224 => Box::new(sha2::Sha224::new()),
            Self::Sha256 => Box::new(sha2::Sha256::new()),
            Self::Sha384 => Box::new(sha2::Sha384::new()),
            Self::Sha512 => Box::new(sha2::Sha512::new()),
        }
    }

    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        let mut hasher = self.hasher();
        hasher.take(bytes);
        hasher.end()
    }
}

trait Hasher {
    fn take(&mut self, bytes: &[u8]);
    fn end(&mut self) -> Vec<u8>;
}

impl<D: md5::Digest + sha2::digest::FixedOutputReset> Hasher for D {
    fn take(&mut self, bytes: &[u8]) {
        md5::Digest::update(self, bytes);
    }

    fn end(&mut self) -> Vec<u8> {
        self.finalize_fixed_reset().to_vec()
    }
}

/// All of them, of a stream.
pub(super) fn of_stream(algorithms: &[Algorithm], stream: &mut dyn Read) -> io::Result<Digests> {
    let mut hashers: Vec<_> = algorithms.iter().map(|own| (*own, own.hasher())).collect();
    let mut buffer = vec![0; 1 << 15];
    loop {
        let bytes = crate::compare::file::fill(stream, &mut buffer)?;
        if bytes.is_empty() {
            break;
        }
        for (_, hasher) in &mut hashers {
            hasher.take(bytes);
        }
    }
    Ok(hashers
        .into_iter()
        .map(|(own, mut hasher)| (own, hasher.end()))
        .collect())
}

/// Bytes in base 64 with padding (RFC 4648), and nothing else.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| -> Option<u32> {
        let value = match byte {
            b'A'..=b'Z' => byte.checked_sub(b'A')?,
            b'a'..=b'z' => byte.checked_sub(b'a')?.checked_add(26)?,
            b'0'..=b'9' => byte.checked_sub(b'0')?.checked_add(52)?,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        Some(u32::from(value))
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    if text.len().checked_sub(digits.len())? > 2 {
        return None;
    }
    let mut bytes = Vec::new();
    for group in digits.as_bytes().chunks(4) {
        let mut word: u32 = 0;
        for at in 0..4 {
            let value = group.get(at).map_or(Some(0), |byte| digit(*byte))?;
            word = (word << 6) | value;
        }
        let [_, one, two, three] = word.to_be_bytes();
        let whole = group.len().saturating_sub(1);
        let (kept, unused) = [one, two, three]
            .split_at_checked(whole)
            .map(|(kept, unused)| (kept.to_vec(), unused.to_vec()))?;
        if group.len() < 2 || unused.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend(kept);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_64_is_read_strictly() {
        let read = |text| base64(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(read("").as_deref(), Some(""));
        assert_eq!(read("Zm9v").as_deref(), Some("foo"));
        assert_eq!(read("Zm8=").as_deref(), Some("fo"));
        assert_eq!(read("Zg==").as_deref(), Some("f"));
        for wrong in ["Zg=", "Zg", "Zh==", "Z===", "Z m8", "Zm9v\n", "===="] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn digests_are_those_of_the_algorithm() {
        let empty = |algorithm: Algorithm| hex::encode(algorithm.of(b""));
        assert_eq!(empty(Algorithm::Md5), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(empty(Algorithm::Sha1), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert!(empty(Algorithm::Sha256).starts_with("e3b0c44298fc1c14"));
        let all = of_stream(&[Algorithm::Md5, Algorithm::Sha512], &mut b"x".as_slice()).expect("read");
        assert_eq!(
            all.iter().map(|(_, digest)| digest.len()).collect::<Vec<_>>(),
            [16, 64]
        );
    }
}

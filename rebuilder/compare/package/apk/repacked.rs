//! The streams of Alpine packages as they are stored: the signature covers the compressed control files, and they have
//! the digest of the compressed data.

use std::io::{self, BufRead, Read};

use sha2::Digest as _;

use super::settle::{INFO, is_signature};
use crate::compare::finding::Finding;
use crate::compare::limits::{Meter, Metered};
use crate::compare::package::settle::{Members, Settling};
use crate::compare::source::{Codec, Source};
use crate::compare::stale;

/// The SHA-256 digests, in hexadecimal, of the compressed parts of a package.
pub(super) struct Parts {
    control: String,
    /// Of everything behind the control files.
    pub data: String,
}

impl Parts {
    pub fn read(source: &Source, meter: &Meter) -> io::Result<Self> {
        const MOST: u64 = 32 << 20;
        let Source::Decoded {
            codec: Codec::Gzip,
            inner,
            ..
        } = source
        else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let meter = meter.apart();
        let inner = Metered {
            inner: inner.open()?,
            meter: &meter,
        };
        let mut packed = Digesting {
            inner: io::BufReader::with_capacity(1 << 16, inner),
            digest: sha2::Sha256::new(),
        };
        loop {
            let mut tar = Vec::new();
            flate2::bufread::GzDecoder::new(&mut packed)
                .take(MOST)
                .read_to_end(&mut tar)?;
            let control = packed.taken();
            if tar.len() as u64 == MOST || packed.fill_buf()?.is_empty() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if !tar.starts_with(b".SIGN.") {
                io::copy(&mut packed, &mut io::sink())?;
                let data = packed.taken();
                return Ok(Self { control, data });
            }
        }
    }
}

/// A reader with the digest of what was taken from it.
struct Digesting<R> {
    inner: R,
    digest: sha2::Sha256,
}

impl<R> Digesting<R> {
    /// The digest in hexadecimal of what was taken since the last call.
    fn taken(&mut self) -> String {
        hex::encode(self.digest.finalize_reset())
    }
}

impl<R: BufRead> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ready = self.fill_buf()?;
        let read = ready.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Digesting<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        let ready = self.inner.fill_buf().unwrap_or_default();
        self.digest.update(ready.get(..bytes).unwrap_or(ready));
        self.inner.consume(bytes);
    }
}

/// Signatures and digests that are the same on both sides although the streams that they are about differ.
pub(super) fn streams(settling: &Settling) -> io::Result<Vec<Finding>> {
    let members = settling.members(&|path| path == INFO || is_signature(path))?;
    let parts = settling
        .sides
        .try_map(|source| Parts::read(source, settling.meter))?;
    let mut findings = Vec::new();
    if parts.released.control != parts.rebuilt.control {
        let signatures = members.released.iter().filter(|(path, _)| is_signature(path));
        let same = signatures.filter(|(path, bytes)| members.rebuilt.get(*path) == Some(bytes));
        findings.extend(same.map(|(path, _)| stale::signature(path)));
    }
    let hashes = members.as_ref().map(data_hash);
    if parts.released.data != parts.rebuilt.data && hashes.same() {
        let finding = hashes.released.map(|hash| Finding::new("datahash", hash, hash));
        findings.extend(finding.map(|own| own.keyed("a checksum that is the same for two different files")));
    }
    Ok(findings)
}

/// The digest of the data that `.PKGINFO` names.
fn data_hash(members: &Members) -> Option<&str> {
    let text = std::str::from_utf8(members.get(INFO)?).ok()?;
    text.lines().find_map(|line| line.strip_prefix("datahash = "))
}

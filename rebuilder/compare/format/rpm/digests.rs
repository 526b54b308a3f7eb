//! Checks the digests and sizes in the headers against the package.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read, Seek as _, SeekFrom};

use md5::Md5;
use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::Parts;
use crate::compare::again::materialise;
use crate::compare::format::{Member, cpio, path_text};
use crate::compare::limits::{Meter, Metered};
use crate::compare::source::{Codec, Source};
use crate::compare::stored::{self, Type};
use crate::compare::tree::clean;

/// The wrong digests and sizes, described with their stored values. Algorithms that are not supported are reported as
/// such.
pub(super) fn faults(source: &Source, meter: &Meter) -> io::Result<BTreeSet<String>> {
    let parts = Parts::read(source, meter)?;
    let mut faults = Faults::default();
    let mut reader = source.seekable()?;
    reader.seek(SeekFrom::Start(parts.payload))?;
    let mut reader = Metered { inner: reader, meter };
    let mut sha256 = Sha256::new();
    let mut md5 = Md5::new();
    Digest::update(&mut md5, &parts.header.bytes);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        Digest::update(&mut sha256, bytes);
        Digest::update(&mut md5, bytes);
    }
    let signature = &parts.signature;
    let header = &parts.header.bytes;
    let length = parts.size.saturating_sub(parts.payload);
    let size = length.saturating_add(header.len() as u64);
    let hex_of = |tag: u32| signature.strings(tag).first().map(|text| path_text(text));
    faults.check(
        "SHA-1 of the header",
        hex_of(269),
        &hex::encode(Sha1::digest(header)),
    );
    faults.check(
        "SHA-256 of the header",
        hex_of(273),
        &hex::encode(Sha256::digest(header)),
    );
    let stored = signature.binary(1004).map(hex::encode);
    faults.check("MD5 of header and payload", stored, &hex::encode(md5.finalize()));
    for tag in [270, 1000] {
        let stored = signature.numbers(tag).first().map(u64::to_string);
        faults.check("size of header and payload", stored, &size.to_string());
    }
    let stored = parts.header.strings(5092).first().map(|text| path_text(text));
    match parts.header.numbers(5093).first() {
        None | Some(8) => faults.check("digest of the payload", stored, &hex::encode(sha256.finalize())),
        Some(_) => faults.unknown("digest of the payload", &stored.unwrap_or_default()),
    }
    files(&parts, source, meter, &mut faults)?;
    Ok(faults.0)
}

#[derive(Default)]
struct Faults(BTreeSet<String>);

impl Faults {
    fn check(&mut self, what: &str, stored: Option<String>, right: &str) {
        if let Some(stored) = stored.filter(|stored| stored != right) {
            self.0.insert(format!("{what} is {right}, not {stored}"));
        }
    }

    fn unknown(&mut self, what: &str, stored: &str) {
        if !stored.is_empty() {
            self.0.insert(format!("{what} was not checked: {stored}"));
        }
    }
}

/// A regular file, according to the header.
struct Described {
    digest: String,
    size: u64,
}

/// Checks the unpacked payload: its own digest and size, and those of its files.
fn files(parts: &Parts, source: &Source, meter: &Meter, faults: &mut Faults) -> io::Result<()> {
    let header = &parts.header;
    let payload = payload(parts, source, meter)?;
    let plain =
        Codec::detect(&payload.head(16)?).map_or_else(|| payload.clone(), |codec| payload.decoded(codec));
    let mut described = described(parts);
    let algorithm = header.numbers(5011).first().copied().unwrap_or(1);
    let mut whole = Hashed {
        inner: plain.open()?,
        sha256: Sha256::new(),
        size: 0,
    };
    let walked = cpio::Cpio::walk_reader(&mut whole, meter, &mut |mut member| {
        let path = clean(&member.path).trim_start_matches('/').to_owned();
        let known = described.remove(&path);
        file(&path, &mut member, known, algorithm, faults)?;
        Ok(true)
    });
    if let Err(error) = walked {
        for (path, file) in &described {
            faults.unknown(&format!("digest of {path} ({error})"), &file.digest);
        }
        return Ok(());
    }
    let mut missing: Vec<&String> = described.keys().collect();
    missing.sort();
    for path in missing {
        faults.unknown("file that the payload lacks", path);
    }
    io::copy(&mut whole, &mut io::sink())?;
    let stored = header.strings(5097).first().map(|text| path_text(text));
    faults.check(
        "digest of the unpacked payload",
        stored,
        &hex::encode(whole.sha256.finalize()),
    );
    for tag in [271, 1007] {
        let stored = parts.signature.numbers(tag).first().map(u64::to_string);
        faults.check("size of the unpacked payload", stored, &whole.size.to_string());
    }
    Ok(())
}

/// Maximum number of bytes of a payload that are kept in memory to be read again.
const IN_MEMORY: usize = 32 << 20;

/// The payload as it is stored.
fn payload(parts: &Parts, source: &Source, meter: &Meter) -> io::Result<Source> {
    let length = parts.size.saturating_sub(parts.payload);
    if let Some(part) = source.part(parts.payload, length) {
        return Ok(part);
    }
    let mut reader = source.seekable()?;
    reader.seek(SeekFrom::Start(parts.payload))?;
    materialise(&mut Metered { inner: reader, meter }, IN_MEMORY)
}

/// Compares one file of the payload with the header.
fn file(
    path: &str,
    member: &mut Member,
    known: Option<Described>,
    algorithm: u64,
    faults: &mut Faults,
) -> io::Result<()> {
    // Of several names for one file, the last one has the bytes.
    let is_link = stored::target(&member.fields).is_some() || member.size == 0;
    let is_file = stored::type_of(&member.fields) == Some(Type::File);
    let Some(known) = known else {
        if is_file {
            faults.unknown("file that the header does not list", path);
        }
        return Ok(());
    };
    let Some(mut hasher) = hasher(algorithm) else {
        faults.unknown(&format!("digest of {path}"), &known.digest);
        return Ok(());
    };
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = member.content.read(&mut buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        hasher.update(bytes);
    }
    let right = hex::encode(hasher.finalize());
    if is_file && !(is_link && known.size > 0) {
        let (size, real) = (known.size.to_string(), member.size.to_string());
        faults.check(&format!("digest of {path}"), Some(known.digest), &right);
        faults.check(&format!("size of {path}"), Some(size), &real);
    }
    Ok(())
}

/// Regular files that the payload should contain, by path.
fn described(parts: &Parts) -> HashMap<String, Described> {
    const GHOST: u64 = 1 << 6;
    let header = &parts.header;
    let folders = header.strings(1118);
    let (indexes, flags) = (header.numbers(1116), header.numbers(1037));
    let (modes, digests) = (header.numbers(1030), header.strings(1035));
    let sizes = match header.numbers(5008) {
        long if long.is_empty() => header.numbers(1028),
        long => long,
    };
    let mut files = HashMap::new();
    for (place, name) in header.strings(1117).into_iter().enumerate() {
        let number = |list: &[u64]| list.get(place).copied().unwrap_or_default();
        let mode = u32::try_from(number(&modes)).unwrap_or_default();
        if number(&flags) & GHOST != 0 || Type::of_mode(mode) != Some(Type::File) {
            continue;
        }
        let folder = usize::try_from(number(&indexes))
            .ok()
            .and_then(|index| folders.get(index));
        let path = [folder.copied().unwrap_or_default(), name].concat();
        let path = path_text(&path);
        files.insert(
            clean(&path).trim_start_matches('/').to_owned(),
            Described {
                digest: digests
                    .get(place)
                    .map(|digest| path_text(digest))
                    .unwrap_or_default(),
                size: number(&sizes),
            },
        );
    }
    files
}

/// The hash algorithm for an OpenPGP number (RFC 9580, 9.5).
fn hasher(algorithm: u64) -> Option<Box<dyn DynDigest>> {
    Some(match algorithm {
        1 => Box::new(Md5::new()),
        2 => Box::new(Sha1::new()),
        8 => Box::new(Sha256::new()),
        9 => Box::new(Sha384::new()),
        10 => Box::new(Sha512::new()),
        _ => return None,
    })
}

/// A reader that computes digest and length.
struct Hashed<R> {
    inner: R,
    sha256: Sha256,
    size: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        Digest::update(&mut self.sha256, buffer.get(..read).unwrap_or_default());
        self.size = self.size.saturating_add(read as u64);
        Ok(read)
    }
}

//! Computes digests of certain members of nested archives, in one walk.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use sha2::Digest as _;

use super::again::materialise;
use super::claims::Algorithm;
use super::format::{self, FormatReader, HEAD, Member};
use super::limits::{Meter, Metered};
use super::partners::without_compression;
use super::source::{Codec, Source};
use super::stored::{Type, target, type_of};

/// Length and digests of a file.
#[derive(Debug, Default)]
pub(super) struct Digests {
    pub size: u64,
    digests: BTreeMap<Algorithm, Vec<u8>>,
}

impl Digests {
    pub fn get(&self, algorithm: Algorithm) -> Option<&[u8]> {
        self.digests.get(&algorithm).map(Vec::as_slice)
    }

    pub fn read(mut content: impl Read, algorithms: impl Iterator<Item = Algorithm>) -> io::Result<Self> {
        let mut states: Vec<(Algorithm, State)> = algorithms.map(|own| (own, State::new(own))).collect();
        let mut buffer = vec![0; 1 << 16];
        let mut size = 0_u64;
        loop {
            let read = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            size = size.saturating_add(read as u64);
            for (_, state) in &mut states {
                state.update(buffer.get(..read).unwrap_or_default());
            }
        }
        let digests = states
            .into_iter()
            .map(|(algorithm, state)| (algorithm, state.finish()))
            .collect();
        Ok(Self { size, digests })
    }
}

enum State {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha224(sha2::Sha224),
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl State {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5(md5::Md5::new()),
            Algorithm::Sha1 => Self::Sha1(sha1::Sha1::new()),
            Algorithm::Sha224 => Self::Sha224(sha2::Sha224::new()),
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => Self::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(state) => state.update(bytes),
            Self::Sha1(state) => state.update(bytes),
            Self::Sha224(state) => state.update(bytes),
            Self::Sha256(state) => state.update(bytes),
            Self::Sha384(state) => state.update(bytes),
            Self::Sha512(state) => state.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(state) => state.finalize().to_vec(),
            Self::Sha1(state) => state.finalize().to_vec(),
            Self::Sha224(state) => state.finalize().to_vec(),
            Self::Sha256(state) => state.finalize().to_vec(),
            Self::Sha384(state) => state.finalize().to_vec(),
            Self::Sha512(state) => state.finalize().to_vec(),
        }
    }
}

/// A file or an archive, what is wanted of it, and what was found.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    algorithms: Vec<Algorithm>,
    /// What is wanted of its members, by path.
    members: HashMap<String, Wanted>,
    digests: Digests,
    /// Number of members with this path.
    times: u32,
    /// The earlier member of which this is another name.
    link: Option<String>,
}

/// Maximum number of bytes of an archive that are held in memory for random access; a larger one is in a temporary
/// file.
const IN_MEMORY: usize = 16 << 20;
/// Maximum depth of nested archives that are searched.
const DEEPEST: u32 = 16;

impl Wanted {
    /// A name for the archive whose path, without the suffix of a compressor, is `part`.
    pub fn part(part: &str) -> String {
        format!("\0{part}")
    }

    /// Requests a file; without an algorithm, only whether it exists.
    pub fn want(&mut self, way: &[String], algorithm: Option<Algorithm>) {
        let file = way.iter().fold(self, |wanted, name| {
            wanted.members.entry(name.clone()).or_default()
        });
        let new = algorithm.filter(|algorithm| !file.algorithms.contains(algorithm));
        file.algorithms.extend(new);
    }

    fn at(&self, way: &[String]) -> Option<(&Self, &Self)> {
        let (name, archives) = way.split_last()?;
        let archive = archives.iter().try_fold(self, |wanted, name| {
            wanted.members.get(name).filter(|own| own.times == 1)
        })?;
        Some((archive, archive.members.get(name)?))
    }

    /// Whether the archive has such a file.
    pub fn is_there(&self, way: &[String]) -> bool {
        self.at(way).is_some_and(|(_, file)| file.times > 0)
    }

    /// The digests of a file, if exactly one has this path.
    pub fn found(&self, way: &[String]) -> Option<&Digests> {
        let (archive, file) = self.at(way)?;
        let once = Some(file).filter(|file| file.times == 1)?;
        match &once.link {
            None => Some(&once.digests),
            Some(target) => {
                let target = archive.members.get(target)?;
                (target.times == 1 && target.link.is_none()).then_some(&target.digests)
            }
        }
    }

    fn member(&mut self, path: &str) -> Option<&mut Self> {
        // Looked up twice, as a borrow that is given back cannot be tried first.
        if self.members.contains_key(path) {
            return self.members.get_mut(path);
        }
        self.members.get_mut(&Self::part(without_compression(path)))
    }

    /// Requests the targets of links; returns false if there are no links.
    fn follow_links(&mut self) -> bool {
        let mut links: Vec<(String, Vec<Algorithm>)> = Vec::new();
        let mut any = false;
        for member in self.members.values_mut() {
            any |= member.follow_links();
            links.extend(member.link.clone().map(|link| (link, member.algorithms.clone())));
        }
        for (link, algorithms) in links {
            any = true;
            let target = self.members.entry(link).or_default();
            for algorithm in algorithms {
                if !target.algorithms.contains(&algorithm) {
                    target.algorithms.push(algorithm);
                }
            }
        }
        any
    }

    fn reset(&mut self) {
        self.times = 0;
        self.members.values_mut().for_each(Self::reset);
    }
}

/// Finds the wanted members of an archive.
pub(super) fn recompute(source: &Source, wanted: &mut Wanted, meter: &Meter) -> io::Result<()> {
    if wanted.members.is_empty() {
        return Ok(());
    }
    let meter = meter.apart();
    find(source, wanted, &meter, DEEPEST)?;
    // The bytes of a hard link are those of another member, which is known only now.
    if wanted.follow_links() {
        wanted.reset();
        find(source, wanted, &meter, DEEPEST)?;
    }
    Ok(())
}

fn find(source: &Source, wanted: &mut Wanted, meter: &Meter, depth: u32) -> io::Result<()> {
    let Some(below) = depth.checked_sub(1) else {
        return Ok(());
    };
    let Some((format, source)) = opened(source, meter)? else {
        return Ok(());
    };
    format.walk(&source, meter, &mut |member| {
        if let Some(wanted) = wanted.member(&member.path) {
            wanted.times = wanted.times.saturating_add(1);
            take(member, wanted, meter, below)?;
        }
        Ok(true)
    })?;
    Ok(())
}

fn take(member: Member, wanted: &mut Wanted, meter: &Meter, depth: u32) -> io::Result<()> {
    if type_of(&member.fields) == Some(Type::HardLink) {
        wanted.link = target(&member.fields).map(|target| target.trim_start_matches("./").to_owned());
        return Ok(());
    }
    let algorithms = wanted.algorithms.clone().into_iter();
    if wanted.members.is_empty() {
        if !wanted.algorithms.is_empty() {
            wanted.digests = Digests::read(member.content, algorithms)?;
        }
        return Ok(());
    }
    let source = match member.source {
        Some(source) => source,
        None => materialise(member.content, IN_MEMORY)?,
    };
    if !wanted.algorithms.is_empty() {
        let inner = source.open()?;
        wanted.digests = Digests::read(Metered { inner, meter }, algorithms)?;
    }
    find(&source, wanted, meter, depth)
}

/// An archive and its format; `None` for other files.
pub(super) fn opened(
    source: &Source,
    meter: &Meter,
) -> io::Result<Option<(&'static dyn FormatReader, Source)>> {
    if matches!(source, Source::Folder(_)) {
        return Ok(Some((format::folder(), source.clone())));
    }
    let mut plain = source.clone();
    while let Some(codec) = Codec::detect(&plain.head(HEAD)?) {
        if layers(&plain) >= DEEPEST {
            return Ok(None);
        }
        plain = plain.decoded(codec);
    }
    let Some(format) = format::detect(&plain.head(HEAD)?) else {
        return Ok(None);
    };
    if !format.streams() && plain.seekable().is_err() {
        let inner = plain.open()?;
        plain = materialise(&mut Metered { inner, meter }, IN_MEMORY)?;
    }
    Ok(Some((format, plain)))
}

/// Number of times that a source is decoded.
fn layers(source: &Source) -> u32 {
    match source {
        Source::Decoded { inner, .. } => layers(inner).saturating_add(1),
        _ => 0,
    }
}

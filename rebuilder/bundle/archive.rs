//! The archive itself: a tar in a gzip, in one order, with one time and one owner. Written and read as a stream.

use std::collections::BTreeMap;
use std::fs::File as DiskFile;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::Path;

use flate2::{Compression, GzBuilder};
use unicode_normalization::UnicodeNormalization as _;

use super::{
    BundleError, Content, Contents, DOCUMENT_LIMIT, DOCUMENTS_LIMIT, FOLDER, File, ListedFile, MANIFEST,
    Manifest, OUTPUTS, PREDICATE, SIGNATURE, SUMS, WHOLE_LIMIT,
};
use crate::artifact::serialise::{self, SerialiseError};
use crate::artifact::{HashingReader, Sha256};
use crate::attest::Signer;
use crate::attest::predicate::{InTotoStatement, Resource};

/// Writes an archive; signs its manifest if there is a key.
pub fn write(
    path: &Path,
    mut files: Vec<File>,
    mut manifest: Manifest,
    signer: Option<&dyn Signer>,
) -> Result<Manifest, BundleError> {
    let failed = |source| BundleError::Write {
        path: path.to_owned(),
        source,
    };
    let invalid = |reason: String| BundleError::Invalid {
        path: path.to_owned(),
        reason,
    };
    files.sort_by(|a, b| a.path.cmp(&b.path));
    for file in &files {
        if !is_plain(&file.path) {
            let reason = format!("{:?} cannot be the name of a file in a bundle", file.path);
            return Err(invalid(reason));
        }
        manifest.files.push(listed(file).map_err(failed)?);
    }
    let text = serialise::pretty("the manifest", &manifest)?;
    let sums = sums(&manifest, Sha256::of(&text));
    let mut head = vec![(MANIFEST, text.clone()), (SUMS, sums.into_bytes())];
    if let Some(signer) = signer {
        let statement = statement(&manifest, Sha256::of(&text))?;
        let bundle = signer.bundle(&serialise::compact("the statement", &statement)?)?;
        head.push((SIGNATURE, serialise::pretty("the bundle", &bundle)?));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let pending = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    let gzip = GzBuilder::new()
        .mtime(0)
        .write(BufWriter::new(pending), Compression::default());
    let mut tar = tar::Builder::new(gzip);
    let time = u64::try_from(manifest.created.as_second()).unwrap_or(0);
    for (name, bytes) in &head {
        append(&mut tar, name, (bytes.len() as u64, time), &mut bytes.as_slice()).map_err(failed)?;
    }
    for (file, listed) in files.iter().zip(&manifest.files) {
        let mut reader = HashingReader::new(file.content.open().map_err(failed)?);
        append(&mut tar, &file.path, (listed.size, time), &mut reader).map_err(failed)?;
        if reader.finish() != listed.sha256 {
            return Err(invalid(format!("{} changed while it was written", file.path)));
        }
    }
    let buffer = tar
        .into_inner()
        .and_then(flate2::write::GzEncoder::finish)
        .map_err(failed)?;
    let pending = buffer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .map_err(failed)?;
    put_in_place(pending, path).map_err(failed)?;
    Ok(manifest)
}

/// Appends one file, with nothing of this machine in its header.
fn append(
    tar: &mut tar::Builder<impl io::Write>,
    name: &str,
    (size, time): (u64, u64),
    bytes: &mut dyn Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(time);
    header.set_entry_type(tar::EntryType::Regular);
    tar.append_data(&mut header, format!("{FOLDER}/{name}"), bytes)
}

/// The line of a file in the manifest.
fn listed(file: &File) -> io::Result<ListedFile> {
    let (sha256, size) = file.content.digest()?;
    Ok(ListedFile {
        path: file.path.clone(),
        what: file.what.to_owned(),
        sha256,
        size,
    })
}

/// Gives a whole file its name, on the disk and for everyone to read.
fn put_in_place(pending: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    pending.as_file().set_permissions(readable)?;
    pending.as_file().sync_all()?;
    pending.persist(path)?;
    Ok(())
}

/// What is signed of a manifest with this digest.
fn statement(manifest: &Manifest, digest: Sha256) -> Result<serde_json::Value, SerialiseError> {
    let subject = vec![Resource::<()>::named(MANIFEST, digest)];
    InTotoStatement::new(subject, PREDICATE, manifest.signed()).tree()
}

/// The manifest once more, for `sha256sum --check`.
pub(super) fn sums(manifest: &Manifest, own: Sha256) -> String {
    let mut sums = format!("{own}  {MANIFEST}\n");
    for file in &manifest.files {
        sums.push_str(&format!("{}  {}\n", file.sha256, file.path));
    }
    sums
}

impl Content {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Document(bytes) => Box::new(bytes.as_slice()),
            Self::Output(path) => Box::new(BufReader::new(DiskFile::open(path)?)),
        })
    }

    fn digest(&self) -> io::Result<(Sha256, u64)> {
        Sha256::of_reader(self.open()?)
    }
}

/// Reads an archive that someone else may have made, in the one form that [`write`] gives it.
///
/// Readers of tar and gzip differ in what they do with links, extended headers, a second archive behind the first,
/// or two names for one place. An archive that has any of it shows different people different evidence.
pub fn read(path: &Path) -> Result<Contents, BundleError> {
    let failed = |source| BundleError::Read {
        path: path.to_owned(),
        source,
    };
    let invalid = |reason: String| BundleError::NotOne {
        path: path.to_owned(),
        reason,
    };
    let broken = |error: io::Error| invalid(error.to_string());
    let gzip = flate2::bufread::GzDecoder::new(BufReader::new(DiskFile::open(path).map_err(failed)?));
    let mut tar = tar::Archive::new(gzip.take(WHOLE_LIMIT));
    let (mut contents, mut held) = (Contents::default(), 0_u64);
    let mut long_name: Option<String> = None;
    for entry in tar.entries().map_err(failed)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        if entry.header().entry_type() == tar::EntryType::GNULongName && long_name.is_none() {
            let name = name_in(&mut entry).map_err(broken)?;
            long_name = Some(name.ok_or_else(|| invalid("it has a long name that cannot be read".into()))?);
            continue;
        }
        let short_name = exact_header(entry.header(), long_name.is_some()).map_err(invalid)?;
        let name = long_name.take().unwrap_or(short_name);
        let below = name
            .strip_prefix(&format!("{FOLDER}/"))
            .filter(|below| is_plain(below))
            .ok_or_else(|| invalid(format!("{name:?} is not allowed in a bundle")))?
            .to_owned();
        let (digest, size) = if OUTPUTS.iter().any(|folder| below.starts_with(folder)) {
            Sha256::of_reader(&mut entry).map_err(broken)?
        } else {
            let bytes = read_up_to(&mut entry, DOCUMENT_LIMIT).map_err(broken)?;
            held = held.saturating_add(bytes.len() as u64);
            if bytes.len() as u64 > DOCUMENT_LIMIT || held > DOCUMENTS_LIMIT {
                return Err(invalid(format!("{name} is larger than a document may be")));
            }
            let digest = Sha256::of(&bytes);
            let size = bytes.len() as u64;
            contents.documents.insert(below.clone(), bytes);
            (digest, size)
        };
        contents.sizes.insert(below.clone(), size);
        if contents.digests.insert(below, digest).is_some() {
            return Err(invalid(format!("it contains {name} twice")));
        }
        if contents.digests.len() > MOST_FILES {
            return Err(invalid(format!("it has more than {MOST_FILES} files")));
        }
    }
    ends_here(tar).map_err(invalid)?;
    one_place_each(&contents).map_err(invalid)?;
    Ok(contents)
}

/// What the next member is called, if that is a text within the bound.
fn name_in(entry: &mut impl Read) -> io::Result<Option<String>> {
    let bytes = read_up_to(entry, NAME_LIMIT)?;
    let name = bytes
        .strip_suffix(b"\0")
        .and_then(|name| std::str::from_utf8(name).ok());
    let name = name.filter(|name| name.len() as u64 <= NAME_LIMIT);
    Ok(name.map(str::to_owned))
}

/// One byte more than the limit shows that something is larger.
fn read_up_to(entry: &mut impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Maximum number of bytes of a member's name, and of members.
const NAME_LIMIT: u64 = 4096;
const MOST_FILES: usize = 100_000;

/// The name in a header that every reader of tar takes for that of the same plain file; behind a long name it is a part
/// of that, cut anywhere.
fn exact_header(header: &tar::Header, is_cut: bool) -> Result<String, String> {
    let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
    let bytes = header.as_bytes();
    let mut after_name = bytes[..100].iter().skip_while(|byte| **byte != 0);
    // Python joins what follows to the name where there is text, whatever the magic says.
    let rest = if header.as_ustar().is_some() { 500 } else { 345 };
    let known = header.as_ustar().is_some() || header.as_gnu().is_some();
    let fine = header.entry_type() == tar::EntryType::Regular
        && known
        && (is_cut || std::str::from_utf8(&header.path_bytes()).is_ok())
        && after_name.all(|byte| *byte == 0)
        && bytes.iter().skip(rest).all(|byte| *byte == 0)
        && (bytes[100..108] == [0; 8] || header.mode().is_ok_and(|mode| mode & 0o7000 == 0))
        && NUMBERS
            .iter()
            .all(|(at, length)| is_octal(bytes.iter().skip(*at).take(*length)))
        && header.link_name_bytes().is_none_or(|link| link.is_empty());
    if fine {
        Ok(name)
    } else {
        Err(format!(
            "{name:?} is not allowed in a bundle: it is not a plain file"
        ))
    }
}

/// Start and length of a header's numbers: mode, owner, group, size, time, checksum.
const NUMBERS: [(usize, usize); 6] = [(100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (148, 8)];

/// Whether a number is written so that every reader takes it for the same one: octal digits, and then blanks and zeros.
fn is_octal<'a>(field: impl Iterator<Item = &'a u8>) -> bool {
    let mut behind = field.skip_while(|byte| (b'0'..=b'7').contains(*byte));
    behind.all(|byte| matches!(byte, b' ' | 0))
}

/// Whether a path means one place to everyone: no folder is left, nothing is empty, and nothing is spelt otherwise.
fn is_plain(path: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && part.trim() == part && !part.ends_with('.')
    };
    !path.contains('\\') && !path.chars().any(char::is_control) && path.split('/').all(part)
}

/// Behind the last member there is nothing but zeros, and behind the compressed stream there is nothing.
fn ends_here<R: io::BufRead>(
    tar: tar::Archive<io::Take<flate2::bufread::GzDecoder<R>>>,
) -> Result<(), String> {
    let mut rest = tar.into_inner();
    let mut buffer = [0; 8192];
    loop {
        match rest.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) if buffer.iter().take(count).all(|byte| *byte == 0) => {}
            Ok(_) => return Err("it has data after the end of its tar archive".into()),
            Err(error) => return Err(error.to_string()),
        }
    }
    if rest.limit() == 0 {
        return Err("it is larger than a bundle may be".into());
    }
    let mut file = rest.into_inner().into_inner();
    match file.fill_buf() {
        Ok([]) => Ok(()),
        Ok(_) => Err("it has data after the end of the compressed archive".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// No two members would lie in one place, on any file system, and none is the folder of another.
fn one_place_each(contents: &Contents) -> Result<(), String> {
    let mut places: BTreeMap<String, &str> = BTreeMap::new();
    for name in contents.digests.keys() {
        let place: String = name.nfkc().flat_map(char::to_lowercase).collect();
        if let Some(other) = places.insert(place, name) {
            return Err(format!(
                "some file systems treat {other:?} and {name:?} as the same place"
            ));
        }
    }
    for (place, name) in &places {
        let mut folder = place.as_str();
        while let Some((above, _)) = folder.rsplit_once('/') {
            folder = above;
            if let Some(other) = places.get(folder) {
                return Err(format!(
                    "{other:?} is both a file in it and the folder of {name:?}"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_keeps_its_form() {
        let manifest = Manifest {
            version: 1,
            subject: "pkg:generic/tool@1.0".into(),
            run: "run-1".into(),
            verdict: "reproduced".into(),
            created: jiff::Timestamp::UNIX_EPOCH,
            rebuilder: "0.0.9".into(),
            files: Vec::new(),
        };
        let statement = statement(&manifest, Sha256::of("manifest")).unwrap();
        insta::assert_snapshot!("signed_manifest", serde_json::to_string(&statement).unwrap());
    }
}

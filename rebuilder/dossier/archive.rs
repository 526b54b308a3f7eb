//! The archive itself: a tar in a gzip, in one order, with one time and one owner. Written and read as a stream.

use std::fs::File as DiskFile;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::Path;

use flate2::{Compression, GzBuilder};

use super::{
    Content, Contents, DOCUMENT_LIMIT, DOCUMENTS_LIMIT, DossierError, FOLDER, File, Listed, MANIFEST,
    Manifest, OUTPUTS, WHOLE_LIMIT,
};
use crate::artifact::{HashingReader, Sha256};
use crate::attest::Signer;

/// Writes an archive; signs its manifest where there is a key.
pub fn write(
    path: &Path,
    mut files: Vec<File>,
    mut manifest: Manifest,
    signer: Option<&dyn Signer>,
) -> Result<Manifest, DossierError> {
    let failed = |source| DossierError::Write {
        path: path.to_owned(),
        source,
    };
    files.sort_by(|a, b| a.path.cmp(&b.path));
    for file in &files {
        let (sha256, size) = file.content.digest().map_err(failed)?;
        manifest.files.push(Listed {
            path: file.path.clone(),
            what: file.what.to_owned(),
            sha256,
            size,
        });
    }
    let mut text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    text.push(b'\n');
    let mut sums = format!("{}  {MANIFEST}\n", Sha256::of(&text));
    for file in &manifest.files {
        sums.push_str(&format!("{}  {}\n", file.sha256, file.path));
    }
    let mut head = vec![(MANIFEST, text.clone()), ("SHA256SUMS", sums.into_bytes())];
    if let Some(signer) = signer {
        let statement = serde_json::json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": MANIFEST, "digest": {"sha256": Sha256::of(&text)}}],
            "predicateType": "urn:rebuilder:predicate:evidence-bundle:v1",
            "predicate": {"subject": manifest.subject, "run": manifest.run, "verdict": manifest.verdict}
        });
        let bundle = signer.bundle(&serde_json::to_vec(&statement).unwrap_or_default())?;
        let mut bundle = serde_json::to_vec_pretty(&bundle).unwrap_or_default();
        bundle.push(b'\n');
        head.push(("manifest.sigstore.json", bundle));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let pending = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    let gzip = GzBuilder::new()
        .mtime(0)
        .write(BufWriter::new(pending), Compression::default());
    let mut tar = tar::Builder::new(gzip);
    let time = u64::try_from(manifest.created.as_second()).unwrap_or(0);
    let mut append = |name: &str, size: u64, bytes: &mut dyn Read| {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(time);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, format!("{FOLDER}/{name}"), bytes)
    };
    for (name, bytes) in &head {
        append(name, bytes.len() as u64, &mut bytes.as_slice()).map_err(failed)?;
    }
    for (file, listed) in files.iter().zip(&manifest.files) {
        let mut reader = HashingReader::new(file.content.open().map_err(failed)?);
        append(&file.path, listed.size, &mut reader).map_err(failed)?;
        if reader.finish() != listed.sha256 {
            return Err(DossierError::Invalid {
                path: path.to_owned(),
                reason: format!("{} changed while it was written", file.path),
            });
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
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    pending
        .as_file()
        .set_permissions(readable)
        .and_then(|()| pending.as_file().sync_all())
        .map_err(failed)?;
    pending.persist(path).map_err(|error| failed(error.error))?;
    Ok(manifest)
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

/// Reads an archive that someone else may have made.
pub fn read(path: &Path) -> Result<Contents, DossierError> {
    let failed = |source| DossierError::Read {
        path: path.to_owned(),
        source,
    };
    let invalid = |reason: String| DossierError::NotOne {
        path: path.to_owned(),
        reason,
    };
    let broken = |error: io::Error| invalid(error.to_string());
    let gzip = flate2::bufread::MultiGzDecoder::new(BufReader::new(DiskFile::open(path).map_err(failed)?));
    let mut tar = tar::Archive::new(gzip.take(WHOLE_LIMIT));
    let (mut contents, mut held) = (Contents::default(), 0);
    for entry in tar.entries().map_err(failed)? {
        let mut entry = entry.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let plain = entry.header().entry_type().is_file();
        let below = name.strip_prefix(&format!("{FOLDER}/")).filter(|_| plain);
        let below = below
            .ok_or_else(|| invalid(format!("{name:?} has no place in one")))?
            .to_owned();
        let digest = if OUTPUTS.iter().any(|folder| below.starts_with(folder)) {
            Sha256::of_reader(&mut entry).map_err(broken)?.0
        } else {
            let mut bytes = Vec::new();
            entry
                .by_ref()
                .take(DOCUMENT_LIMIT + 1)
                .read_to_end(&mut bytes)
                .map_err(broken)?;
            held += bytes.len() as u64;
            if bytes.len() as u64 > DOCUMENT_LIMIT || held > DOCUMENTS_LIMIT {
                return Err(invalid(format!("{name} has more than a document may have")));
            }
            let digest = Sha256::of(&bytes);
            contents.documents.insert(below.clone(), bytes);
            digest
        };
        if contents.digests.insert(below, digest).is_some() {
            return Err(invalid(format!("{name} stands in it twice")));
        }
    }
    Ok(contents)
}

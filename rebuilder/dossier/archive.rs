//! The archive itself: a tar in a gzip, in one order, with one time and one owner.

use std::collections::BTreeMap;
use std::fs::File as DiskFile;
use std::io::{BufReader, Read as _};
use std::path::Path;

use flate2::{Compression, GzBuilder};

use super::{DossierError, FILE_LIMIT, FOLDER, File, Listed, MANIFEST, Manifest, WHOLE_LIMIT};
use crate::artifact::Sha256;
use crate::attest::Signer;
use crate::store::write_atomically;

/// Writes an archive; signs its manifest where there is a key.
pub fn write(
    path: &Path,
    mut files: Vec<File>,
    mut manifest: Manifest,
    signer: Option<&dyn Signer>,
) -> Result<Manifest, DossierError> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    manifest.files = files
        .iter()
        .map(|file| Listed {
            path: file.path.clone(),
            what: file.what.to_owned(),
            sha256: Sha256::of(&file.bytes),
            size: file.bytes.len() as u64,
        })
        .collect();
    let mut text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    text.push(b'\n');
    let mut sums = format!("{}  {MANIFEST}\n", Sha256::of(&text));
    for file in &manifest.files {
        sums.push_str(&format!("{}  {}\n", file.sha256, file.path));
    }
    let mut head = vec![
        (MANIFEST.to_owned(), text.clone()),
        ("SHA256SUMS".to_owned(), sums.into_bytes()),
    ];
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
        head.push(("manifest.sigstore.json".to_owned(), bundle));
    }
    let all = head
        .into_iter()
        .chain(files.into_iter().map(|file| (file.path, file.bytes)));
    let failed = |source| DossierError::Read {
        path: path.to_owned(),
        source,
    };
    let gzip = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::default());
    let mut tar = tar::Builder::new(gzip);
    let time = u64::try_from(manifest.created.as_second()).unwrap_or(0);
    for (name, bytes) in all {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(time);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, format!("{FOLDER}/{name}"), bytes.as_slice())
            .map_err(failed)?;
    }
    let bytes = tar
        .into_inner()
        .and_then(flate2::write::GzEncoder::finish)
        .map_err(failed)?;
    write_atomically(path, &bytes)?;
    Ok(manifest)
}

/// The files of an archive that someone else may have made, by their paths below its folder.
pub fn read(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, DossierError> {
    let failed = |source| DossierError::Read {
        path: path.to_owned(),
        source,
    };
    let invalid = |reason: String| DossierError::NotOne {
        path: path.to_owned(),
        reason,
    };
    let gzip = flate2::bufread::MultiGzDecoder::new(BufReader::new(DiskFile::open(path).map_err(failed)?));
    let mut tar = tar::Archive::new(gzip.take(WHOLE_LIMIT));
    let mut files = BTreeMap::new();
    for entry in tar.entries().map_err(failed)? {
        let mut entry = entry.map_err(|error| invalid(error.to_string()))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let plain = entry.header().entry_type().is_file();
        let below = name.strip_prefix(&format!("{FOLDER}/")).filter(|_| plain);
        let below = below
            .ok_or_else(|| invalid(format!("{name:?} has no place in one")))?
            .to_owned();
        let mut bytes = Vec::new();
        entry
            .by_ref()
            .take(FILE_LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| invalid(error.to_string()))?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(invalid(format!("{name} has more than {FILE_LIMIT} bytes")));
        }
        if files.insert(below, bytes).is_some() {
            return Err(invalid(format!("{name} stands in it twice")));
        }
    }
    Ok(files)
}

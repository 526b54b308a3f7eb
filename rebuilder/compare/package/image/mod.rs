//! Container images: OCI layouts, and the output of `docker save`. Their files are named by digest, and paired by the
//! role that the manifests give them.

mod unpacked;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read as _};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::{Archive, JsonValue, Located, Package};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::claims::{Claim, Claims, Files};
use crate::compare::finding::Finding;
use crate::compare::format::FormatReader;
use crate::compare::limits::Meter;
use crate::compare::source::Source;

pub(super) static IMAGE: Package = Package {
    recognises,
    // Docker and containerd clean the path of each member, in the image and in its layers.
    unpacks: is_layer,
    cleans_paths: true,
    value: digest,
    roles,
    settle: Some(unpacked::settle),
    ..Package::new("image")
};

/// Whether a tar archive is an OCI layout or the output of `docker save`: it has a folder or a configuration named by
/// digest.
fn recognises(archive: &Archive) -> bool {
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let of_image = |name: &String| {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name.as_str()));
        match folder {
            "" => file.strip_suffix(".json").is_some_and(is_digest),
            "blobs/sha256" => is_digest(file),
            folder => is_digest(folder) && matches!(file, "layer.tar" | "json" | "VERSION"),
        }
    };
    archive.format == "tar" && archive.names.iter().any(of_image)
}

/// Whether an archive in the image may be one of its layers.
fn is_layer(path: &str) -> bool {
    path.starts_with("blobs/") || path.ends_with("/layer.tar")
}

/// Values that are digests: of blobs (`sha256:…`), and of files from `docker save`.
fn digest(located: Located, value: &JsonValue) -> Option<Finding> {
    located.top()?;
    if without_digest(value.released)? != without_digest(value.rebuilt)? {
        return None;
    }
    let mut finding = value
        .finding()
        .because(Cause::Checksum, Confidence::Likely)
        .keyed("digests of other files of the image")
        .following();
    // The unpacked form of a layer is not a file of the image.
    if !value.pointer.contains("/diff_ids/")
        && let (Some(released), Some(rebuilt)) = (blob_of(value.released), blob_of(value.rebuilt))
    {
        finding = finding.claiming(Claims::new(Some(released), Some(rebuilt), Files::Archive));
    }
    Some(finding)
}

/// The file that a digest names: a blob, or the configuration from `docker save`.
fn blob_of(text: &str) -> Option<Claim> {
    if let Some(digest) = text.strip_suffix(".json") {
        return Claim::hex(text, digest);
    }
    let digest = text
        .strip_prefix("sha256:")
        .or_else(|| text.strip_prefix("blobs/sha256/"))?;
    Claim::hex(&format!("blobs/sha256/{digest}"), digest)
}

/// The text without its single SHA-256 digest.
fn without_digest(text: &str) -> Option<String> {
    static DIGEST: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?-u:\b)[0-9a-f]{64}(?-u:\b)").ok());
    let digest = DIGEST.as_ref()?;
    (digest.find_iter(text).count() == 1).then(|| digest.replace(text, "").into_owned())
}

/// The role of each file in the manifests: `manifest 0`, `config`, `layer 3`.
fn roles(format: &dyn FormatReader, source: &Source, meter: &Meter) -> io::Result<HashMap<String, String>> {
    let documents = documents(format, source, meter)?;
    let mut roles = HashMap::new();
    saved(&documents, &mut roles);
    laid_out(&documents, &mut roles);
    Ok(roles)
}

type Documents = BTreeMap<String, Value>;

/// The JSON files of an image, by path.
fn documents(format: &dyn FormatReader, source: &Source, meter: &Meter) -> io::Result<Documents> {
    const LARGEST: u64 = 4 << 20;
    let mut documents = Documents::new();
    format.walk(source, meter, &mut |member| {
        if member.path.starts_with("blobs/") || member.path.ends_with(".json") {
            let mut bytes = Vec::new();
            member.content.take(LARGEST).read_to_end(&mut bytes)?;
            if (bytes.starts_with(b"{") || bytes.starts_with(b"["))
                && let Ok(value) = serde_json::from_slice(&bytes)
            {
                documents.insert(member.path, value);
            }
        }
        Ok(true)
    })?;
    Ok(documents)
}

/// Reads the form of `docker save`: a list of images, each with its files by path.
fn saved(documents: &Documents, roles: &mut HashMap<String, String>) {
    for (number, image) in array(documents.get("manifest.json")).iter().enumerate() {
        if let Some(path) = image.get("Config").and_then(Value::as_str) {
            roles.insert(path.to_owned(), format!("image {number}: config"));
        }
        let layers = array(image.get("Layers")).iter().filter_map(Value::as_str);
        for (layer, path) in layers.enumerate() {
            roles.insert(path.to_owned(), format!("image {number}: layer {layer}"));
            let folder = path.trim_end_matches("/layer.tar");
            for name in ["json", "VERSION", "layer.tar"] {
                let role = format!("image {number}: layer {layer} {name}");
                roles.insert(format!("{folder}/{name}"), role);
            }
        }
    }
}

/// Reads an OCI layout: an index of manifests, each with its configuration and its layers (OCI image specification).
fn laid_out(documents: &Documents, roles: &mut HashMap<String, String>) {
    let index = documents
        .get("index.json")
        .and_then(|index| index.get("manifests"));
    let mut open: Vec<(String, &Value)> = array(index)
        .iter()
        .enumerate()
        .map(|(number, descriptor)| (format!("manifest {number}"), descriptor))
        .collect();
    while let Some((role, descriptor)) = open.pop() {
        let Some(path) = blob(descriptor) else { continue };
        if roles.contains_key(&path) && role.starts_with("manifest") {
            continue;
        }
        if let Some(document) = documents.get(&path) {
            let below = |list: &str, name: &'static str| {
                let list = array(document.get(list)).iter().enumerate();
                list.map(move |(number, below)| (format!("{name} {number}"), below))
            };
            let config = document.get("config").filter(|config| config.is_object());
            let found = below("manifests", "manifest")
                .chain(config.map(|config| ("config".to_owned(), config)))
                .chain(below("layers", "layer"));
            open.extend(found.map(|(name, below)| (format!("{role}: {name}"), below)));
        }
        roles.entry(path).or_insert(role);
    }
}

/// The path of the blob that a descriptor names.
fn blob(descriptor: &Value) -> Option<String> {
    let (algorithm, digest) = descriptor.get("digest")?.as_str()?.split_once(':')?;
    Some(format!("blobs/{algorithm}/{digest}"))
}

fn array(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

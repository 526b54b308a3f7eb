//! Partners for members whose names differ: renamed files, names that hold versions, and the blobs of container
//! images, which are named by digest and known by the role that the image's manifests give them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read as _;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::format::FormatReader;
use super::limits::Meter;
use super::source::Source;
use super::walk::{Later, Row, Walked};
use crate::artifact::Sha256;

/// Pairs what is left alone on both sides, where there is a reason to.
pub(super) fn pair(format: &dyn FormatReader, sides: [&Source; 2], meter: &Meter, walked: &mut Walked) {
    let [old, new] = &mut walked.alone;
    if old.is_empty() || new.is_empty() {
        return;
    }
    let mut found = Vec::new();
    if old.iter().chain(new.iter()).any(|row| is_digest(&row.path)) {
        let roles = sides.map(|side| roles(format, side, meter).unwrap_or_default());
        join(old, new, &mut found, |side, row| {
            roles[side].get(&row.path).cloned()
        });
    }
    join(old, new, &mut found, |_, row| {
        row.sha256().filter(|_| row.size > 0).map(Sha256::to_hex)
    });
    join(old, new, &mut found, |_, row| {
        Some(without_compression(&row.path).to_owned())
    });
    join(old, new, &mut found, |_, row| Some(without_numbers(&row.path)));
    for (released, rebuilt) in found {
        walked.later.push(Later { released, rebuilt });
    }
}

/// Takes out the rows whose keys stand exactly once on both sides.
fn join(
    old: &mut Vec<Row>,
    new: &mut Vec<Row>,
    found: &mut Vec<(Row, Row)>,
    key: impl Fn(usize, &Row) -> Option<String>,
) {
    let once = |side: usize, rows: &[Row]| -> HashMap<String, usize> {
        let mut places: HashMap<String, Option<usize>> = HashMap::new();
        for (place, row) in rows.iter().enumerate() {
            if let Some(key) = key(side, row) {
                places
                    .entry(key)
                    .and_modify(|place| *place = None)
                    .or_insert(Some(place));
            }
        }
        places
            .into_iter()
            .filter_map(|(key, place)| Some((key, place?)))
            .collect()
    };
    let (left, right) = (once(0, old), once(1, new));
    let mut pairs: Vec<(usize, usize)> = left
        .iter()
        .filter_map(|(key, a)| Some((*a, *right.get(key)?)))
        .collect();
    pairs.sort_unstable();
    let take = |rows: &mut Vec<Row>, places: HashSet<usize>| -> HashMap<usize, Row> {
        let mut taken = HashMap::new();
        let mut kept = Vec::new();
        for (place, row) in std::mem::take(rows).into_iter().enumerate() {
            if places.contains(&place) {
                taken.insert(place, row);
            } else {
                kept.push(row);
            }
        }
        *rows = kept;
        taken
    };
    let mut released = take(old, pairs.iter().map(|pair| pair.0).collect());
    let mut rebuilt = take(new, pairs.iter().map(|pair| pair.1).collect());
    for (a, b) in pairs {
        if let (Some(a), Some(b)) = (released.remove(&a), rebuilt.remove(&b)) {
            found.push((a, b));
        }
    }
}

/// The path without the ending that a compressor gives.
pub(super) fn without_compression(path: &str) -> &str {
    const ENDINGS: [&str; 5] = [".gz", ".xz", ".zst", ".bz2", ".lzma"];
    ENDINGS
        .iter()
        .find_map(|ending| path.strip_suffix(ending))
        .unwrap_or(path)
}

fn without_numbers(path: &str) -> String {
    static NUMBERS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[0-9a-f]{16,}|[0-9]+").ok());
    NUMBERS.as_ref().map_or_else(
        || path.to_owned(),
        |numbers| numbers.replace_all(path, "#").into_owned(),
    )
}

/// Whether the name is a digest of the content: a blob of an OCI layout, or a layer of `docker save`.
pub(super) fn is_digest(path: &str) -> bool {
    let parts = path.split(['/', '.']);
    parts
        .into_iter()
        .any(|part| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What the manifests of an image call each file: `manifest 0`, `config`, `layer 3`.
fn roles(
    format: &dyn FormatReader,
    source: &Source,
    meter: &Meter,
) -> std::io::Result<HashMap<String, String>> {
    const LARGEST: u64 = 4 << 20;
    let mut documents: BTreeMap<String, Value> = BTreeMap::new();
    format.walk(source, meter, &mut |member| {
        let wanted = member.path.starts_with("blobs/") || member.path.ends_with(".json");
        if wanted {
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
    let mut roles = HashMap::new();
    // docker save: a list of images, each with its files by path.
    for (number, image) in array(documents.get("manifest.json")).iter().enumerate() {
        if let Some(path) = image["Config"].as_str() {
            roles.insert(path.to_owned(), format!("image {number}: config"));
        }
        for (layer, path) in array(Some(&image["Layers"])).iter().enumerate() {
            if let Some(path) = path.as_str() {
                roles.insert(path.to_owned(), format!("image {number}: layer {layer}"));
                let folder = path.trim_end_matches("/layer.tar");
                for name in ["json", "VERSION", "layer.tar"] {
                    roles.insert(
                        format!("{folder}/{name}"),
                        format!("image {number}: layer {layer} {name}"),
                    );
                }
            }
        }
    }
    let blob = |descriptor: &Value| -> Option<String> {
        let (algorithm, digest) = descriptor["digest"].as_str()?.split_once(':')?;
        Some(format!("blobs/{algorithm}/{digest}"))
    };
    let mut open: Vec<(String, Value)> = array(documents.get("index.json").map(|index| &index["manifests"]))
        .iter()
        .enumerate()
        .map(|(number, descriptor)| (format!("manifest {number}"), descriptor.clone()))
        .collect();
    while let Some((role, descriptor)) = open.pop() {
        let Some(path) = blob(&descriptor) else { continue };
        if roles.contains_key(&path) && role.starts_with("manifest") {
            continue;
        }
        if let Some(document) = documents.get(&path) {
            for (number, below) in array(Some(&document["manifests"])).iter().enumerate() {
                open.push((format!("{role}: manifest {number}"), below.clone()));
            }
            if document["config"].is_object() {
                open.push((format!("{role}: config"), document["config"].clone()));
            }
            for (number, layer) in array(Some(&document["layers"])).iter().enumerate() {
                open.push((format!("{role}: layer {number}"), layer.clone()));
            }
        }
        roles.entry(path).or_insert(role);
    }
    Ok(roles)
}

fn array(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

//! Finds partners for members with different names: renamed files, names that contain versions, and files that are
//! named by digest and have a role in a manifest.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use regex::Regex;

use super::both::{Both, Which};
use super::format::FormatReader;
use super::limits::Meter;
use super::package::Within;
use super::row::Row;
use super::source::{Codec, Source};
use super::walk::{Later, Walked};
use crate::artifact::Sha256;

/// Pairs members without a partner, if there is a reason to.
pub(super) fn pair(
    format: &dyn FormatReader,
    sides: Both<&Source>,
    meter: &Meter,
    within: Within,
    walked: &mut Walked,
) {
    let Both {
        released: old,
        rebuilt: new,
    } = &mut walked.alone;
    if old.is_empty() || new.is_empty() {
        return;
    }
    let mut found = Vec::new();
    if old.iter().chain(new.iter()).any(|row| is_digest(&row.path)) {
        let roles = sides.map(|side| within.roles(format, side, meter).unwrap_or_default());
        join(old, new, &mut found, |which, row| {
            roles.of(which).get(&row.path).cloned()
        });
    }
    join(old, new, &mut found, |_, row| {
        row.sha256().filter(|_| row.size > 0).map(Sha256::to_hex)
    });
    join(old, new, &mut found, |_, row| {
        Some(without_compression(&row.path).to_owned())
    });
    join(old, new, &mut found, |_, row| without_digest(&row.path));
    join(old, new, &mut found, |_, row| Some(without_numbers(&row.path)));
    for (released, rebuilt) in found {
        walked.later.push(Later { released, rebuilt });
    }
}

/// Removes and pairs the rows whose keys occur exactly once on each side.
fn join(
    old: &mut Vec<Row>,
    new: &mut Vec<Row>,
    found: &mut Vec<(Row, Row)>,
    key: impl Fn(Which, &Row) -> Option<String>,
) {
    let once = |which: Which, rows: &[Row]| -> HashMap<String, usize> {
        let mut places: HashMap<String, Option<usize>> = HashMap::new();
        for (place, row) in rows.iter().enumerate() {
            if let Some(key) = key(which, row) {
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
    let (left, right) = (once(Which::Released, old), once(Which::Rebuilt, new));
    let mut pairs: Vec<(usize, usize)> = left
        .iter()
        .filter_map(|(key, released)| Some((*released, *right.get(key)?)))
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
    for (old, new) in pairs {
        if let (Some(old), Some(new)) = (released.remove(&old), rebuilt.remove(&new)) {
            found.push((old, new));
        }
    }
}

/// The path without the suffix of a compressor.
pub(super) fn without_compression(path: &str) -> &str {
    Codec::ALL
        .into_iter()
        .find_map(|codec| path.strip_suffix(codec.ending()))
        .unwrap_or(path)
}

/// The path without what may be the beginning of a digest; `None` if it has no such part, or several.
fn without_digest(path: &str) -> Option<String> {
    static DIGEST: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?-u:\b)[0-9a-f]{8,64}(?-u:\b)").ok());
    let digest = DIGEST.as_ref()?;
    (digest.find_iter(path).count() == 1).then(|| digest.replace(path, "#").into_owned())
}

fn without_numbers(path: &str) -> String {
    static NUMBERS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[0-9a-f]{16,}|[0-9]+").ok());
    NUMBERS.as_ref().map_or_else(
        || path.to_owned(),
        |numbers| numbers.replace_all(path, "#").into_owned(),
    )
}

/// Whether the name is a digest of the content: a blob of an OCI layout, or a layer from `docker save`.
pub(super) fn is_digest(path: &str) -> bool {
    let parts = path.split(['/', '.']);
    parts
        .into_iter()
        .any(|part| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

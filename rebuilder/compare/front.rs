//! Members that readers expect before all others, because they look for them by position: the first in a Debian
//! package, in a jar that is read as a stream, or in an EPUB.

use super::both::Both;
use super::finding::Finding;
use super::package;
use super::stored::{Fields, Type, type_of};

/// Maximum number of such members that are remembered.
const MOST: usize = 64;

/// One side's members with an expected position, and which member is wrongly before each.
#[derive(Debug, Default)]
pub(super) struct Front {
    found: Vec<(String, Option<String>)>,
    highest: u8,
    /// The first member without an expected position.
    other: Option<String>,
}

impl Front {
    /// Adds the next member in stored order.
    pub fn add(&mut self, format: &str, path: &str, fields: &Fields) {
        if type_of(fields) == Some(Type::Header) || self.found.len() >= MOST {
            return;
        }
        let Some(rank) = package::placed(format, path).and_then(|placed| placed.rank) else {
            self.other.get_or_insert_with(|| path.to_owned());
            return;
        };
        let before = self.other.clone().or_else(|| {
            let last = self.found.last().filter(|_| rank < self.highest);
            last.map(|(path, _)| path.clone())
        });
        self.highest = self.highest.max(rank);
        self.found.push((path.to_owned(), before));
    }
}

/// Members that are in the right position on one side only.
pub(super) fn findings(sides: Both<&Front>) -> Vec<Finding> {
    let told = |before: &Option<String>| match before {
        Some(other) => format!("behind {other}"),
        None => "in its place".to_owned(),
    };
    let pairs = sides.released.found.iter().filter_map(|(path, released)| {
        let (_, rebuilt) = sides.rebuilt.found.iter().find(|(other, _)| other == path)?;
        let place = format!("place of {path}");
        let folder_of_found = |side: &Front| {
            let folder = format!("{}/", path.trim_end_matches('/')).to_ascii_lowercase();
            let below = |other: &str| other.to_ascii_lowercase().starts_with(&folder);
            side.found
                .iter()
                .any(|(other, before)| before.is_none() && below(other))
        };
        // The position of a folder does not matter if its content that readers look for is in the right position.
        if sides.all(folder_of_found) {
            return None;
        }
        (released.is_some() != rebuilt.is_some()).then(|| Finding::new(place, told(released), told(rebuilt)))
    });
    pairs.collect()
}

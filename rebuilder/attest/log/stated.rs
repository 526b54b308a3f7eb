//! What a worker states of its run, in a form that fits into a line.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::is_plain;
use crate::artifact::Sha256;
use crate::artifact::serialise::{self, SerialiseError};

/// What one worker states of its run, in short: enough to tell later in what another worker's run was otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// Digest of everything below, whether it is listed or not.
    pub all: Option<Sha256>,
    /// Each value by its name, or the digest of a long one; nothing where the list would be too long for a line.
    pub values: BTreeMap<String, String>,
}

impl Stated {
    /// Maximum number of bytes of all names and values that are listed.
    const LISTED: usize = 64 << 10;
    /// Maximum length of a value that is kept as it is.
    const VALUE: usize = 128;

    /// From names and values.
    pub fn of(values: BTreeMap<String, String>) -> Result<Self, SerialiseError> {
        let all = serialise::canonical("what the worker states", &values)?;
        let all = Some(Sha256::of(all));
        let short = |text: String| {
            let fits = text.len() <= Self::VALUE && is_plain(&text);
            if fits {
                text
            } else {
                format!("sha256:{}", Sha256::of(text))
            }
        };
        let mut listed = BTreeMap::new();
        let mut size = 0_usize;
        for (name, value) in values {
            let (name, value) = (short(name), short(value));
            // What JSON adds to each, at the most.
            size = [name.len(), value.len(), 8]
                .into_iter()
                .fold(size, usize::saturating_add);
            listed.insert(name, value);
        }
        if size > Self::LISTED {
            listed = BTreeMap::new();
        }
        Ok(Self { all, values: listed })
    }

    /// Names of what differs between two; none where one of them has no list.
    pub fn differing(&self, other: &Self) -> Option<Vec<String>> {
        if self.all.is_some() && self.all == other.all {
            return Some(Vec::new());
        }
        if self.values.is_empty() || other.values.is_empty() {
            return None;
        }
        let names: BTreeSet<_> = self.values.keys().chain(other.values.keys()).collect();
        let differs = |name: &&&String| self.values.get(**name) != other.values.get(**name);
        Some(names.iter().filter(differs).map(|name| (*name).clone()).collect())
    }
}

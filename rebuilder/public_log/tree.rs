//! The Merkle tree (RFC 6962, 2.1) as tiles show it: its growing edge, and roots and proofs out of tiles.
//!
//! Hashes and the checks of proofs are sigstore-merkle's.

use std::collections::BTreeMap;

use sigstore_merkle::{hash_children, hash_leaf};
use sigstore_verify::types::Sha256Hash;

use super::tile::{Tile, WIDTH, hashes_at};
use crate::artifact::Sha256;

/// The hashes of one tile.
pub type Row = Vec<Sha256Hash>;

/// Root of a log without entries.
pub fn empty_root() -> Sha256Hash {
    Sha256Hash::new(*Sha256::of("").as_bytes())
}

/// Root of a full subtree, whose leaves are a power of two.
fn full_root(leaves: &[Sha256Hash]) -> Option<Sha256Hash> {
    let mut row = leaves.to_vec();
    while row.len() > 1 {
        let (pairs, _) = row.as_chunks::<2>();
        row = pairs
            .iter()
            .map(|[left, right]| hash_children(left, right))
            .collect();
    }
    row.first().copied()
}

/// The end of a growing log: for each level the hashes that do not fill a tile yet.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    size: u64,
    rows: Vec<Row>,
}

impl Edge {
    /// The edge of a log with `size` entries; `rows` has the hashes of its last tiles, level by level.
    pub fn new(size: u64, rows: Vec<Row>) -> Self {
        Self { size, rows }
    }

    /// Entries so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes at a level that do not fill a tile.
    pub fn row(&self, level: u8) -> &[Sha256Hash] {
        self.rows.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }

    /// Adds an entry; returns the tiles that are full now.
    pub fn push(&mut self, entry: &[u8]) -> Vec<(Tile, Row)> {
        self.size = self.size.saturating_add(1);
        let mut filled = Vec::new();
        let mut carried = Some(hash_leaf(entry));
        for level in 0_u8.. {
            let Some(hash) = carried.take() else { break };
            if self.rows.len() <= usize::from(level) {
                self.rows.push(Row::new());
            }
            let Some(row) = self.rows.get_mut(usize::from(level)) else {
                break;
            };
            row.push(hash);
            if row.len() as u64 == WIDTH {
                let row = std::mem::take(row);
                carried = full_root(&row);
                let index = hashes_at(level, self.size) / WIDTH;
                let (index, width) = (index.saturating_sub(1), WIDTH);
                filled.push((Tile { level, index, width }, row));
            }
        }
        filled
    }

    /// Root of the tree.
    pub fn root(&self) -> Sha256Hash {
        // From right to left: what is at a lower level stands to the right.
        let mut right = None;
        for row in &self.rows {
            let mut rest = row.as_slice();
            while !rest.is_empty() {
                let last = 1_usize << rest.len().trailing_zeros();
                let (before, subtree) = rest.split_at(rest.len().saturating_sub(last));
                rest = before;
                if let Some(left) = full_root(subtree) {
                    right = Some(right.map_or(left, |right| hash_children(&left, &right)));
                }
            }
        }
        right.unwrap_or_else(empty_root)
    }
}

/// Tiles of a log of a known size, as far as they were read.
#[derive(Debug, Clone)]
pub struct Tiles {
    size: u64,
    rows: BTreeMap<(u8, u64), Row>,
}

/// A tile that must be read before something can be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed(pub Tile);

impl Tiles {
    pub fn new(size: u64) -> Self {
        let rows = BTreeMap::new();
        Self { size, rows }
    }

    /// Takes what a tile has.
    pub fn insert(&mut self, tile: Tile, row: Row) {
        self.rows.insert((tile.level, tile.index), row);
    }

    fn row(&self, level: u8, index: u64) -> Result<&Row, Needed> {
        let width = WIDTH;
        let tile = Tile::of(level, index, self.size).unwrap_or(Tile { level, index, width });
        self.rows.get(&(level, index)).ok_or(Needed(tile))
    }

    /// Root of the full subtree of 2^`height` leaves that is the `index`th of its height.
    fn subtree(&self, height: u32, index: u64) -> Result<Sha256Hash, Needed> {
        let level = u8::try_from(height / 8).unwrap_or(u8::MAX);
        let leaves = 1_u64 << (height % 8);
        let first = index.saturating_mul(leaves);
        let row = self.row(level, first / WIDTH)?;
        let hashes = row.iter().skip(usize::try_from(first % WIDTH).unwrap_or(0));
        let hashes: Row = hashes
            .take(usize::try_from(leaves).unwrap_or(0))
            .copied()
            .collect();
        // A row has the width of its tile, so nothing is missing of a subtree within the log.
        Ok(full_root(&hashes).unwrap_or_else(empty_root))
    }

    /// Root of the entries from `from` up to `to`; `from` is a multiple of the largest power of two that is smaller.
    fn range(&self, from: u64, to: u64) -> Result<Sha256Hash, Needed> {
        let size = to.saturating_sub(from);
        if size == 0 {
            return Ok(empty_root());
        }
        if size.is_power_of_two() {
            let height = size.trailing_zeros();
            return self.subtree(height, from >> height);
        }
        let middle = from.saturating_add(split(size));
        Ok(hash_children(
            &self.range(from, middle)?,
            &self.range(middle, to)?,
        ))
    }

    /// Root of the first `size` entries.
    pub fn root(&self, size: u64) -> Result<Sha256Hash, Needed> {
        self.range(0, size)
    }

    /// The hashes that prove that an entry is in the log (RFC 6962, 2.1.1).
    pub fn inclusion(&self, index: u64) -> Result<Row, Needed> {
        let (mut from, mut to, mut proof) = (0_u64, self.size, Row::new());
        while to.saturating_sub(from) > 1 {
            let middle = from.saturating_add(split(to.saturating_sub(from)));
            if index < middle {
                proof.push(self.range(middle, to)?);
                to = middle;
            } else {
                proof.push(self.range(from, middle)?);
                from = middle;
            }
        }
        proof.reverse();
        Ok(proof)
    }

    /// The hashes that prove that the log begins with its first `size` entries (RFC 6962, 2.1.2); none for no entries.
    pub fn consistency(&self, size: u64) -> Result<Row, Needed> {
        let (mut from, mut to, mut proof) = (0_u64, self.size, Row::new());
        if size == 0 || size >= self.size {
            return Ok(proof);
        }
        while size < to {
            let middle = from.saturating_add(split(to.saturating_sub(from)));
            if size <= middle {
                proof.push(self.range(middle, to)?);
                to = middle;
            } else {
                proof.push(self.range(from, middle)?);
                from = middle;
            }
        }
        // The verifier knows the old root; any other subtree in which the walk ends is told.
        if from > 0 {
            proof.push(self.range(from, to)?);
        }
        proof.reverse();
        Ok(proof)
    }

    /// The edge of the first `size` entries.
    pub fn edge(&self, size: u64) -> Result<Edge, Needed> {
        let mut rows = Vec::new();
        for tile in Tile::edge(size) {
            rows.resize(usize::from(tile.level), Row::new());
            let row = self.row(tile.level, tile.index)?;
            let width = usize::try_from(tile.width).unwrap_or(0);
            rows.push(row.iter().take(width).copied().collect());
        }
        Ok(Edge::new(size, rows))
    }
}

/// The largest power of two that is smaller than `size`, which is at least 2.
fn split(size: u64) -> u64 {
    let below = size.saturating_sub(1).max(1);
    1 << below.ilog2()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

    use sigstore_merkle::{verify_consistency_proof, verify_inclusion_proof};

    use super::*;

    /// The root as RFC 6962 defines it.
    fn defined(leaves: &[Vec<u8>]) -> Sha256Hash {
        match leaves {
            [] => empty_root(),
            [one] => hash_leaf(one),
            _ => {
                let (left, right) = leaves.split_at(usize::try_from(split(leaves.len() as u64)).unwrap());
                hash_children(&defined(left), &defined(right))
            }
        }
    }

    fn leaves(count: u64) -> Vec<Vec<u8>> {
        (0..count).map(|number| number.to_string().into_bytes()).collect()
    }

    /// A log, and all of its tiles.
    fn grown(leaves: &[Vec<u8>]) -> (Edge, Tiles) {
        let mut edge = Edge::default();
        let mut tiles = Tiles::new(leaves.len() as u64);
        for leaf in leaves {
            for (tile, row) in edge.push(leaf) {
                tiles.insert(tile, row);
            }
        }
        for tile in Tile::edge(edge.size()) {
            assert_eq!(edge.row(tile.level).len() as u64, tile.width);
            tiles.insert(tile, edge.row(tile.level).to_vec());
        }
        (edge, tiles)
    }

    #[test]
    fn roots_are_those_of_the_definition() {
        for size in [0, 1, 2, 3, 7, 8, 255, 256, 257, 511, 513, 1000, 65_536, 66_000] {
            let leaves = leaves(size);
            let (edge, tiles) = grown(&leaves);
            assert_eq!(edge.root(), defined(&leaves), "{size}");
            assert_eq!(tiles.root(size), Ok(edge.root()), "{size}");
            for earlier in [0, 1, size / 3, size / 2, size.saturating_sub(1)] {
                let first = &leaves[..usize::try_from(earlier.min(size)).unwrap()];
                let again = tiles.edge(first.len() as u64).unwrap();
                assert_eq!(again.root(), defined(first), "{earlier} of {size}");
            }
        }
    }

    #[test]
    fn every_proof_is_the_one_that_verifiers_expect() {
        for size in [1, 2, 3, 5, 8, 100, 256, 257, 700] {
            let leaves = leaves(size);
            let (edge, tiles) = grown(&leaves);
            for index in 0..size {
                let proof = tiles.inclusion(index).unwrap();
                let leaf = hash_leaf(&leaves[usize::try_from(index).unwrap()]);
                verify_inclusion_proof(&leaf, index, size, &proof, &edge.root()).unwrap();
            }
            for old in 0..=size {
                let proof = tiles.consistency(old).unwrap();
                let root = tiles.root(old).unwrap();
                verify_consistency_proof(old, size, &proof, &root, &edge.root())
                    .unwrap_or_else(|error| panic!("{old} of {size}: {error}"));
            }
        }
    }

    #[test]
    fn what_was_not_read_is_named() {
        let tiles = Tiles::new(70_000);
        let tile = Tile {
            level: 2,
            index: 0,
            width: 1,
        };
        assert_eq!(tiles.root(65_536), Err(Needed(tile)));
    }
}

//! Where hashes and entries lie: tiles and entry bundles of c2sp.org/tlog-tiles, and their paths.

use sigstore_verify::types::Sha256Hash;

use super::tree::Row;

/// Hashes in a full tile, and entries in a full bundle.
pub const WIDTH: u64 = 256;
/// Bytes of one hash.
const HASH: usize = 32;
/// Maximum length of an entry: bundles have lengths of two bytes.
pub const LONGEST_ENTRY: usize = u16::MAX as usize;
/// Maximum number of bytes of a tile, and of a bundle.
pub const TILE_LIMIT: u64 = WIDTH * HASH as u64;
pub const BUNDLE_LIMIT: u64 = WIDTH * (2 + LONGEST_ENTRY as u64);

/// A tile: its level, its place there, and how many hashes it has, 1 to 256. A bundle is named by its tile at level 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    pub level: u8,
    pub index: u64,
    pub width: u64,
}

/// How many hashes a level has in a log of this size.
pub fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level).saturating_mul(8)).unwrap_or(0)
}

impl Tile {
    /// The tile at this place as it is in a log of `size` entries; `None` if the log has nothing there.
    pub fn of(level: u8, index: u64, size: u64) -> Option<Self> {
        let before = index.checked_mul(WIDTH)?;
        let width = hashes_at(level, size).checked_sub(before)?.min(WIDTH);
        (width > 0).then_some(Self { level, index, width })
    }

    /// The last tiles of a log, one for each level that ends within a tile.
    pub fn edge(size: u64) -> impl Iterator<Item = Self> {
        (0..8).filter_map(move |level| {
            let hashes = hashes_at(level, size);
            let width = hashes % WIDTH;
            let index = hashes / WIDTH;
            (width > 0).then_some(Self { level, index, width })
        })
    }

    /// The same tile when nothing more fits into it.
    pub fn full(self) -> Self {
        Self { width: WIDTH, ..self }
    }

    pub fn is_full(self) -> bool {
        self.width == WIDTH
    }

    /// `tile/<L>/<N>[.p/<W>]`.
    pub fn path(self) -> String {
        format!("tile/{}/{}", self.level, self.place())
    }

    /// `tile/entries/<N>[.p/<W>]`.
    pub fn bundle_path(self) -> String {
        format!("tile/entries/{}", self.place())
    }

    fn place(self) -> String {
        let mut parts = vec![format!("{:03}", self.index % 1000)];
        let mut rest = self.index / 1000;
        while rest > 0 {
            parts.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        parts.reverse();
        let mut path = parts.join("/");
        if !self.is_full() {
            path.push_str(&format!(".p/{}", self.width));
        }
        path
    }
}

/// The bytes of a tile.
pub fn write_row(row: &[Sha256Hash]) -> Vec<u8> {
    row.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The hashes of a tile; `None` if there are not exactly `width`.
pub fn read_row(bytes: &[u8], width: u64) -> Option<Row> {
    let (hashes, rest) = bytes.as_chunks::<HASH>();
    let fits = rest.is_empty() && hashes.len() as u64 == width;
    fits.then(|| hashes.iter().copied().map(Sha256Hash::new).collect())
}

/// Adds an entry to a bundle; `None` if it is too long.
pub fn add_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Option<()> {
    let length = u16::try_from(entry.len()).ok()?;
    bundle.extend(length.to_be_bytes());
    bundle.extend(entry);
    Some(())
}

/// The entries of a bundle; `None` if there are not exactly `width`, or bytes are left over.
pub fn read_bundle(mut bytes: &[u8], width: u64) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    for _ in 0..width {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bytes = rest;
    }
    bytes.is_empty().then_some(entries)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let table = [
            (0, 0, 256, "tile/0/000", "tile/entries/000"),
            (0, 273, 112, "tile/0/273.p/112", "tile/entries/273.p/112"),
            (
                1,
                1_234_067,
                256,
                "tile/1/x001/x234/067",
                "tile/entries/x001/x234/067",
            ),
            (2, 1000, 1, "tile/2/x001/000.p/1", "tile/entries/x001/000.p/1"),
        ];
        for (level, index, width, path, bundle) in table {
            let tile = Tile { level, index, width };
            assert_eq!((tile.path(), tile.bundle_path()), (path.into(), bundle.into()));
        }
    }

    #[test]
    fn a_size_has_the_tiles_of_the_specification() {
        // The specification's own example, and its remark on 256.
        let tile = |level, index, width| Tile { level, index, width };
        let edge = |size| Tile::edge(size).collect::<Vec<_>>();
        assert_eq!(edge(70_000), [tile(0, 273, 112), tile(1, 1, 17), tile(2, 0, 1)]);
        assert_eq!(edge(256), [tile(1, 0, 1)]);
        assert_eq!(edge(0), []);
        assert_eq!(Tile::of(0, 272, 70_000), Some(tile(0, 272, 256)));
        assert_eq!(Tile::of(0, 274, 70_000), None);
        assert_eq!(Tile::of(7, 0, u64::MAX).map(|tile| tile.width), Some(255));
        assert_eq!(Tile::of(9, 0, u64::MAX), None);
    }

    #[test]
    fn bundles_are_read_whole_or_not_at_all() {
        let mut bundle = Vec::new();
        let longest = vec![7; LONGEST_ENTRY];
        for entry in [&b""[..], b"one", &longest] {
            add_entry(&mut bundle, entry).unwrap();
        }
        assert_eq!(read_bundle(&bundle, 3).unwrap(), [&b""[..], b"one", &longest]);
        assert!(add_entry(&mut bundle, &vec![0; LONGEST_ENTRY + 1]).is_none());
        for (bytes, width) in [
            (&bundle[..], 2),
            (&bundle[..], 4),
            (&bundle[..bundle.len() - 1], 3),
            (&b"\x00"[..], 1),
        ] {
            assert!(read_bundle(bytes, width).is_none(), "{width}");
        }
        assert!(read_row(&[0; 63], 2).is_none());
        assert!(read_row(&[0; 64], 1).is_none());
    }
}

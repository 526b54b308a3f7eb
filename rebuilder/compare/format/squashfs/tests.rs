//! Small images, made byte by byte, and the expected results of comparing them.

use crate::compare::{Cause, Options, Outcome, compare_bytes};

/// The variable parts of an image with one uncompressed file in the root.
#[derive(Clone)]
struct Made {
    created: u32,
    time: u32,
    mode: u16,
    owner: u32,
    name: &'static [u8],
    contents: &'static [u8],
    /// The number of the file's inode in the folder.
    number: u32,
    /// The number of the root's parent.
    parent: u32,
    /// Further inodes after the root's.
    more: &'static [u8],
    /// Bytes after the names in the root.
    behind: &'static [u8],
    /// Bytes between the file and the tables.
    between: &'static [u8],
    /// Bytes after the image.
    after: &'static [u8],
}

const PLAIN: Made = Made {
    created: 1,
    time: 1,
    mode: 0o644,
    owner: 0,
    name: b"file.txt",
    contents: b"good\n",
    number: 1,
    parent: 3,
    more: b"",
    behind: b"",
    between: b"",
    after: b"\0\0",
};

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

/// An uncompressed metadata block.
fn block(bytes: &[u8]) -> Vec<u8> {
    let header = u16::try_from(bytes.len()).unwrap() | 0x8000;
    [&header.to_le_bytes(), bytes].concat()
}

fn halves(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn longs(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

impl Made {
    fn image(&self) -> Vec<u8> {
        const PLAIN_BLOCK: u32 = 1 << 24;
        let listing = [
            words(&[0, 0, self.number]),
            halves(&[0, 0, 2, u16::try_from(self.name.len() - 1).unwrap()]),
            self.name.to_vec(),
        ]
        .concat();
        let file = [
            halves(&[2, self.mode, 0, 0]),
            words(&[self.time, 1, 96, u32::MAX, 0, length(self.contents)]),
            words(&[length(self.contents) | PLAIN_BLOCK]),
        ]
        .concat();
        let root = [
            halves(&[1, 0o755, 0, 0]),
            words(&[1, 2, 0, 2]),
            halves(&[u16::try_from(listing.len() + 3).unwrap(), 0]),
            words(&[self.parent]),
        ]
        .concat();
        let inodes = block(&[&file, &root, self.more].concat());
        let folders = block(&[&listing, self.behind].concat());
        let owner = block(&words(&[self.owner]));
        let at = |parts: &[&[u8]]| 96 + parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let inode_table = at(&[self.contents, self.between]);
        let folder_table = inode_table + inodes.len() as u64;
        let owners = folder_table + folders.len() as u64;
        let owner_table = owners + owner.len() as u64;
        let end = owner_table + 8;
        [
            b"hsqs".to_vec(),
            words(&[2, self.created, 1 << 17, 0]),
            halves(&[1, 17, 0, 1, 4, 0]),
            longs(&[
                file.len() as u64,
                end,
                owner_table,
                u64::MAX,
                inode_table,
                folder_table,
            ]),
            longs(&[u64::MAX, u64::MAX]),
            self.contents.to_vec(),
            self.between.to_vec(),
            inodes,
            folders,
            owner,
            longs(&[owners]),
            self.after.to_vec(),
        ]
        .concat()
    }
}

#[test]
fn each_difference_has_its_cause() {
    let cases = [
        (Made { created: 2, ..PLAIN }, Cause::Timestamp),
        (Made { time: 2, ..PLAIN }, Cause::Timestamp),
        (Made { mode: 0o600, ..PLAIN }, Cause::Permissions),
        (Made { owner: 1000, ..PLAIN }, Cause::Ownership),
        (
            Made {
                after: b"\0\0\0\0",
                ..PLAIN
            },
            Cause::ArchiveDialect,
        ),
        (
            Made {
                between: b"\0\0",
                ..PLAIN
            },
            Cause::Compression,
        ),
        (
            Made {
                contents: b"evil\n",
                ..PLAIN
            },
            Cause::Content,
        ),
        (
            Made {
                name: b"filf.txt",
                ..PLAIN
            },
            Cause::Content,
        ),
        (
            Made {
                between: b"hidden",
                ..PLAIN
            },
            Cause::Content,
        ),
        (
            Made {
                after: b"\0\0hidden",
                ..PLAIN
            },
            Cause::Content,
        ),
    ];
    for (changed, cause) in cases {
        let (plain, changed) = (PLAIN.image(), changed.image());
        let found = compare_bytes("x.squashfs", &plain, &changed, &Options::default());
        let causes: Vec<_> = found.causes.iter().map(|cause| cause.cause).collect();
        assert_eq!(found.outcome, Outcome::Different, "{cause:?}");
        assert_eq!(found.causes[0].cause, cause, "{causes:?}");
    }
}

#[test]
fn an_image_that_contradicts_itself_is_not_read() {
    let cases = [
        Made { name: b"..", ..PLAIN },
        Made {
            name: b"a/b",
            ..PLAIN
        },
        Made { number: 2, ..PLAIN },
        Made { parent: 1, ..PLAIN },
        Made {
            more: b"\x06\0\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\x01\0\0\0",
            ..PLAIN
        },
        Made {
            behind: b"hidden",
            ..PLAIN
        },
    ];
    for changed in cases {
        let (plain, changed) = (PLAIN.image(), changed.image());
        let found = compare_bytes("x.squashfs", &plain, &changed, &Options::default());
        let about = format!("{:?}", found.causes);
        assert_eq!(found.outcome, Outcome::Different, "{about}");
        assert!(
            found.causes.iter().any(|cause| cause.cause == Cause::Unread),
            "{about}"
        );
    }
}

#[test]
fn an_image_that_is_changed_or_cut_anywhere_is_never_the_same() {
    let plain = PLAIN.image();
    for at in 0..plain.len() {
        for flip in [1, 0x80] {
            let mut changed = plain.clone();
            changed[at] ^= flip;
            let found = compare_bytes("x.squashfs", &plain, &changed, &Options::default());
            assert_eq!(found.outcome, Outcome::Different, "byte {at}");
        }
        let found = compare_bytes("x.squashfs", &plain, &plain[..at], &Options::default());
        assert_eq!(found.outcome, Outcome::Different, "cut at {at}");
    }
}

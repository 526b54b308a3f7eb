//! Small disc images, made byte by byte, and the expected results of comparing them.

use crate::compare::{Cause, Options, Outcome, compare_bytes};

const SECTOR: usize = 2048;

/// The variable parts of an image.
#[derive(Clone)]
struct Made {
    created: &'static [u8; 16],
    volume: &'static [u8],
    /// Seven bytes of the file's time, its mode, its name and its contents.
    time: [u8; 7],
    mode: u32,
    name: &'static [u8],
    contents: &'static [u8],
    /// Block of the file.
    block: u32,
    /// The root's block in the M path table.
    table: u32,
    sectors: usize,
}

const PLAIN: Made = Made {
    created: b"2024010203040500",
    volume: b"VOLUME                          ",
    time: [124, 1, 2, 3, 4, 5, 0],
    mode: 0o100_644,
    name: b"file.txt",
    contents: b"good\n",
    block: 21,
    table: 20,
    sectors: 24,
};

fn both(number: u32) -> Vec<u8> {
    [number.to_le_bytes(), number.to_be_bytes()].concat()
}

fn record(block: u32, size: usize, time: [u8; 7], flags: u8, name: &[u8], system_use: &[u8]) -> Vec<u8> {
    let size = u32::try_from(size).unwrap();
    let mut record = [&[0, 0][..], &both(block), &both(size), &time, &[flags, 0, 0]].concat();
    record.extend([1, 0, 0, 1, u8::try_from(name.len()).unwrap()]);
    record.extend(name);
    if name.len().is_multiple_of(2) {
        record.push(0);
    }
    record.extend(system_use);
    record[0] = u8::try_from(record.len()).unwrap();
    record
}

fn entry(mark: &[u8], data: &[u8]) -> Vec<u8> {
    [mark, &[u8::try_from(data.len() + 4).unwrap(), 1], data].concat()
}

impl Made {
    fn image(&self) -> Vec<u8> {
        let mut image = vec![0; self.sectors * SECTOR];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        let folder_time = [124, 1, 2, 3, 4, 5, 0];
        let root = record(20, SECTOR, folder_time, 2, &[0], &[]);
        let pvd = 16 * SECTOR;
        put(pvd, b"\x01CD001\x01");
        put(pvd + 40, self.volume);
        put(pvd + 80, &both(u32::try_from(self.sectors).unwrap()));
        put(pvd + 120, &[1, 0, 0, 1, 1, 0, 0, 1, 0, 8, 8, 0]);
        put(pvd + 132, &both(10));
        put(pvd + 140, &18_u32.to_le_bytes());
        put(pvd + 148, &19_u32.to_be_bytes());
        put(pvd + 156, &root);
        put(pvd + 813, self.created);
        for at in [830, 847, 864] {
            put(pvd + at, &[b'0'; 16]);
        }
        put(17 * SECTOR, b"\xffCD001\x01");
        put(18 * SECTOR, &[1, 0, 20, 0, 0, 0, 1, 0, 0, 0]);
        put(
            19 * SECTOR,
            &[&[1, 0][..], &self.table.to_be_bytes(), &[0, 1, 0, 0]].concat(),
        );
        let own = entry(b"SP", &[0xbe, 0xef, 0]);
        let posix = [both(self.mode), both(1), both(0), both(0)].concat();
        let name = [&[0], self.name].concat();
        let rock_ridge = [entry(b"PX", &posix), entry(b"NM", &name)].concat();
        let records = [
            record(20, SECTOR, folder_time, 2, &[0], &own),
            record(20, SECTOR, folder_time, 2, &[1], &[]),
            record(
                self.block,
                self.contents.len(),
                self.time,
                0,
                b"FILE.TXT;1",
                &rock_ridge,
            ),
        ];
        put(20 * SECTOR, &records.concat());
        put(self.block as usize * SECTOR, self.contents);
        image
    }
}

fn check(name: &str, released: &[u8], rebuilt: &[u8], cause: Cause, place: &str) {
    for (one, other) in [(released, rebuilt), (rebuilt, released)] {
        let found = compare_bytes("x.iso", one, other, &Options::default());
        assert_eq!(found.outcome, Outcome::Different, "{name}");
        let first = &found.causes[0];
        assert_eq!(first.cause, cause, "{name}: {first:?}");
        let example = &first.example;
        let shown = format!(
            "{}: {} {} {}",
            example.path, example.place, example.released, example.rebuilt
        );
        assert!(shown.contains(place), "{name}: {shown}");
    }
}

// One long table.
#[test]
fn a_field_of_a_disc_image_has_its_own_cause() {
    let plain = PLAIN.image();
    let cases = [
        (
            "time of the volume",
            Made {
                created: b"2024010203040600",
                ..PLAIN
            },
            Cause::Timestamp,
            "creation time of the volume",
        ),
        (
            "time of a file",
            Made {
                time: [124, 1, 2, 3, 4, 6, 0],
                ..PLAIN
            },
            Cause::Timestamp,
            "file.txt: time",
        ),
        (
            "no time",
            Made {
                created: b"20240102030405xx",
                ..PLAIN
            },
            Cause::Content,
            "in place of a time",
        ),
        (
            "volume",
            Made {
                volume: b"OTHER                           ",
                ..PLAIN
            },
            Cause::Content,
            "volume identifier",
        ),
        (
            "mode",
            Made {
                mode: 0o100_600,
                ..PLAIN
            },
            Cause::Permissions,
            "mode",
        ),
        (
            "set-id",
            Made {
                mode: 0o104_644,
                ..PLAIN
            },
            Cause::Content,
            "mode",
        ),
        (
            "type",
            Made {
                mode: 0o120_644,
                ..PLAIN
            },
            Cause::Content,
            "",
        ),
        (
            "contents",
            Made {
                contents: b"evil\n",
                ..PLAIN
            },
            Cause::Content,
            "file.txt: line 1",
        ),
        (
            "path table",
            Made { table: 21, ..PLAIN },
            Cause::Content,
            "path table",
        ),
        (
            "place of a file",
            Made { block: 22, ..PLAIN },
            Cause::ArchiveDialect,
            "where parts",
        ),
        (
            "zeros at the end",
            Made { sectors: 25, ..PLAIN },
            Cause::Content,
            "volume size",
        ),
    ];
    for (name, made, cause, place) in cases {
        check(name, &plain, &made.image(), cause, place);
    }
    // All changes at once: content comes first.
    let evil = Made {
        created: b"2024010203040600",
        name: b"evil.txt",
        ..PLAIN
    };
    check("name", &plain, &evil.image(), Cause::Content, "file.txt");
}

#[test]
fn every_byte_of_a_disc_image_is_looked_at() {
    let plain = PLAIN.image();
    let quiet = Made {
        created: b"2024010203040600",
        ..PLAIN
    }
    .image();
    for at in (0..plain.len())
        .step_by(61)
        .chain(16 * SECTOR..16 * SECTOR + 900)
        .chain(20 * SECTOR..20 * SECTOR + 300)
    {
        let mut changed = quiet.clone();
        changed[at] ^= 0x15;
        let found = compare_bytes("x.iso", &plain, &changed, &Options::default());
        assert_eq!(found.outcome, Outcome::Different);
        let tree = found.tree.unwrap();
        let mut causes = Vec::new();
        tree.each("", &mut |_, node| {
            causes.extend(node.findings.iter().map(|one| (one.place.to_string(), one.cause)));
        });
        let creation = ("creation time of the volume".to_owned(), Cause::Timestamp);
        causes.retain(|known| *known != creation);
        let is_time = (16 * SECTOR + 813..16 * SECTOR + 830).contains(&at);
        assert!(is_time || !causes.is_empty(), "byte {at:#x}");
    }
}

#[test]
fn a_hostile_disc_image_ends_as_a_finding() {
    let plain = PLAIN.image();
    // Sets each 16-bit number of the directory and the descriptor to its maximum.
    for at in (16 * SECTOR + 80..16 * SECTOR + 190).chain(20 * SECTOR..20 * SECTOR + 256) {
        let mut changed = plain.clone();
        changed[at] = 0xff;
        changed[at + 1] = 0xff;
        let found = compare_bytes("x.iso", &plain, &changed, &Options::default());
        assert_eq!(found.outcome, Outcome::Different, "byte {at:#x}");
    }
}

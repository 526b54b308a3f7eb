//! Files that lie about themselves.

use rebuilder::compare::{Cause, Limit, Limits, Options, Outcome};

use super::{Files, Made, deb, first, gzip, tar, zip};

/// A zip archive whose entries are written field by field, so that they can lie.
fn raw_zip(entries: &[(&str, &str, u32)], data: &[u8]) -> Vec<u8> {
    let crc = {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        crc.sum()
    };
    let size = u32::try_from(data.len()).unwrap().to_le_bytes();
    let mut bytes = Vec::new();
    let mut offsets = Vec::new();
    for (local, _, _) in entries {
        offsets.push(u32::try_from(bytes.len()).unwrap());
        bytes.extend_from_slice(b"PK\x03\x04\x14\0\0\0\0\0\0\0\x21\x58");
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&size);
        bytes.extend_from_slice(&size);
        bytes.extend_from_slice(&u16::try_from(local.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(local.as_bytes());
        bytes.extend_from_slice(data);
    }
    let start = u32::try_from(bytes.len()).unwrap();
    for (index, (_, central, shared)) in entries.iter().enumerate() {
        bytes.extend_from_slice(b"PK\x01\x02\x14\x03\x14\0\0\0\0\0\0\0\x21\x58");
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&size);
        bytes.extend_from_slice(&size);
        bytes.extend_from_slice(&u16::try_from(central.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&(0o100_644_u32 << 16).to_le_bytes());
        let offset = if *shared == 0 { offsets[index] } else { offsets[0] };
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(central.as_bytes());
    }
    let end = u32::try_from(bytes.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    bytes.extend_from_slice(&count);
    bytes.extend_from_slice(&count);
    bytes.extend_from_slice(&(end - start).to_le_bytes());
    bytes.extend_from_slice(&start.to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

/// A tar archive of one header that says whatever it wants.
fn odd_tar(name: &[u8], kind: tar::EntryType, link: &[u8], claimed: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link);
    header.set_entry_type(kind);
    header.set_size(claimed);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(&[0; 1024]);
    bytes
}

/// A tar archive whose first member has one byte, as its extended header says, and a header of its own that says
/// otherwise.
fn pax_tar(claimed: u64, padding: &[u8]) -> Vec<u8> {
    let header = |kind, size| {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..1].copy_from_slice(b"x");
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let block = |content: &[u8]| {
        let mut block = content.to_vec();
        block.resize(512, 0);
        block
    };
    [
        header(tar::EntryType::XHeader, 9),
        block(b"9 size=1\n"),
        header(tar::EntryType::Regular, claimed),
        block(&[b"a", padding].concat()),
        odd_tar(b"y", tar::EntryType::Regular, b"", 0),
    ]
    .concat()
}

/// An RPM package whose signature header has one value, at `offset` of 16 bytes.
fn odd_rpm(offset: u32) -> Vec<u8> {
    let mut bytes = vec![0xed, 0xab, 0xee, 0xdb, 3, 0];
    bytes.resize(96, 0);
    bytes.extend_from_slice(&[0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0]);
    for number in [1, 16, 1000, 6, offset, 1] {
        bytes.extend_from_slice(&u32::to_be_bytes(number));
    }
    bytes.resize(bytes.len() + 64, b'x');
    bytes
}

/// Name, both files, the limit that is hit, and the first cause.
type Hostile = (&'static str, Vec<u8>, Vec<u8>, Option<Limit>, Option<Cause>);

/// A sparse file without data, and 100 GB of zeros before its end.
fn sparse(number: u8) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..1].copy_from_slice(b"s");
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(0);
    header.set_mode(0o644);
    header.set_uid(u64::from(number));
    let gnu = header.as_gnu_mut().unwrap();
    gnu.set_real_size(100 << 30);
    gnu.sparse[0].set_offset(100 << 30);
    gnu.sparse[0].set_length(0);
    gnu.sparse[0].numbytes[0] = b'0';
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(&[0; 1024]);
    bytes
}

// Long, as it is one table.
fn hostile_files() -> Vec<Hostile> {
    let zeros = vec![0; 200 << 20];
    let bomb = gzip(&zeros, 9);
    let mut deep = (b"core one".to_vec(), b"core two".to_vec());
    for _ in 0..50 {
        deep = (gzip(&deep.0, 1), gzip(&deep.1, 1));
    }
    let many: Vec<Made> = (0..3000)
        .map(|number| Made::new(&format!("f{number}"), b""))
        .collect();
    let more: Vec<Made> = many
        .iter()
        .cloned()
        .map(|made| Made { time: 5, ..made })
        .collect();
    let names = |name: &str| raw_zip(&[(name, "shown.txt", 0)], b"same");
    let good = raw_zip(&[("shown.txt", "shown.txt", 0)], b"same");

    vec![
        (
            "bomb.gz",
            bomb.clone(),
            gzip(&zeros[1..], 9),
            Some(Limit::UnpackedBytes),
            Some(Cause::Unread),
        ),
        ("deep.gz", deep.0, deep.1, Some(Limit::Depth), Some(Cause::Unread)),
        (
            "sparse.tar",
            sparse(1),
            sparse(2),
            Some(Limit::UnpackedBytes),
            Some(Cause::Unread),
        ),
        (
            "many.tar",
            tar(&many),
            tar(&more),
            Some(Limit::Members),
            Some(Cause::Unread),
        ),
        (
            "overlap.zip",
            raw_zip(&[("a", "a", 0), ("b", "b", 1)], b"same"),
            raw_zip(&[("a", "a", 0), ("b", "c", 1)], b"same"),
            Some(Limit::OverlappingEntries),
            Some(Cause::Unread),
        ),
        (
            "names.zip",
            good.clone(),
            names("hidden.py"),
            None,
            Some(Cause::AmbiguousArchive),
        ),
        (
            "twice.zip",
            good.clone(),
            raw_zip(
                &[("shown.txt", "shown.txt", 0), ("shown.txt", "shown.txt", 0)],
                b"same",
            ),
            None,
            Some(Cause::Content),
        ),
        (
            "stub.zip",
            good.clone(),
            [&b"#!/bin/sh\nevil\n"[..], &good].concat(),
            None,
            Some(Cause::Content),
        ),
        (
            "tail.zip",
            good.clone(),
            [&good[..], b"evil"].concat(),
            None,
            Some(Cause::Content),
        ),
        (
            "absolute.tar",
            odd_tar(b"etc/passwd", tar::EntryType::Regular, b"", 0),
            odd_tar(b"/etc/passwd", tar::EntryType::Regular, b"", 0),
            None,
            Some(Cause::Content),
        ),
        (
            "dots.tar",
            odd_tar(b"x", tar::EntryType::Regular, b"", 0),
            odd_tar(b"../x", tar::EntryType::Regular, b"", 0),
            None,
            Some(Cause::Content),
        ),
        (
            "link.tar",
            odd_tar(b"x", tar::EntryType::Link, b"y", 0),
            odd_tar(b"x", tar::EntryType::Link, b"/etc/shadow", 0),
            None,
            Some(Cause::Content),
        ),
        (
            "device.tar",
            odd_tar(b"x", tar::EntryType::Regular, b"", 0),
            odd_tar(b"x", tar::EntryType::Char, b"", 0),
            None,
            Some(Cause::Content),
        ),
        (
            "name.tar",
            odd_tar(b"././@LongLink", tar::EntryType::GNULongName, b"", 7 << 30),
            odd_tar(b"././@LongLink", tar::EntryType::GNULongName, b"", 6 << 30),
            None,
            Some(Cause::Unread),
        ),
        (
            "size.tar",
            odd_tar(b"x", tar::EntryType::Regular, b"", 7 << 30),
            odd_tar(b"x", tar::EntryType::Regular, b"", 6 << 30),
            None,
            None,
        ),
        (
            "slack.tar",
            odd_tar(b"x", tar::EntryType::Regular, b"", 0),
            {
                let mut header = tar::Header::new_gnu();
                header.as_mut_bytes()[..1].copy_from_slice(b"x");
                header.as_mut_bytes()[40..44].copy_from_slice(b"evil");
                header.set_size(0);
                header.set_mode(0o644);
                header.set_cksum();
                [header.as_bytes().to_vec(), vec![0; 1024]].concat()
            },
            None,
            Some(Cause::Content),
        ),
        (
            "padding.tar",
            pax_tar(512, b""),
            pax_tar(512, b"evil"),
            None,
            Some(Cause::Content),
        ),
        (
            "sizes.tar",
            pax_tar(u64::MAX, b""),
            pax_tar(u64::MAX, b"evil"),
            None,
            Some(Cause::Content),
        ),
        (
            "offset.rpm",
            odd_rpm(0),
            odd_rpm(u32::MAX - 3),
            None,
            Some(Cause::Unread),
        ),
        (
            "after.tar",
            tar(&many[..1]),
            [tar(&many[..1]), b"evil".to_vec()].concat(),
            None,
            Some(Cause::Content),
        ),
    ]
}

#[apply(test)]
fn hostile_files_are_findings() {
    let files = Files::new();
    let options = Options {
        limits: Limits {
            unpacked: 64 << 20,
            members: 4000,
            ..Limits::default()
        },
        ..Options::default()
    };
    for (name, a, b, limit, cause) in hostile_files() {
        let found = files.compare(name, &a, &b, &options);
        assert_eq!(found.outcome, Outcome::Different, "{name}");
        let hit: Vec<_> = found.limits.iter().map(|hit| hit.limit).collect();
        if let Some(limit) = limit {
            assert!(
                hit.contains(&limit),
                "{name}: {:?} {:?}",
                found.limits,
                found.causes
            );
        }
        if let Some(cause) = cause {
            assert_eq!(first(&found), Some(cause), "{name}: {:?}", found.causes);
        }
    }
}

#[apply(test)]
fn a_file_cut_at_any_byte_is_never_the_same() {
    let files = Files::new();
    let members = [
        Made::new("one", b"content of one"),
        Made::new("two", b"content of two"),
    ];
    let wholes = [
        ("a.tar", tar(&members)),
        ("a.tar.gz", gzip(&tar(&members), 6)),
        ("a.zip", zip(&members)),
        ("a.deb", deb(&tar(&members))),
    ];
    for (name, whole) in wholes {
        for cut in 0..whole.len() {
            // The zeros at the end of a tar archive are cut in larger steps.
            if name == "a.tar" && cut > 1100 && cut % 97 != 0 {
                continue;
            }
            let found = files.compare(name, &whole, &whole[..cut], &Options::default());
            let zeros_only = name == "a.tar" && whole[cut..].iter().all(|byte| *byte == 0) && cut >= 2048;
            if !zeros_only {
                assert_eq!(
                    found.outcome,
                    Outcome::Different,
                    "{name} cut at {cut}: {:?}",
                    found.causes
                );
            }
        }
    }
}

//! Changes every byte of small archives together with a time: the change is always reported.

use super::super::samples::{Head, archive, global, long, padded, pax};
use super::{LONG, short, sparse};
use crate::compare::{Options, Outcome, compare_bytes};

/// Rewrites the checksums of the blocks that are headers.
fn repaired(bytes: &mut [u8], headers: &[usize]) {
    for at in headers {
        let block: [u8; 512] = bytes[*at..*at + 512].try_into().unwrap();
        bytes[*at..*at + 512].copy_from_slice(&Head(block).block());
    }
}

fn samples() -> Vec<(&'static str, Vec<u8>, Vec<usize>)> {
    let file = |head: Head| [&head.block(), &*padded(b"1\n")].concat();
    let posix = [
        pax(&[
            ("path", LONG),
            ("mtime", "1700000000.5"),
            ("SCHILY.ino", "7"),
            ("uid", "3000000"),
        ]),
        file(Head::new(short(), 2).at(265, b"root").at(297, b"root")),
    ];
    let gnu = [long(b'L', LONG, b""), file(Head::new(short(), 2).gnu())];
    let old_sparse = Head::new(b"f", 512).gnu().letter(b'S').at(483, b"00000010000\0");
    let old_sparse = old_sparse
        .at(386, b"00000001000\x0000000001000\0")
        .with(&[b'A'; 512]);
    let stored = [b'A'; 512];
    vec![
        (
            "ustar",
            file(Head::new(b"f", 2).at(345, b"d").at(265, b"root")),
            vec![0],
        ),
        (
            "link",
            Head::new(b"f", 0).letter(b'2').at(157, b"target").with(b""),
            vec![0],
        ),
        ("v7", file(Head::new(b"f", 2).at(257, &[0; 8])), vec![0]),
        ("pax", posix.concat(), vec![0, 1024]),
        ("gnu", gnu.concat(), vec![0, 1024]),
        (
            "global",
            [global(&[("comment", "abc")]), file(Head::new(b"f", 2))].concat(),
            vec![0, 1024],
        ),
        ("old sparse", old_sparse, vec![0]),
        (
            "sparse",
            sparse("f", "512,512", "1", &stored, "1").concat(),
            vec![0, 1024],
        ),
    ]
}

#[test]
fn no_changed_byte_is_silent() {
    let last = |later: bool| {
        let head = Head::new(b"z", 1);
        (if later { head.later() } else { head }).with(b"z")
    };
    let mut aside = Vec::new();
    for (name, bytes, headers) in samples() {
        let released = archive(&[bytes.clone(), last(false)]);
        let checksums: Vec<_> = headers.iter().flat_map(|at| at + 148..at + 156).collect();
        for at in (0..bytes.len()).filter(|at| !checksums.contains(at)) {
            let near = &bytes[at.saturating_sub(2)..bytes.len().min(at + 3)];
            let values = match bytes[at] {
                0 if near.iter().all(|byte| *byte == 0) && at % 64 != 0 => Vec::new(),
                0 => vec![b'7'],
                // The long name and the data.
                b'd' | b'A' if at % 16 != 0 => Vec::new(),
                byte => vec![[byte ^ 1, b' ', 0][at % 3]],
            };
            for value in values.into_iter().filter(|value| *value != bytes[at]) {
                let mut changed = bytes.clone();
                changed[at] = value;
                repaired(&mut changed, &headers);
                let found = compare_bytes(
                    "x.tar",
                    &released,
                    &archive(&[changed, last(true)]),
                    &Options::default(),
                );
                let mut told = false;
                found.tree.as_ref().unwrap().each("", &mut |path, node| {
                    let own = |place: String| path == "z" && place == "time";
                    told |= node
                        .findings
                        .iter()
                        .any(|finding| !own(finding.place.to_string()));
                });
                assert!(told, "{name}: byte {at} is {value:#x}");
                if found.outcome == Outcome::Equivalent {
                    aside.push((name, at, value));
                }
            }
        }
    }
    // In headers, only numbers, owners and the type letter are set aside; in extended headers, the letter in their own
    // name, the time, the inode and the owner.
    for (name, at, value) in aside {
        let in_block = at % 512;
        let of_header = (100..157).contains(&in_block) || (265..345).contains(&in_block);
        let of_records = match name {
            "pax" => at == 13 || (640..690).contains(&at),
            "sparse" => at == 13 || (1038..1041).contains(&at),
            _ => false,
        };
        assert!(of_header || of_records, "{name}: byte {at} is {value:#x}");
    }
}

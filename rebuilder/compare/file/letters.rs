//! Tests that single changed letters in binary files of every format are content.

use super::writers::{PeFile, dex, elf, font, mo, pe, png, wasm};
use crate::compare::cause::Cause;
use crate::compare::{Options, compare_bytes};

/// Text in programs and data that resembles what builds leave behind.
const TEXT: &[u8] =
    b"usage: frobnicate [-j4] <file>\0Copyright 2019 Example Authors\0Europe/Paris and America/New_York\0\
    git@github.com:example/x\0charset=utf-8\0LANG=C model name: none\0c12a7328-f81f-11d2-ba4b-00a0c93ec93b\0\
    /etc/passwd /tmp/socket /usr/share/zoneinfo\0Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul\0\
    Linux 6.1.0-28-amd64 x86-64-v3 icelake-server\0\x65\x53\xf1\0\x65\x53\xf1\x65\0\0\x07\xe8\xe8\x07\0\0";

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let messages = [
        (
            "",
            "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n",
        ),
        ("cancel", "Abbrechen am Mon Jan 2024"),
        ("yes", "ja, /tmp/socket um UTC"),
    ];
    let tree = [b"\xd0\x0d\xfe\xed\0\0\x01\x90\0\0\0\x38", TEXT].concat();
    let mut macho =
        b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    macho.extend(TEXT);
    vec![
        ("x.wasm", wasm(&TEXT[..120], &[("evil", &TEXT[..100])])),
        ("x.mo", mo(&messages, true)),
        ("x-be.mo", mo(&messages, false)),
        ("x.ttf", font(&[("glyf", TEXT), ("head", &[0; 54])])),
        ("classes.dex", dex(TEXT)),
        ("x.elf", elf(TEXT)),
        (
            "x.exe",
            pe(&PeFile {
                // A changed letter in a time is a different time.
                time: 0x6000_0000,
                text: TEXT,
                pdb: "",
                guid: [0; 16],
                reproducible: false,
                certificate: None,
            }),
        ),
        (
            "x.png",
            png(
                b"\0abcd\0efgh",
                9,
                &[(b"tEXt", b"Comment\0Europe/Paris is a city in /tmp/x")],
            ),
        ),
        ("x.dtb", tree),
        ("x.macho", macho),
        ("x.ico", [b"\0\0\x01\0\x01\0", TEXT].concat()),
    ]
}

/// A random number generator with the same sequence in each run (Numerical Recipes).
fn next(state: &mut u32) -> usize {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*state >> 8) as usize
}

#[test]
fn a_letter_that_changes_is_content() {
    let files = files();
    let mut state = 7;
    let mut wrong = Vec::new();
    for round in 0..600 {
        let (name, file) = &files[round % files.len()];
        let letters: Vec<usize> = (0..file.len())
            .filter(|at| file[*at].is_ascii_alphabetic())
            .collect();
        let at = letters[next(&mut state) % letters.len()];
        let mut changed = file.clone();
        while changed[at] == file[at] {
            changed[at] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[next(&mut state) % 52];
        }
        let found = compare_bytes(name, file, &changed, &Options::default());
        let first = &found.causes[0];
        if first.cause != Cause::Content {
            wrong.push(format!(
                "{name} +{at:#x}: {} {:?}",
                first.cause.name(),
                first.example
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of 600: {wrong:#?}", wrong.len());
}

#[test]
fn numbers_that_read_as_times_are_content() {
    let (old, new) = (1_700_000_000_u32, 1_732_000_000_u32);
    for name in ["x.bin", "x.dtb", "x.ttf"] {
        for bytes in [u32::to_le_bytes, u32::to_be_bytes] {
            let with = |number: u32| [b"\xd0\x0d\xfe\xed\0\0\0\0", &bytes(number)[..], &[0; 12]].concat();
            let found = compare_bytes(name, &with(old), &with(new), &Options::default());
            assert_eq!(found.causes[0].cause, Cause::Content, "{name}");
        }
    }
}

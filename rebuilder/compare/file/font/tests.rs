//! Small fonts, and the expected causes of their differences.

use super::super::writers::{font, woff2};
use crate::compare::cause::Cause;
use crate::compare::{Options, compare_bytes};

fn head(modified: u64) -> Vec<u8> {
    let mut head = vec![0; 54];
    head[28..36].copy_from_slice(&modified.to_be_bytes());
    head
}

fn name(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [
        &[0, 0, 0, 1, 0, 18, 0, 1, 0, 0, 0, 0, 0, 3, 0, length, 0, 0][..],
        text.as_bytes(),
    ]
    .concat()
}

fn causes(released: &[u8], rebuilt: &[u8]) -> Vec<(Cause, String)> {
    let found = compare_bytes("x.ttf", released, rebuilt, &Options::default());
    let causes = found.causes.iter();
    causes
        .map(|cause| (cause.cause, cause.example.place.clone()))
        .collect()
}

#[test]
fn times_are_told_and_checksums_follow() {
    let with = |modified, unique: &str| {
        font(&[
            ("head", &head(modified)),
            ("name", &name(unique)),
            ("glyf", b"outline!"),
        ])
    };
    let base = with(3_800_000_000, "FontForge 2.0 : X : 25-11-2024");
    let later = with(3_800_000_999, "FontForge 2.0 : X : 25-11-2024");
    let found = causes(&base, &later);
    assert_eq!(found, [(Cause::Timestamp, "head table, modified".into())]);
    let renamed = with(3_800_000_000, "FontForge 2.0 : Y : 25-11-2024");
    assert_eq!(causes(&base, &renamed)[0].0, Cause::Content);
}

#[test]
fn outlines_and_wrong_checksums_are_content() {
    let with = |outline: &[u8]| font(&[("glyf", outline), ("head", &head(3_800_000_000))]);
    let base = with(b"outline!");
    let found = causes(&base, &with(b"outlino!"));
    assert_eq!(found, [(Cause::Content, "glyf table +0x6, 1 byte in all".into())]);
    let mut lie = base.clone();
    let at = lie.len() - 46;
    lie[at] ^= 1;
    assert_eq!(causes(&base, &lie)[0].0, Cause::Content);
}

#[test]
fn the_order_of_tables_has_no_meaning() {
    let head = head(3_800_000_000);
    let tables: [(&str, &[u8]); 2] = [("glyf", b"outline!"), ("head", &head)];
    let (one, other) = (font(&tables), font(&[tables[1], tables[0]]));
    assert_eq!(causes(&one, &other)[0].0, Cause::Order);
}

/// The same font as WOFF 1.0, without compression.
fn woff(sfnt: &[u8]) -> Vec<u8> {
    let word = |at: usize| u32::from_be_bytes(sfnt[at..at + 4].try_into().unwrap());
    let count = usize::from(sfnt[5]);
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for at in (12..).step_by(16).take(count) {
        let (from, length) = (word(at + 8) as usize, word(at + 12));
        let place = u32::try_from(44 + 20 * count + data.len()).unwrap();
        let numbers = [place, length, length, word(at + 4)].map(u32::to_be_bytes);
        entries.extend([&sfnt[at..at + 4], numbers.as_flattened()].concat());
        data.extend(&sfnt[from..from + length as usize]);
        data.resize(data.len().next_multiple_of(4), 0);
    }
    let length = u32::try_from(44 + entries.len() + data.len()).unwrap();
    let whole = u32::try_from(sfnt.len()).unwrap();
    let mut file = [b"wOFF", &sfnt[..4], &length.to_be_bytes(), &sfnt[4..6], &[0, 0]].concat();
    file.extend([&whole.to_be_bytes()[..], &[0; 24], &entries, &data].concat());
    file
}

#[test]
fn every_field_before_the_tables_of_a_woff_font_counts() {
    const RESERVED: usize = 15;
    const UNPACKED: usize = 19;
    let with = |modified| {
        woff(&font(&[
            ("head", &head(modified)),
            ("name", &name("X")),
            ("glyf", b"outline!"),
        ]))
    };
    let (base, later) = (with(3_800_000_000), with(3_800_000_999));
    assert_eq!(
        causes(&base, &later),
        [(Cause::Timestamp, "head table, modified".into())]
    );
    for at in [RESERVED, UNPACKED] {
        let mut other = later.clone();
        other[at] ^= 16;
        assert_eq!(causes(&base, &other)[0].0, Cause::Content, "{at}");
    }
}

#[test]
fn fonts_in_brotli_are_compared_table_by_table() {
    const HEAD: u8 = 1;
    const NAME: u8 = 5;
    const GLYF: u8 = 10;
    let adjusted = |modified, adjustment: u32| {
        let mut head = head(modified);
        head[8..12].copy_from_slice(&adjustment.to_be_bytes());
        head
    };
    let with = |head: &[u8], name: &[u8], glyf: &[u8], blocks| {
        woff2(&[(GLYF, glyf), (HEAD, head), (NAME, name)], blocks)
    };
    let same = head(3_800_000_000);
    let base = with(&same, b"name table..", b"outline!", 1);
    let later = 3_800_000_010;
    // The word that holds the time is higher by 10, so its sum is, twice.
    let right = adjusted(later, 0_u32.wrapping_sub(20));
    for (what, rebuilt, cause, place) in [
        (
            "blocks",
            with(&same, b"name table..", b"outline!", 2),
            Cause::Compression,
            "compressed tables",
        ),
        (
            "time",
            with(&head(later), b"name table..", b"outline!", 1),
            Cause::Timestamp,
            "head table, modified",
        ),
        (
            "checksum",
            with(&right, b"name table..", b"outline!", 1),
            Cause::Timestamp,
            "head table, modified",
        ),
        (
            "wrong checksum",
            with(&adjusted(later, 21), b"name table..", b"outline!", 1),
            Cause::Content,
            "head table",
        ),
        (
            "name",
            with(&same, b"nome table..", b"outline!", 1),
            Cause::Content,
            "name table",
        ),
        (
            "outline",
            with(&head(later), b"name table..", b"outlino!", 1),
            Cause::Content,
            "glyf table",
        ),
        (
            "length",
            with(&same, b"name table...", b"outline!", 1),
            Cause::Content,
            "",
        ),
    ] {
        let found = causes(&base, &rebuilt);
        assert_eq!(found[0].0, cause, "{what} {found:?}");
        assert!(found[0].1.contains(place), "{what} {found:?}");
        assert!(cause == Cause::Content || found.len() == 1, "{what} {found:?}");
    }
    let mut hidden = base.clone();
    *hidden.last_mut().unwrap() = 7;
    assert_eq!(causes(&base, &hidden)[0].0, Cause::Content);
}

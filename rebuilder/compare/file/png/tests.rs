//! Small pictures, and the expected causes of their differences.

use super::super::writers::png;
use crate::compare::cause::Cause;
use crate::compare::{Chosen, Options, Outcome, compare_bytes};

/// Lines of a grey picture, 4 × 2, each with its filter.
const GREY: &[u8] = b"\0abcd\0efgh";
/// The same picture, with the second line stored as differences from the first.
const FILTERED: &[u8] = b"\0abcd\x02\x04\x04\x04\x04";

fn first(released: &[u8], rebuilt: &[u8]) -> (Cause, String) {
    let found = compare_bytes("x.png", released, rebuilt, &Options::default());
    let cause = &found.causes[0];
    (cause.cause, cause.example.place.clone())
}

#[test]
fn the_same_pixels_are_another_compression() {
    let (fast, best) = (png(GREY, 0, &[]), png(GREY, 9, &[]));
    assert_eq!(first(&fast, &best), (Cause::Compression, "IDAT".into()));
    assert_eq!(first(&fast, &png(FILTERED, 9, &[])).0, Cause::Compression);
    assert_eq!(first(&fast, &png(b"\0abcd\0efgi", 0, &[])).0, Cause::Content);
    let outcome = |released: &[u8], rebuilt: &[u8]| {
        let options = Options {
            normalise: Chosen::parse("all").unwrap(),
            ..Options::default()
        };
        compare_bytes("x.png", released, rebuilt, &options).outcome
    };
    assert_eq!(outcome(&fast, &best), Outcome::Equivalent);
    let timed = png(GREY, 9, &[(b"tIME", &[7, 232, 1, 2, 3, 4, 5])]);
    assert_eq!(outcome(&fast, &timed), Outcome::Different);
}

#[test]
fn chunks_have_the_cause_that_they_mean() {
    type Chunk = (&'static [u8; 4], &'static [u8]);
    let table: &[(Chunk, Chunk, Cause)] = &[
        (
            (b"tIME", &[7, 232, 1, 2, 3, 4, 5]),
            (b"tIME", &[7, 232, 1, 2, 3, 4, 6]),
            Cause::Timestamp,
        ),
        (
            (b"tIME", &[7, 232, 1, 2, 3, 4, 5]),
            (b"tIME", b"rm -rf!"),
            Cause::Content,
        ),
        (
            (b"tEXt", b"Software\0Inkscape 1.2.1"),
            (b"tEXt", b"Software\0Inkscape 1.2.2"),
            Cause::ToolVersion,
        ),
        (
            (b"tEXt", b"date:create\x002024-01-02T03:04:05+00:00"),
            (b"tEXt", b"date:create\x002024-01-03T03:04:05+00:00"),
            Cause::Timestamp,
        ),
        (
            (b"tEXt", b"Comment\0good"),
            (b"tEXt", b"Comment\0evil"),
            Cause::Content,
        ),
        (
            (b"gAMA", b"\0\0\xb1\x8f"),
            (b"gAMA", b"\0\0\xb1\x8e"),
            Cause::Content,
        ),
    ];
    for (released, rebuilt, cause) in table {
        let found = first(&png(GREY, 9, &[*released]), &png(GREY, 9, &[*rebuilt]));
        assert_eq!(found.0, *cause, "{released:?} {found:?}");
    }
}

#[test]
fn what_viewers_do_not_show_is_content() {
    let base = png(GREY, 9, &[]);
    let behind = [&base[..], b"evil"].concat();
    assert_eq!(first(&base, &behind), (Cause::Content, "after IEND".into()));
    let mut crc = base.clone();
    let at = crc.len() - 1;
    crc[at] ^= 1;
    assert_eq!(first(&base, &crc).0, Cause::Content);
}

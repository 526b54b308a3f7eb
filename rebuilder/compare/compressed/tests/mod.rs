//! Pairs of compressed files, made byte by byte, and the expected results of comparing them.

mod writers;

use crate::compare::limits::Limits;
use crate::compare::{Cause, Comparison, Options, Outcome, compare_bytes};
use writers::{bzip2, gzip, header, lz4, lzip, lzma, pieces, skippable, with, xz, xz_of, zstd};

const TEXT: &[u8] = b"the same bytes on both sides, which are the same bytes on both sides\n";

enum Wanted {
    Aside(&'static str),
    First(Cause, &'static str),
}
use Wanted::{Aside, First};

fn check(name: &str, released: &[u8], rebuilt: &[u8], wanted: &Wanted) {
    for swapped in [false, true] {
        let (one, other) = if swapped {
            (rebuilt, released)
        } else {
            (released, rebuilt)
        };
        let found = compare_bytes("x", one, other, &Options::default());
        let names: Vec<_> = found.normalisations.iter().map(|used| used.name.name()).collect();
        let first = found.causes.first();
        match wanted {
            Aside(normalisation) => {
                assert_eq!(found.outcome, Outcome::Equivalent, "{name}: {first:?}");
                assert_eq!(names.join(" "), *normalisation, "{name}");
            }
            First(cause, place) => {
                assert_eq!(found.outcome, Outcome::Different, "{name}");
                let first = first.unwrap();
                assert_eq!(first.cause, *cause, "{name}: {first:?}");
                let example = &first.example;
                let shown = format!("{} {} {}", example.place, example.released, example.rebuilt);
                assert!(shown.contains(place), "{name}: {shown}");
            }
        }
    }
}

// One long table.
#[test]
fn every_byte_of_a_gzip_file_is_accounted_for() {
    let (plain, other) = (gzip(6, TEXT), [gzip(6, &TEXT[..9]), gzip(1, &TEXT[9..])].concat());
    let block_size = |length: usize| {
        let [low, high, ..] = u16::try_from(length).unwrap().to_le_bytes();
        [6, 0, b'B', b'C', 2, 0, low, high]
    };
    let trailing = |bytes: &[u8]| [&plain, bytes].concat();
    let cases: [(&str, Vec<u8>, Wanted); 19] = [
        ("members", other, Aside("gzip-compression")),
        ("zeros", trailing(&[0; 512]), Aside("gzip-misc")),
        (
            "zeros and more",
            trailing(b"\0\0\0x"),
            First(Cause::Content, "after the last stream"),
        ),
        ("text behind", trailing(b"evil"), First(Cause::Content, "evil")),
        (
            "a member behind zeros",
            trailing(&[&[0; 8][..], &plain].concat()),
            First(Cause::Content, "after the last"),
        ),
        ("level", with(plain.clone(), 8, 9), Aside("gzip-compression")),
        ("system", with(plain.clone(), 9, 11), Aside("gzip-misc")),
        ("time", with(plain.clone(), 4, 9), Aside("gzip-time")),
        ("name", header(8, b"name\0"), Aside("gzip-name")),
        ("empty name", header(8, b"\0"), Aside("gzip-name")),
        ("comment", header(16, b"words\0"), Aside("gzip-misc")),
        ("text flag", header(1, b""), Aside("gzip-misc")),
        (
            "block size",
            header(4, &block_size(plain.len() + 7)),
            Aside("gzip-misc"),
        ),
        ("extra", header(4, b"\x04\0AB\0\0"), Aside("gzip-misc")),
        (
            "wrong sum of the header",
            header(2, b"ab"),
            First(Cause::Content, ""),
        ),
        ("reserved flag", header(0x20, b""), First(Cause::Content, "")),
        ("CRC", with(plain.clone(), 193, 0), First(Cause::Unread, "CRC")),
        (
            "length",
            with(plain.clone(), 199, 7),
            First(Cause::Unread, "length"),
        ),
        (
            "truncated",
            plain[..plain.len() - 4].to_vec(),
            First(Cause::Unread, "ends within"),
        ),
    ];
    for (name, bytes, wanted) in cases {
        check(name, &plain, &bytes, &wanted);
    }
    // Names that are not UTF-8 stay different.
    check(
        "odd names",
        &header(8, b"\xff\0"),
        &header(8, b"\xfe\0"),
        &Aside("gzip-name"),
    );
}

// One long table.
#[test]
fn streams_of_other_codecs_are_set_aside_and_what_is_beside_them_is_not() {
    use liblzma::stream::Check;
    let (one, two) = TEXT.split_at(20);
    let xz_plain = xz_of(TEXT);
    let two_xz = |padding: usize| [xz_of(one), vec![0; padding], xz_of(two)].concat();
    let behind = |bytes: &[u8], more: &[u8]| [bytes, more].concat();
    let (z, b, l) = (zstd(TEXT, true), bzip2(TEXT), lz4(0x64, &[TEXT]));
    let bare = lzma(TEXT, 1 << 20);
    let lz = lzip(0x0c);
    let content = |place| First(Cause::Content, place);
    let zstd_aside = || Aside("zstd-compression");
    let cases = [
        ("xz streams", xz_plain.clone(), two_xz(0), Aside("xz-compression")),
        ("xz padding", xz_plain.clone(), two_xz(8), Aside("xz-compression")),
        (
            "xz padding at the end",
            xz_plain.clone(),
            behind(&xz_plain, &[0; 4]),
            Aside("xz-compression"),
        ),
        (
            "xz odd padding",
            xz_plain.clone(),
            behind(&xz_plain, &[0; 3]),
            content("last stream"),
        ),
        (
            "xz check",
            xz_plain.clone(),
            xz(TEXT, Check::None),
            Aside("xz-compression"),
        ),
        (
            "xz trailing",
            xz_plain.clone(),
            behind(&xz_plain, b"evil"),
            content("evil"),
        ),
        (
            "lzma",
            bare.clone(),
            lzma(TEXT, 1 << 16),
            Aside("lzma-compression"),
        ),
        (
            "lzma trailing",
            bare.clone(),
            behind(&bare, b"evil"),
            content("evil"),
        ),
        ("lzip", lz.clone(), lzip(0x10), Aside("lzip-compression")),
        ("lzip members", lz.clone(), behind(&lz, &lz), content("")),
        ("lzip trailing", lz.clone(), behind(&lz, b"evil"), content("evil")),
        (
            "bzip2 streams",
            b.clone(),
            behind(&bzip2(one), &bzip2(two)),
            Aside("bzip2-compression"),
        ),
        (
            "bzip2 empty stream",
            b.clone(),
            behind(&bzip2(b""), &b),
            Aside("bzip2-compression"),
        ),
        (
            "bzip2 trailing",
            b.clone(),
            behind(&b, b"BZh9 evil"),
            content("evil"),
        ),
        ("zstd checksum", z.clone(), zstd(TEXT, false), zstd_aside()),
        (
            "zstd frames",
            z.clone(),
            behind(&zstd(one, true), &zstd(two, true)),
            zstd_aside(),
        ),
        ("pzstd", z.clone(), pieces(&[one, two]), zstd_aside()),
        (
            "pzstd, wrong length",
            z.clone(),
            behind(&skippable(0, b"evil"), &z),
            content("skippable"),
        ),
        (
            "pzstd, no frame",
            z.clone(),
            behind(&z, &skippable(0, b"evil")),
            content("skippable"),
        ),
        (
            "zstd skippable",
            z.clone(),
            behind(&skippable(3, b"evil"), &z),
            content("evil"),
        ),
        (
            "zstd skippable at the end",
            z.clone(),
            behind(&z, &skippable(3, b"evil")),
            content("evil"),
        ),
        ("zstd trailing", z.clone(), behind(&z, b"evil"), content("evil")),
        (
            "lz4 frames",
            l.clone(),
            behind(&lz4(0x60, &[one]), &lz4(0x64, &[two])),
            Aside("lz4-compression"),
        ),
        (
            "lz4 linked",
            l.clone(),
            lz4(0x44, &[one, two]),
            Aside("lz4-compression"),
        ),
        (
            "lz4 skippable",
            l.clone(),
            behind(&skippable(1, b"evil"), &l),
            content("evil"),
        ),
        ("lz4 trailing", l.clone(), behind(&l, b"evil"), content("evil")),
        (
            "lz4 sum",
            l.clone(),
            with(l.clone(), 199, 1),
            First(Cause::Unread, "checksum"),
        ),
        (
            "lz4 truncated",
            l.clone(),
            l[..l.len() - 8].to_vec(),
            First(Cause::Unread, "ends within"),
        ),
        ("codecs", b.clone(), z.clone(), First(Cause::Compression, "bzip2")),
        ("codecs, and more", b, behind(&z, b"evil"), content("evil")),
        (
            "one is plain",
            z,
            TEXT.to_vec(),
            First(Cause::Compression, "none"),
        ),
        (
            "zstd dictionary",
            with(zstd(TEXT, true), 4, 0x05),
            zstd(TEXT, true),
            First(Cause::Content, ""),
        ),
    ];
    for (name, released, rebuilt, wanted) in cases {
        check(name, &released, &rebuilt, &wanted);
    }
}

#[test]
fn what_only_begins_like_a_format_is_something_else() {
    let cases: [(&[u8], &[u8]); 5] = [
        (b"BZhang wrote this, good\n", b"BZhang wrote this, evil\n"),
        (b"BZh9 wrote this, good\n", b"BZh9 wrote this, evil\n"),
        (b"070701 is a good number\n", b"070701 is an evil number\n"),
        (b"LZIP is a good format\n", b"LZIP is an evil format\n"),
        (b"BZh91AY&SY good\n", b"BZh91AY&SY evil\n"),
    ];
    for (released, rebuilt) in cases {
        check("text", released, rebuilt, &First(Cause::Content, "line 1"));
    }
}

fn members(found: &Comparison) -> Vec<&str> {
    let tree = found.tree.as_ref().unwrap();
    tree.children.iter().map(|child| child.name.as_str()).collect()
}

/// A tar with a damaged member before one that differs.
fn tar(damaged: &[u8], other: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in [("a.gz", damaged), ("b.txt", other)] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn what_is_damaged_or_beyond_a_limit_has_a_side_and_the_rest_is_compared() {
    let plain = gzip(6, TEXT);
    let (good, bad) = (
        tar(&plain, b"good\n"),
        tar(&with(plain.clone(), 193, 0), b"evil\n"),
    );
    let found = compare_bytes("x.tar", &good, &bad, &Options::default());
    assert_eq!(members(&found), ["a.gz", "b.txt"]);
    let unread = &found.tree.as_ref().unwrap().children[0].findings[0];
    assert_eq!(
        (unread.cause, unread.place.to_string()),
        (Cause::Unread, "rebuilt".into())
    );
    assert!(unread.released.is_empty() && unread.rebuilt.contains("CRC"));
    assert_eq!(found.causes[0].cause, Cause::Content);

    let bomb = gzip(9, &vec![0; 3 << 20]);
    let sides = [tar(&plain, b"good\n"), tar(&bomb, b"evil\n")];
    let limits = Limits {
        unpacked: 1 << 20,
        ..Limits::default()
    };
    let options = Options {
        limits,
        ..Options::default()
    };
    let found = compare_bytes("x.tar", &sides[0], &sides[1], &options);
    assert_eq!(members(&found), ["a.gz", "b.txt"]);
    let unread = &found.tree.as_ref().unwrap().children[0].findings;
    assert!(
        unread
            .iter()
            .any(|finding| finding.cause == Cause::Unread && finding.place.to_string() == "rebuilt")
    );
    assert_eq!(found.limits.len(), 1);
}

//! Differences between ordinary tools, which are named and set aside.

use super::writer::{Around, DATE, Descriptor, Entry, entry, record, unix_time, zip, zip_in};
use super::{compare, set_aside};
use crate::compare::{Cause, Confidence, Outcome};

const TIME: &str = "zip-modified-time";

// One long table.
#[test]
fn entries() {
    type Change = fn(&mut Entry);
    let signed = |is_signed, is_long| {
        Some(Descriptor {
            is_signed,
            is_long,
            crc: None,
        })
    };
    let plain = entry("a", &"hi\n".repeat(50)).deflated();
    let late = plain.but(|e| e.descriptor = signed(true, false));
    let unsigned = plain.but(|e| e.descriptor = signed(false, false));
    let cases: &[(&str, &Entry, &[&str], Change)] = &[
        ("time", &plain, &[TIME], |e| e.time.1 += 5 << 5),
        ("time that does not exist", &plain, &[TIME], |e| e.time.0 = 0),
        ("level", &plain, &["zip-compression"], |e| e.level = 0),
        ("method", &plain, &["zip-compression"], |e| e.method = 0),
        ("mode without a type", &plain, &["zip-mode-type"], |e| {
            e.external = 0o644 << 16
        }),
        ("no mode", &plain, &["zip-misc", "zip-mode-type"], |e| {
            (e.made, e.external) = (20, 0)
        }),
        ("UTF-8 flag", &plain, &["zip-file-encoding"], |e| {
            e.flags = 1 << 11
        }),
        ("text bit", &plain, &["zip-misc"], |e| e.internal = 1),
        ("version", &plain, &["zip-misc"], |e| {
            (e.made, e.needs) = (0x033f, 45)
        }),
        ("UTC", &plain, &["zip-misc", TIME], |e| {
            (e.local_extra, e.central_extra) = (unix_time(1_700_000_000), unix_time(1_700_000_000));
        }),
        ("jar", &plain, &["zip-misc"], |e| {
            e.local_extra = record(0xcafe, b"")
        }),
        ("same name in Unicode", &plain, &["zip-misc"], |e| {
            let sum = super::super::data::crc(b"a");
            e.central_extra = record(0x7075, &[[1].as_slice(), &sum.to_le_bytes(), b"a"].concat());
        }),
        (
            "descriptor with a signature",
            &unsigned,
            &["zip-data-descriptor"],
            |e| {
                e.descriptor = Some(Descriptor {
                    is_signed: true,
                    is_long: false,
                    crc: None,
                });
            },
        ),
        ("no descriptor", &late, &["zip-data-descriptor"], |e| {
            e.descriptor = None
        }),
        ("NTFS times", &plain, &["zip-misc", TIME], |e| {
            e.local_extra = record(10, &[[0, 0, 0, 0, 1, 0, 24, 0].as_slice(), &[1; 24]].concat());
        }),
    ];
    for (what, released, by, change) in cases {
        let rebuilt = released.but(change);
        // A flag is in both headers, so if it may differ, the bits of the descriptor may too.
        set_aside(what, &zip(&[(*released).clone()]), &zip(&[rebuilt]), by);
    }
}

/// Unusual properties are not differences if both sides have them.
#[test]
fn the_same_oddities() {
    let plain = entry("a", "hi\n");
    let oddities = [
        plain.but(|e| {
            (e.local_extra, e.central_extra) = (b"\xef\xbf\xbd\xef".into(), b"\xef\xbf\xbd\xef".into())
        }),
        plain.but(|e| e.local_patch = vec![(30, b"b".into())]),
        plain.but(|e| e.central_patch = vec![(16, vec![1, 2, 3, 4])]),
        plain.but(|e| e.method = 6),
        plain.but(|e| e.flags = 1),
        plain.but(|e| e.behind = b"hidden".into()),
        plain.but(|e| (e.method, e.packed) = (8, Some(b"\xff\xff\xff".into()))),
    ];
    for (number, odd) in oddities.iter().enumerate() {
        let what = format!("oddity {number}");
        set_aside(
            &what,
            &zip(std::slice::from_ref(odd)),
            &zip(&[odd.later()]),
            &[TIME],
        );
    }
}

#[test]
fn methods_that_are_read() {
    let data = "hi\n".repeat(500);
    let bytes = data.as_bytes();
    let mut bz = bzip2::read::BzEncoder::new(bytes, bzip2::Compression::best());
    let mut xz = liblzma::read::XzEncoder::new(bytes, 6);
    let (mut bzipped, mut xzipped) = (Vec::new(), Vec::new());
    std::io::Read::read_to_end(&mut bz, &mut bzipped).unwrap();
    std::io::Read::read_to_end(&mut xz, &mut xzipped).unwrap();
    let options = liblzma::stream::LzmaOptions::new_preset(6).unwrap();
    let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
    let mut alone = Vec::new();
    let mut lzma = liblzma::read::XzEncoder::new_stream(bytes, stream);
    std::io::Read::read_to_end(&mut lzma, &mut alone).unwrap();
    let lzma = [b"\x09\x14\x05\0".as_slice(), &alone[..5], &alone[13..]].concat();
    let zstd = zstd::encode_all(bytes, 3).unwrap();
    let deflated = entry("a", &data).deflated();
    let length = u16::try_from(bytes.len()).unwrap();
    let stored = [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), bytes].concat();
    for (method, flags, packed) in [
        (9, 0, stored),
        (12, 0, bzipped),
        (14, 2, lzma),
        (93, 0, zstd),
        (95, 0, xzipped),
    ] {
        let own = deflated.but(|e| (e.method, e.flags, e.packed) = (method, flags, Some(packed)));
        let archive = zip(std::slice::from_ref(&own));
        set_aside("time", &archive, &zip(&[own.later()]), &[TIME]);
        let found = compare(&zip(std::slice::from_ref(&deflated)), &archive);
        let causes: Vec<_> = found.causes.iter().map(|cause| cause.cause).collect();
        assert_eq!(
            (found.outcome, causes[0]),
            (Outcome::Different, Cause::Compression),
            "{method}"
        );
        assert!(
            !causes.contains(&Cause::Content) && !causes.contains(&Cause::Unread),
            "{method}"
        );
    }
}

#[test]
fn every_byte_after_the_end_of_a_deflate64_stream_is_told() {
    let entry = |packed: &[u8]| entry("a", "a").but(|e| (e.method, e.packed) = (9, Some(packed.into())));
    // One block with fixed codes, which deflate and deflate64 write alike.
    let usual = entry(b"\x4b\x04\0");
    set_aside(
        "time",
        &zip(std::slice::from_ref(&usual)),
        &zip(&[usual.later()]),
        &[TIME],
    );
    for hidden in [&b"\0"[..], b"ab", b"abc", b"abcdefgh"] {
        let longer = entry(&[b"\x4b\x04\0", hidden].concat());
        let found = compare(&zip(std::slice::from_ref(&usual)), &zip(&[longer]));
        assert_eq!(
            found.causes[0].cause,
            Cause::Content,
            "{hidden:?} {:?}",
            found.causes
        );
    }
}

#[test]
fn around_entries() {
    let entries = [entry("a", "hi\n"), entry("b", "ho\n")];
    let later = entries.clone().map(|entry| entry.later());
    let prefixed = Around {
        prefix: b"#!/usr/bin/env python3\n".into(),
        ..Around::default()
    };
    set_aside(
        "zipapp",
        &zip_in(&prefixed, &entries),
        &zip_in(&prefixed, &later),
        &[TIME],
    );
    let stub = Around {
        prefix: vec![7; 9000],
        ..Around::default()
    };
    set_aside(
        "self-extractor",
        &zip_in(&stub, &entries),
        &zip_in(&stub, &later),
        &[TIME],
    );
    let zip64 = Around {
        is_zip64: true,
        ..Around::default()
    };
    set_aside("ZIP64", &zip(&entries), &zip_in(&zip64, &entries), &["zip-misc"]);
    let swapped = [later[1].clone(), later[0].clone()];
    set_aside("order", &zip(&entries), &zip(&swapped), &["zip-file-order", TIME]);
}

#[test]
fn zones_and_days() {
    let at =
        |date, hour: u16, minute: u16| entry("a", "x").but(|e| e.time = (date, hour << 11 | minute << 5));
    let stamped = |entry: Entry, seconds| {
        entry.but(|e| (e.local_extra, e.central_extra) = (unix_time(seconds), unix_time(seconds)))
    };
    let (noon, later) = (at(DATE, 12, 0), at(DATE, 14, 0));
    let cases = [
        ("zone", noon.clone(), later.clone(), Cause::Timezone),
        ("days", at(DATE, 0, 0), at(DATE + 1, 0, 0), Cause::Timestamp),
        ("minutes", at(DATE, 0, 0), at(DATE, 0, 5), Cause::Timestamp),
        (
            "zone, same UTC",
            stamped(noon.clone(), 9),
            stamped(later.clone(), 9),
            Cause::Timezone,
        ),
        (
            "other UTC",
            stamped(noon, 9),
            stamped(later, 7209),
            Cause::Timestamp,
        ),
    ];
    for (what, released, rebuilt, cause) in cases {
        let found = set_aside(what, &zip(&[released]), &zip(&[rebuilt]), &[TIME]);
        let first = &found.causes[0];
        assert_eq!(
            (first.cause, first.confidence),
            (cause, Confidence::Proven),
            "{what}"
        );
    }
}

#[test]
fn commits_of_git_archive() {
    let archive = |commit: &str, minute: u16| {
        let around = Around {
            comment: commit.repeat(20).into(),
            ..Around::default()
        };
        let file = |name| entry(name, "x").but(|e| e.time.1 += minute << 5);
        zip_in(&around, &[file("a"), file("b"), file("c")])
    };
    let found = compare(&archive("a1", 0), &archive("b2", 5));
    let first = &found.causes[0];
    assert_eq!(
        (first.cause, first.confidence),
        (Cause::SourceRevision, Confidence::Proven)
    );
    assert_eq!(found.causes.len(), 1);
}

/// Padding for alignment, as `zipalign` and `apksigner` write it.
#[test]
fn alignment() {
    let plain = entry("a", "hi\n");
    let zeros = plain.but(|e| e.local_extra = vec![0; 1]);
    set_aside(
        "zeros",
        &zip(std::slice::from_ref(&plain)),
        &zip(&[zeros]),
        &["zip-alignment"],
    );
    let multiple = |e: &mut Entry| e.local_extra = record(0xd935, &[4, 0, 0, 0, 0]);
    let padded = entry("lib", "hi\n").but(|e| e.local_extra = record(0xd935, &[4, 0, 0]));
    let (none, some) = (zip(&[entry("lib", "hi\n")]), zip(&[padded]));
    set_aside("record", &none, &some, &["zip-alignment"]);
    let unaligned = entry("ab", "hi\n");
    let wrong = unaligned.but(multiple);
    assert_eq!(
        compare(&zip(&[unaligned]), &zip(&[wrong])).outcome,
        Outcome::Different
    );
}

#[test]
fn what_android_opens_in_place_is_stored_and_aligned() {
    let manifest = || entry("AndroidManifest.xml", "x");
    let resources = |extra: &[u8]| {
        let own = entry("resources.arsc", "r").but(|e| e.local_extra = extra.to_vec());
        zip(&[manifest(), own])
    };
    // The data begins at 94, 96 and 100.
    let (unaligned, zeros) = (resources(b""), resources(&[0, 0]));
    let padded = resources(&record(0xd935, &[4, 0]));
    set_aside("aligned", &zeros, &padded, &["zip-alignment"]);
    let found = compare(&unaligned, &zeros);
    assert_eq!(
        (found.outcome, found.causes[0].cause),
        (Outcome::Different, Cause::Content)
    );
    let library = || entry("lib/arm64-v8a/a.so", &"l".repeat(50));
    let stored = zip(&[manifest(), library()]);
    let found = compare(&stored, &zip(&[manifest(), library().deflated()]));
    assert_eq!(
        (found.outcome, found.causes[0].cause),
        (Outcome::Different, Cause::Content)
    );
    // Only Android opens them in place.
    let (stored, deflated) = (zip(&[library()]), zip(&[library().deflated()]));
    assert_eq!(compare(&stored, &deflated).outcome, Outcome::Equivalent);
}

/// An archive with a signing block that has one pair.
fn with_block(bare: &[u8], pairs: &[(u32, &[u8])]) -> Vec<u8> {
    let pairs: Vec<u8> = pairs
        .iter()
        .flat_map(|(id, value)| {
            let length = (value.len() as u64 + 4).to_le_bytes();
            [length.as_slice(), &id.to_le_bytes(), value].concat()
        })
        .collect();
    let size = (pairs.len() as u64 + 24).to_le_bytes();
    let block = [size.as_slice(), &pairs, &size, b"APK Sig Block 42"].concat();
    let (entries, rest) = bare.split_at(directory_of(bare));
    let mut whole = [entries, &block, rest].concat();
    let place = whole.len() - 6;
    let directory = u32::try_from(entries.len() + block.len()).unwrap();
    whole[place..place + 4].copy_from_slice(&directory.to_le_bytes());
    whole
}

fn directory_of(bare: &[u8]) -> usize {
    let place = bare.len() - 6;
    u32::from_le_bytes(bare[place..place + 4].try_into().unwrap()) as usize
}

/// A signature of scheme 2 by a key, with the digest of an archive.
fn second_scheme(bare: &[u8], key: u8) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let field = |bytes: &[u8]| {
        let mut field = u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
        field.extend(bytes);
        field
    };
    let (entries, rest) = bare.split_at(directory_of(bare));
    let (directory, end) = rest.split_at(rest.len() - 22);
    let mut top = vec![0x5a, 3, 0, 0, 0];
    for piece in [entries, directory, end] {
        let marked = [vec![0xa5], field(piece)].concat();
        top.extend(Sha256::digest(marked));
    }
    let digest = Sha256::digest(top).to_vec();
    let numbered = |bytes: &[u8]| {
        field(&field(
            &[&0x0103_u32.to_le_bytes(), field(bytes).as_slice()].concat(),
        ))
    };
    let certificate = [0x30, 1, key];
    let signed = [
        numbered(&digest),
        field(&field(&certificate)),
        field(b""),
        field(b""),
    ];
    let signer = [field(&signed.concat()), numbered(&[key; 8]), field(&certificate)];
    field(&field(&signer.concat()))
}

#[test]
fn signing_blocks_of_apks() {
    const SECOND: u32 = 0x7109_871a;
    let bare = zip(&[entry("a", "x")]);
    let [one, other] = [1, 2].map(|key| second_scheme(&bare, key));
    let signed = with_block(&bare, &[(SECOND, &one)]);
    set_aside("signed", &bare, &signed, &["apk-signing-block"]);
    set_aside(
        "two keys",
        &signed,
        &with_block(&bare, &[(SECOND, &other)]),
        &["apk-signing-block"],
    );
    let mut late = bare.clone();
    let names: Vec<usize> = late
        .windows(4)
        .enumerate()
        .filter(|(_, window)| window.starts_with(b"PK\x03\x04") || window.starts_with(b"PK\x01\x02"))
        .map(|(at, _)| at)
        .collect();
    for at in names {
        let time = at + if late[at + 2] == 3 { 10 } else { 12 };
        late[time] ^= 2;
    }
    set_aside(
        "another key and time",
        &signed,
        &with_block(&late, &[(SECOND, &second_scheme(&late, 2))]),
        &["apk-signing-block", "zip-modified-time"],
    );
    let mut longer = other.clone();
    longer.push(0);
    let hidden = b"\x04\0\0\0evil".to_vec();
    for (what, wrong) in [
        ("another kind of pair", with_block(&bare, &[(0x7177_7777, &one)])),
        (
            "a byte behind the signers",
            with_block(&bare, &[(SECOND, &longer)]),
        ),
        ("no signers", with_block(&bare, &[(SECOND, &hidden)])),
        (
            "a second pair of the same kind",
            with_block(&bare, &[(SECOND, &one), (SECOND, &other)]),
        ),
        (
            "the digest of another file",
            with_block(&bare, &[(SECOND, &second_scheme(&late, 2))]),
        ),
        // A signature is right for one file at most.
        ("the same signature", with_block(&late, &[(SECOND, &one)])),
    ] {
        let found = compare(&signed, &wrong);
        assert_eq!(
            (found.outcome, found.causes[0].cause),
            (Outcome::Different, Cause::Content),
            "{what}: {:?}",
            found.causes
        );
    }
}

//! Small Windows executables, and the expected causes of their differences.

use super::super::writers::{PeFile, pe};
use super::{CHECKSUM, sum};
use crate::compare::cause::Cause;
use crate::compare::{Options, compare_bytes};

fn causes(released: &[u8], rebuilt: &[u8]) -> Vec<(Cause, String)> {
    let found = compare_bytes("x.exe", released, rebuilt, &Options::default());
    let causes = found.causes.iter();
    causes
        .map(|cause| (cause.cause, cause.example.place.clone()))
        .collect()
}

const BASE: PeFile = PeFile {
    time: 1_700_000_000,
    text: b"code and text of a program",
    pdb: "C:\\build\\a\\x.pdb",
    guid: [7; 16],
    reproducible: false,
    certificate: None,
};

#[test]
fn known_fields_have_their_causes() {
    let later = PeFile {
        time: 1_700_000_999,
        ..BASE
    };
    let moved = PeFile {
        pdb: "C:\\build\\b\\x.pdb",
        ..BASE
    };
    let renamed = PeFile {
        pdb: "C:\\build\\a\\y.pdb",
        ..BASE
    };
    let other_guid = PeFile {
        guid: [8; 16],
        ..BASE
    };
    let changed = PeFile {
        text: b"code and taxt of a program",
        ..later
    };
    let table = [
        (later, Cause::Timestamp, "time of linking"),
        (moved, Cause::BuildPath, "path of the PDB file"),
        (renamed, Cause::Content, ".rdata +0x6b, 1 byte in all"),
        (other_guid, Cause::BuildId, "identifier and age of the PDB file"),
        (changed, Cause::Content, ".text +0xa, 1 byte in all"),
    ];
    for (rebuilt, cause, place) in table {
        let found = causes(&pe(&BASE), &pe(&rebuilt));
        assert_eq!(found[0], (cause, place.into()), "{found:?}");
    }
}

#[test]
fn the_version_of_the_linker_is_told_beside_what_else_it_changed() {
    const LINKER: usize = 0x58 + 2;
    let linked_by = |file: &PeFile| {
        let mut bytes = pe(file);
        bytes[LINKER] = 14;
        bytes
    };
    let changed = PeFile {
        text: b"code and taxt of a program",
        ..BASE
    };
    let found = causes(&pe(&BASE), &linked_by(&BASE));
    assert_eq!(found, [(Cause::ToolVersion, "version of the linker".into())]);
    let found = causes(&pe(&BASE), &linked_by(&changed));
    let only_causes: Vec<_> = found.iter().map(|(cause, _)| *cause).collect();
    assert_eq!(only_causes, [Cause::Content, Cause::ToolVersion]);
}

#[test]
fn a_time_in_no_known_field_is_content() {
    let mut rebuilt = pe(&PeFile {
        time: 1_700_000_999,
        ..BASE
    });
    let (old, new) = (1_700_000_000_u32.to_le_bytes(), 1_700_000_999_u32.to_le_bytes());
    let mut released = pe(&BASE);
    released[0x400..0x404].copy_from_slice(&old);
    rebuilt[0x400..0x404].copy_from_slice(&new);
    assert_eq!(causes(&released, &rebuilt)[0].0, Cause::Content);
}

#[test]
fn the_hash_of_a_reproducible_file_follows() {
    let base = PeFile {
        reproducible: true,
        ..BASE
    };
    let other = PeFile {
        time: 0x9abc_def0,
        text: b"code and taxt of a program",
        ..base
    };
    let found = compare_bytes("x.exe", &pe(&base), &pe(&other), &Options::default());
    assert_eq!(found.causes.len(), 1, "{found:#?}");
    assert_eq!(
        (found.causes[0].cause, found.causes[0].follow > 0),
        (Cause::Content, true)
    );
}

#[test]
fn a_signature_is_one_by_its_content() {
    let signed = PeFile {
        certificate: Some(b"\x30\x0c\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\x05"),
        ..BASE
    };
    let odd = PeFile {
        certificate: Some(b"curl evil | sh"),
        ..BASE
    };
    let found = causes(&pe(&signed), &pe(&BASE));
    assert_eq!(found, [(Cause::Signature, "certificate table".into())]);
    assert_eq!(causes(&pe(&odd), &pe(&BASE))[0].0, Cause::Content);
    let appended = [pe(&BASE), b"evil".to_vec()].concat();
    assert_eq!(causes(&pe(&BASE), &appended)[0].0, Cause::Content);
}

#[test]
fn a_signature_that_is_the_same_for_two_programs_is_content() {
    const KEYS: [&[u8]; 2] = [
        b"\x30\x0c\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\x05",
        b"\x30\x0c\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\x04",
    ];
    let signed = |time, key: usize| {
        pe(&PeFile {
            time,
            certificate: Some(KEYS[key]),
            ..BASE
        })
    };
    let (released, later) = (signed(BASE.time, 0), BASE.time + 9);
    let found = causes(&released, &signed(later, 0));
    assert_eq!(
        found[0],
        (Cause::Content, "certificate table".into()),
        "{found:?}"
    );
    let found = causes(&released, &signed(later, 1));
    assert!(
        found.iter().all(|(cause, _)| *cause != Cause::Content),
        "{found:?}"
    );
    // The signature does not cover the checksum.
    let mut other = released.clone();
    let right = sum(&released, 0x58 + CHECKSUM);
    other[0x58 + CHECKSUM..][..4].copy_from_slice(&right.to_le_bytes());
    let found = causes(&released, &other);
    assert_eq!(found, [(Cause::Checksum, "checksum".into())], "{found:?}");
}

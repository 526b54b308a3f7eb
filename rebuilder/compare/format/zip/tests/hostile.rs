//! Changes that must never be set aside, even if a time differs as well.

use super::differs;
use super::writer::{Descriptor, Entry, entry, record, unix_time, zip};
use crate::compare::Cause;

const LOCAL: &str = "local header against the directory";

/// One entry, compared with the same one after a change and with another time.
// One long table.
#[test]
fn entries() {
    type Change = fn(&mut Entry);
    let cases: &[(&str, Cause, &str, Change)] = &[
        ("name in the local header", Cause::AmbiguousArchive, LOCAL, |e| {
            e.local_patch = vec![(30, b"b".into())]
        }),
        (
            "method in the local header",
            Cause::AmbiguousArchive,
            LOCAL,
            |e| e.local_patch = vec![(8, vec![8, 0])],
        ),
        ("CRC in the local header", Cause::AmbiguousArchive, LOCAL, |e| {
            e.local_patch = vec![(14, vec![1, 2, 3, 4])]
        }),
        ("size in the local header", Cause::AmbiguousArchive, LOCAL, |e| {
            e.local_patch = vec![(22, vec![1])]
        }),
        (
            "encrypted by the local header",
            Cause::AmbiguousArchive,
            LOCAL,
            |e| e.local_patch = vec![(6, vec![1, 0])],
        ),
        ("time in the local header", Cause::AmbiguousArchive, LOCAL, |e| {
            e.local_patch = vec![(10, vec![7, 7])]
        }),
        ("UTC in the local header", Cause::AmbiguousArchive, LOCAL, |e| {
            e.local_extra = unix_time(1_700_000_000);
            e.central_extra = unix_time(1_700_000_009);
        }),
        ("owner in the local header", Cause::AmbiguousArchive, LOCAL, |e| {
            e.local_extra = record(0x7875, &[1, 1, 0, 1, 0]);
            e.central_extra = record(0x7875, &[1, 1, 9, 1, 9]);
        }),
        (
            "version that is needed",
            Cause::Content,
            "version that unpackers refuse",
            |e| e.needs = 99,
        ),
        (
            "wrong CRC everywhere",
            Cause::Content,
            "entry that is not what the directory says",
            |e| {
                e.local_patch = vec![(14, vec![1, 2, 3, 4])];
                e.central_patch = vec![(16, vec![1, 2, 3, 4])];
            },
        ),
        (
            "two sizes of a stored entry",
            Cause::Content,
            "entry that is not what the directory says",
            |e| {
                e.local_patch = vec![(22, vec![9])];
                e.central_patch = vec![(24, vec![9])];
            },
        ),
        (
            "masked headers",
            Cause::Content,
            "flags that unpackers refuse or ignore",
            |e| e.flags = 1 << 13,
        ),
        (
            "patch data",
            Cause::Content,
            "flags that unpackers refuse or ignore",
            |e| e.flags = 1 << 5,
        ),
        ("disk", Cause::AmbiguousArchive, "disk of the entry", |e| {
            e.central_patch = vec![(34, vec![1])]
        }),
        (
            "internal attributes",
            Cause::Content,
            "internal attributes",
            |e| e.internal = 0x10,
        ),
        ("symbolic link", Cause::Content, "type", |e| {
            e.external = 0o120_644 << 16
        }),
        ("device", Cause::Content, "type", |e| e.external = 0o060_644 << 16),
        (
            "folder by attributes",
            Cause::AmbiguousArchive,
            "type by name and by attributes",
            |e| e.external |= 0x10,
        ),
        ("set-id", Cause::Content, "mode", |e| e.external = 0o104_644 << 16),
        ("executable", Cause::Content, "mode", |e| {
            e.external = 0o100_755 << 16
        }),
        ("not readable", Cause::Content, "mode", |e| {
            e.external = 0o100_044 << 16
        }),
        ("Amiga", Cause::Permissions, "system that the mode is of", |e| {
            e.made = 0x0114
        }),
        (
            "hidden",
            Cause::Permissions,
            "hidden, system and other attributes",
            |e| e.external |= 2,
        ),
        ("comment", Cause::Content, "comment", |e| e.comment = b"x".into()),
        (
            "bytes behind an entry",
            Cause::Content,
            "bytes behind the entry",
            |e| e.behind = b"hidden".into(),
        ),
        (
            "unknown extra field",
            Cause::Content,
            "extra field of unknown kind",
            |e| e.local_extra = record(0x9999, b"x"),
        ),
        (
            "Unix extra field with a mode",
            Cause::Content,
            "extra field of unknown kind",
            |e| {
                e.local_extra = record(0x756e, &[0; 14]);
            },
        ),
        (
            "malformed extra field",
            Cause::Content,
            "extra field of unknown kind",
            |e| e.local_extra = b"\x55\x54\x09".into(),
        ),
        (
            "zeros that align nothing",
            Cause::Content,
            "extra field of unknown kind",
            |e| e.local_extra = vec![0; 6],
        ),
        (
            "alignment that aligns nothing",
            Cause::Content,
            "extra field of unknown kind",
            |e| {
                e.local_extra = record(0xd935, &[0, 16, 0, 0]);
            },
        ),
        (
            "data in the mark of a jar",
            Cause::Content,
            "extra field of unknown kind",
            |e| {
                e.local_extra = record(0xcafe, b"evil");
            },
        ),
        (
            "Unicode path",
            Cause::AmbiguousArchive,
            "Unicode path beside another name",
            |e| {
                let sum = super::super::data::crc(b"a");
                e.central_extra = record(0x7075, &[[1].as_slice(), &sum.to_le_bytes(), b"evil"].concat());
            },
        ),
        (
            "Unicode path of another name",
            Cause::AmbiguousArchive,
            "Unicode path beside another name",
            |e| {
                e.central_extra = record(0x7075, b"\x01\0\0\0\0a");
            },
        ),
        (
            "rest of a ZIP64 field",
            Cause::Content,
            "extra field of unknown kind",
            |e| {
                e.central_extra = record(1, b"evilevil");
            },
        ),
        (
            "second ZIP64 field",
            Cause::Content,
            "extra field of unknown kind",
            |e| e.central_extra = [record(1, b""), record(1, b"evilevil")].concat(),
        ),
        (
            "strong encryption without encryption",
            Cause::Content,
            "encryption",
            |e| e.flags = 1 << 6,
        ),
        (
            "many records",
            Cause::Content,
            "extra field of unknown kind",
            |e| e.central_extra = record(0xcafe, b"").repeat(99),
        ),
        (
            "descriptor with another CRC",
            Cause::Content,
            "bytes behind the entry",
            |e| {
                e.method = 8;
                e.descriptor = Some(Descriptor {
                    is_signed: true,
                    is_long: false,
                    crc: Some(9),
                });
            },
        ),
        ("stored with a descriptor", Cause::AmbiguousArchive, LOCAL, |e| {
            e.descriptor = Some(Descriptor {
                is_signed: true,
                is_long: false,
                crc: None,
            });
        }),
        (
            "bytes behind the compressed data",
            Cause::Content,
            "bytes behind the compressed data",
            |e| {
                e.method = 8;
                e.packed = Some(b"\x01\x03\0\xfc\xffhi\nevil".into());
            },
        ),
    ];
    let plain = entry("a", "hi\n");
    let last = entry("z", "end\n");
    let released = zip(&[plain.clone(), last.clone()]);
    for (what, cause, place, change) in cases {
        let changed = plain.later().but(change);
        differs(what, &released, &zip(&[changed, last.clone()]), *cause, place);
    }
}

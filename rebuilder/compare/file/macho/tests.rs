//! Small Mach-O files, and the expected causes of their differences.

use super::super::writers::{MachOFile, fat, macho};
use crate::compare::cause::Cause;
use crate::compare::{Options, compare_bytes};

const BASE: MachOFile = MachOFile {
    text: b"code of a program",
    uuid: [7; 16],
    sdk: 0x000e_0000,
    identifier: b"org.example.x",
};

fn causes(released: &[u8], rebuilt: &[u8]) -> Vec<(Cause, String)> {
    let found = compare_bytes("x.dylib", released, rebuilt, &Options::default());
    let causes = found.causes.iter();
    causes
        .map(|cause| (cause.cause, cause.example.place.clone()))
        .collect()
}

#[test]
fn commands_have_their_causes_and_hashes_follow() {
    let text = MachOFile {
        text: b"code of a progrom",
        ..BASE
    };
    let uuid = MachOFile {
        uuid: [8; 16],
        ..BASE
    };
    let sdk = MachOFile {
        sdk: 0x000f_0000,
        ..BASE
    };
    let identifier = MachOFile {
        identifier: b"org.example.y",
        ..BASE
    };
    let table = [
        (text, Cause::Content, "__TEXT,__text +0xf, 1 byte in all"),
        (uuid, Cause::BuildId, "LC_UUID"),
        (sdk, Cause::ToolVersion, "LC_BUILD_VERSION"),
        (identifier, Cause::Content, "code signature"),
    ];
    for (rebuilt, cause, place) in table {
        let found = causes(&macho(&BASE), &macho(&rebuilt));
        assert_eq!(
            (found[0].0, found[0].1.starts_with(place)),
            (cause, true),
            "{place} {found:?}"
        );
        let wrapped = causes(&fat(&macho(&BASE)), &fat(&macho(&rebuilt)));
        assert_eq!(wrapped[0].0, cause, "{place} {wrapped:?}");
    }
}

#[test]
fn a_wrong_hash_and_appended_bytes_are_content() {
    let base = macho(&BASE);
    let mut lie = base.clone();
    let last = lie.len() - 1;
    lie[last] ^= 1;
    assert_eq!(causes(&base, &lie)[0].0, Cause::Content);
    assert_eq!(causes(&base, &[&base[..], b"evil"].concat())[0].0, Cause::Content);
}

#[test]
fn a_signature_that_is_the_same_for_two_images_is_content() {
    let base = macho(&BASE);
    let mut stale = base.clone();
    let uuid = base.windows(16).position(|window| *window == BASE.uuid).unwrap();
    stale[uuid] ^= 1;
    let found = causes(&base, &stale);
    assert_eq!(found[0], (Cause::Content, "code signature".into()), "{found:?}");
    let wrapped = causes(&fat(&base), &fat(&stale));
    assert_eq!(wrapped[0].0, Cause::Content, "{wrapped:?}");
}

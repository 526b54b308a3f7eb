//! Small ELF files, and the expected causes of their differences.

use super::super::writers::elf;
use crate::compare::cause::Cause;
use crate::compare::{Options, compare_bytes};

fn first(released: &[u8], rebuilt: &[u8]) -> (Cause, String) {
    let found = compare_bytes("x", released, rebuilt, &Options::default());
    let cause = &found.causes[0];
    (cause.cause, cause.example.place.clone())
}

#[test]
fn a_string_of_a_program_is_content_by_its_section() {
    let found = compare_bytes("x", &elf(b"user\0root"), &elf(b"user\0boot"), &Options::default());
    let example = &found.causes[0].example;
    assert_eq!(found.causes[0].cause, Cause::Content);
    assert!(example.place.starts_with(".rodata +0x5"), "{example:?}");
    assert_eq!(
        (example.released.as_str(), example.rebuilt.as_str()),
        ("root", "boot")
    );
}

#[test]
fn a_date_and_a_folder_explain_whole_strings_only() {
    let pairs: [(&[u8], &[u8], Cause); 3] = [
        (b"a\0Nov 25 2024\0", b"a\0Nov 26 2024\0", Cause::Timestamp),
        (b"a\0/build/a/x.c\0", b"a\0/build/bbb/x.c\0", Cause::BuildPath),
        (b"a\0on Nov 25 2024\0", b"a\0in Nov 26 2024\0", Cause::Content),
    ];
    for (released, rebuilt, cause) in pairs {
        assert_eq!(first(&elf(released), &elf(rebuilt)).0, cause);
    }
}

#[test]
fn headers_that_moved_still_say_the_same() {
    let (released, rebuilt) = (elf(b"a\0/build/a/x.c\0"), elf(b"a\0/build/bbb/x.c\0"));
    // The segment's flags, and the first byte after everything.
    let mut writable = rebuilt.clone();
    writable[0x44] |= 2;
    assert_eq!(
        first(&released, &writable),
        (Cause::Content, "program headers".into())
    );
    let longer = [&rebuilt[..], b"evil"].concat();
    assert_eq!(
        first(&released, &longer),
        (Cause::Content, "between sections".into())
    );
}

#[test]
fn a_comment_names_tools() {
    assert!(super::names_a_tool("GCC: (Debian 12.2.0-14) 12.2.0"));
    assert!(super::names_a_tool("Debian clang version 14.0.6"));
    assert!(!super::names_a_tool("GCe: (Debian 12.2.0-14) 12.2.0"));
    assert!(!super::names_a_tool("curl evil | sh"));
    assert!(!super::names_a_tool("GCC: \u{1}\u{2}3"));
    assert!(!super::names_a_tool("GCC: payload"));
}

#[test]
fn a_section_names_the_debug_file_only_if_both_sides_say_nothing_else() {
    let section = |name: &str, data: &[u8]| super::Section {
        name: name.to_owned(),
        index: 1,
        nth: 0,
        address: 0,
        size: data.len() as u64,
        file: (0, data.len() as u64),
        data: data.to_vec().into(),
        loaded: false,
        executable: false,
    };
    let note = |kind: u8, vendor: &[u8]| {
        let data = [&[4, 0, 0, 0, 4, 0, 0, 0, kind, 0, 0, 0], vendor, b"abcd"].concat();
        section(super::BUILD_ID, &data)
    };
    let link = |data: &[u8]| section(super::DEBUG_LINK, data);
    for (released, rebuilt, wanted) in [
        (note(3, b"GNU\0"), note(3, b"GNU\0"), true),
        (note(3, b"GNU\0"), note(1, b"GNU\0"), false),
        (note(3, b"GNU\0"), note(3, b"XYZ\0"), false),
        (link(b"x.debug\0abcd"), link(b"y.debug\0efgh"), true),
        (link(b"x.debug\0abcd"), link(b"x.debug\0abcdevil"), false),
        (link(b"x.debug\0abcd"), note(3, b"GNU\0"), false),
    ] {
        for pair in [(&released, &rebuilt), (&rebuilt, &released)] {
            assert_eq!(super::names_debug_file(&pair), wanted, "{pair:?}");
        }
    }
}

//! Small modules, and the expected causes of their differences.

use super::super::writers::wasm;
use crate::compare::cause::Cause;
use crate::compare::{Options, compare_bytes};

#[test]
fn sections_have_the_cause_that_they_mean() {
    let base = [
        ("producers", &b"\x01\x0cprocessed-by\x01\x05rustc\x061.90.0"[..]),
        ("name", b"\0\x02\x01a"),
    ];
    let with = |name: &'static str, data: &'static [u8]| {
        let mut sections = base.to_vec();
        sections.retain(|(other, _)| *other != name);
        sections.push((name, data));
        wasm(b"hello", &sections)
    };
    let tool = |data| with("producers", data);
    let (one, other) = (
        tool(b"\x01\x0cprocessed-by\x01\x05rustc\x061.90.0"),
        tool(b"\x01\x0cprocessed-by\x01\x05rustc\x061.91.0"),
    );
    let table = [
        (one.clone(), other, Cause::ToolVersion),
        (
            with("name", b"\0\x02\x01a"),
            with("name", b"\0\x02\x01b"),
            Cause::DebugInformation,
        ),
        (
            with("build_id", b"\x01a"),
            with("build_id", b"\x01b"),
            Cause::BuildId,
        ),
        (
            with("build_id", b"\x01a"),
            with("build_id", b"\x01b!"),
            Cause::Content,
        ),
        (
            wasm(b"hello", &[("build_id", b"\x01a"), ("build_id", b"\x01a")]),
            wasm(b"hello", &[("build_id", b"\x01b"), ("build_id", b"\x01c")]),
            Cause::Content,
        ),
        (
            one.clone(),
            tool(b"\x01\x0cprocessed-by\x01\x05rustc\x06rm -rf"),
            Cause::Content,
        ),
        (with("evil", b"a"), with("evil", b"b"), Cause::Content),
        (wasm(b"hello", &base), wasm(b"hullo", &base), Cause::Content),
        (
            one.clone(),
            tool(b"\x01\x04evil\x01\x05rustc\x061.91.0"),
            Cause::Content,
        ),
        (one.clone(), [one, b"\0".to_vec()].concat(), Cause::Content),
    ];
    for (at, (released, rebuilt, cause)) in table.into_iter().enumerate() {
        let found = compare_bytes("x.wasm", &released, &rebuilt, &Options::default());
        assert_eq!(found.causes[0].cause, cause, "{at}: {found:#?}");
    }
}

#[test]
fn code_is_told_by_its_function() {
    let (released, rebuilt) = (wasm(b"x", &[]), wasm(b"x", &[]));
    let at = released.windows(2).rposition(|pair| pair == [0x41, 7]).unwrap();
    let mut rebuilt = rebuilt;
    rebuilt[at + 1] = 8;
    let found = compare_bytes("x.wasm", &released, &rebuilt, &Options::default());
    assert_eq!(
        found.causes[0].example.place,
        "code section, function 0 +0x2, 1 byte in all"
    );
}

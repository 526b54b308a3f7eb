//! Packages written by hand.

use sha2::{Digest as _, Sha256};

use crate::compare::{Cause, Comparison, Options, compare_bytes};

fn size<T>(values: &[T]) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}

/// A header of 32-bit numbers and strings.
fn header(values: &[(u32, Value)]) -> Vec<u8> {
    let (mut index, mut store) = (Vec::new(), Vec::new());
    for (tag, value) in values {
        let kind = match value {
            Value::Number(_) => 4_u32,
            Value::Short(_) => 3,
            Value::Text(_) => 6,
            Value::List(_) => 8,
            Value::Bytes(_) => 7,
        };
        let align = match value {
            Value::Number(_) => 4,
            Value::Short(_) => 2,
            _ => 1,
        };
        store.resize(store.len().next_multiple_of(align), 0);
        let count = match value {
            Value::List(list) => size(list),
            Value::Bytes(bytes) => size(bytes),
            _ => 1,
        };
        for number in [*tag, kind, size(&store), count] {
            index.extend(number.to_be_bytes());
        }
        match value {
            Value::Number(number) => store.extend(number.to_be_bytes()),
            Value::Short(number) => store.extend(number.to_be_bytes()),
            Value::Bytes(bytes) => store.extend_from_slice(bytes),
            Value::Text(text) => store.extend(text.bytes().chain([0])),
            Value::List(list) => list.iter().for_each(|text| store.extend(text.bytes().chain([0]))),
        }
    }
    let mut bytes = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
    bytes.extend((size(values)).to_be_bytes());
    bytes.extend((size(&store)).to_be_bytes());
    bytes.extend(index);
    bytes.extend(store);
    bytes
}

enum Value {
    Number(u32),
    Short(u16),
    Text(String),
    List(Vec<String>),
    Bytes(&'static [u8]),
}

/// The changes that a test makes to a package of one file.
#[derive(Default)]
struct Change {
    data: &'static str,
    description: &'static str,
    digest: Option<&'static str>,
    payload_digest: Option<&'static str>,
    signature: &'static [u8],
    time: u32,
    host: &'static str,
    /// Added to the size of header and payload.
    more: u32,
}

fn package(change: &Change) -> Vec<u8> {
    let text = |text: &str| Value::Text(text.to_owned());
    let mut payload = Vec::new();
    for (path, data, mode) in [("./a", change.data, 0o100_644), ("TRAILER!!!", "", 0)] {
        let numbers = [1, mode, 0, 0, 1, 0, data.len(), 0, 0, 0, 0, path.len() + 1, 0];
        payload.extend(b"070701");
        for number in numbers {
            payload.extend(format!("{number:08x}").bytes());
        }
        payload.extend(path.bytes().chain([0]));
        payload.resize(payload.len().next_multiple_of(4), 0);
        payload.extend(data.bytes());
        payload.resize(payload.len().next_multiple_of(4), 0);
    }
    let sha256 = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let list = |text: &str| Value::List(vec![text.to_owned()]);
    let own = |given: Option<&str>, bytes: &[u8]| list(&given.map_or_else(|| sha256(bytes), str::to_owned));
    let main = header(&[
        (1000, text("x")),
        (1005, text(change.description)),
        (1006, Value::Number(change.time)),
        (1028, Value::Number(size(change.data.as_bytes()))),
        (1030, Value::Short(0o100_644)),
        (1035, own(change.digest, change.data.as_bytes())),
        (1037, Value::Number(0)),
        (1116, Value::Number(0)),
        (1117, list("a")),
        (1118, list("/")),
        (5011, Value::Number(8)),
        (5092, own(change.payload_digest, &payload)),
        (5093, Value::Number(8)),
        (1007, text(change.host)),
    ]);
    let mut bytes = b"\xed\xab\xee\xdb\x03\0\0\0\0\x01x-1-1".to_vec();
    bytes.resize(96, 0);
    let length = size(&main) + size(&payload) + change.more;
    let mut tags = vec![(1000, Value::Number(length)), (273, text(&sha256(&main)))];
    if !change.signature.is_empty() {
        tags.insert(0, (268, Value::Bytes(change.signature)));
    }
    bytes.extend(header(&tags));
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    [bytes, main, payload].concat()
}

fn compared(released: &Change, rebuilt: &Change) -> Comparison {
    compare_bytes(
        "x.rpm",
        &package(released),
        &package(rebuilt),
        &Options::default(),
    )
}

const PLAIN: Change = Change {
    data: "one",
    description: "x",
    digest: None,
    payload_digest: None,
    signature: b"",
    time: 1_700_000_000,
    host: "",
    more: 0,
};

fn all(comparison: &Comparison) -> Vec<Cause> {
    comparison.causes.iter().map(|cause| cause.cause).collect()
}

#[test]
fn digests_follow_only_if_they_are_right() {
    let time = compared(
        &PLAIN,
        &Change {
            time: 1_700_000_009,
            ..PLAIN
        },
    );
    assert_eq!(all(&time), [Cause::Timestamp], "{:?}", time.tree);
    let data = compared(&PLAIN, &Change { data: "two", ..PLAIN });
    assert_eq!(all(&data), [Cause::Content], "{:?}", data.tree);
    assert_eq!(data.causes[0].example.path, "payload/a", "{:?}", data.causes);
    let digest = "0000000000000000000000000000000000000000000000000000000000000001";
    for lie in [
        Change {
            digest: Some(digest),
            ..PLAIN
        },
        Change {
            payload_digest: Some(digest),
            ..PLAIN
        },
        Change {
            payload_digest: Some(digest),
            time: 1,
            ..PLAIN
        },
        Change {
            digest: Some(digest),
            data: "two",
            ..PLAIN
        },
    ] {
        let found = compared(&PLAIN, &lie);
        let place = found.tree.as_ref().map(|tree| tree.findings.len());
        assert_eq!(
            (all(&found)[0], place),
            (Cause::Content, Some(1)),
            "{:?}",
            found.tree
        );
    }
}

#[test]
fn a_size_in_the_signature_follows_if_it_is_right() {
    let host = |host, more| Change { host, more, ..PLAIN };
    let causes = |other: &Change| all(&compared(&host("build1", 0), other));
    assert_eq!(causes(&host("builder22", 0)), [Cause::BuildHost]);
    assert_eq!(causes(&host("builder22", 1))[0], Cause::Content);
    assert_eq!(causes(&host("build1", 1))[0], Cause::Content);
}

#[test]
fn a_signature_of_one_side_is_one_if_it_is_a_packet() {
    let first = |signature: &'static [u8]| {
        let found = compared(&PLAIN, &Change { signature, ..PLAIN });
        let findings = found
            .tree
            .iter()
            .flat_map(|tree| &tree.children)
            .flat_map(|node| &node.findings);
        let mut signatures = findings.filter(|finding| finding.rebuilt.starts_with("signature"));
        signatures.next().map(|finding| finding.cause)
    };
    assert_eq!(first(&[0x88, 2, 4, 0]), Some(Cause::Signature));
    assert_eq!(first(&[0x88, 2, 4, 0, 0]), Some(Cause::Content));
    assert_eq!(first(b"hidden"), Some(Cause::Content));
}

#[test]
fn a_signature_of_another_header_is_content() {
    let signed = |time, signature| Change {
        signature,
        time,
        ..PLAIN
    };
    let causes = |time, signature| {
        all(&compared(
            &signed(PLAIN.time, &[0x88, 2, 4, 0]),
            &signed(time, signature),
        ))
    };
    assert_eq!(causes(1_700_000_009, &[0x88, 2, 4, 0])[0], Cause::Content);
    assert!(!causes(1_700_000_009, &[0x88, 2, 4, 1]).contains(&Cause::Content));
    assert!(!causes(1_700_000_009, &[]).contains(&Cause::Content));
}

#[test]
fn a_line_within_a_value_is_no_tag() {
    let with = |description| Change { description, ..PLAIN };
    let found = compared(&with("x\nsize: five"), &with("x\nsize: six"));
    assert_eq!(all(&found), [Cause::Content], "{:?}", found.tree);
}

#[test]
fn every_byte_before_the_payload_is_told() {
    let good = package(&PLAIN);
    let length = good.len() - 250;
    for at in 4..length {
        let mut other = good.clone();
        other[at] ^= 1;
        let found = compare_bytes("x.rpm", &good, &other, &Options::default());
        assert!(!found.causes.is_empty(), "{at}");
        let unseen = found.tree.iter().flat_map(|tree| &tree.findings);
        for finding in unseen {
            assert_ne!(
                finding.place.to_string(),
                "bytes that no reader looked at",
                "{at}"
            );
        }
    }
}

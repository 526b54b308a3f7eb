//! Pairs of JSON files, and the expected causes.

use crate::compare::{Cause, Comparison, Options, Outcome, compare_bytes};

fn compared(name: &str, released: &str, rebuilt: &str) -> Comparison {
    compare_bytes(name, released.as_bytes(), rebuilt.as_bytes(), &Options::default())
}

/// Cause, key and place of the first root cause.
fn first(released: &str, rebuilt: &str) -> (Cause, String, String) {
    let comparison = compared("x.json", released, rebuilt);
    assert_ne!(comparison.outcome, Outcome::Identical);
    let cause = &comparison.causes[0];
    (cause.cause, cause.key.clone(), cause.example.place.clone())
}

#[test]
fn a_changed_value_is_content_at_its_pointer() {
    let table = [
        // Digits beyond the precision of a float, and other notations of a number.
        (
            r#"{"limit": 123456789012345678901234}"#,
            r#"{"limit": 123456789012345678901235}"#,
            "/limit",
        ),
        (r#"{"n": 1}"#, r#"{"n": 1.0}"#, "/n"),
        (r#"{"n": 100}"#, r#"{"n": 1e2}"#, "/n"),
        (r#"{"n": 0}"#, r#"{"n": -0}"#, "/n"),
        (r#"{"n": 1}"#, r#"{"n": "1"}"#, "/n"),
        (r#"{"n": null}"#, r#"{"n": false}"#, "/n"),
        (r#"{"n": "null"}"#, r#"{"n": null}"#, "/n"),
        (r#"{"date": "2024-01-02"}"#, r#"{"date": 20240103}"#, "/date"),
        (r#"{"a/b": {"~": "x"}}"#, r#"{"a/b": {"~": "y"}}"#, "/a~1b/~0"),
        // Members and elements that only one side has, and another order of elements.
        (r#"{"a": 1}"#, r#"{"a": 1, "b": 2}"#, "/b"),
        (r#"{"a": [1, 2, 3]}"#, r#"{"a": [1, 3]}"#, "/a/1"),
        (r#"{"a": ["x", "y"]}"#, r#"{"a": ["y", "x"]}"#, "/a"),
        (r"[[1], [2]]", r"[[2], [1]]", "/0/0"),
        // Repeated names: some readers take the first, some the last.
        (r#"{"a": 1, "a": 2}"#, r#"{"a": 2, "a": 1}"#, "/a"),
        (r#"{"a": 1, "a": 2}"#, r#"{"a": 2}"#, "/a"),
        (r#"{"a": 1, "\u0061": 2}"#, r#"{"\u0061": 2, "a": 1}"#, "/a"),
        // Half a surrogate pair differs from the replacement character.
        (r#"{"a": "\ud800"}"#, r#"{"a": "\ufffd"}"#, "/a"),
        (r#"{"a": "\ud800x"}"#, r#"{"a": "\udbffx"}"#, "/a"),
    ];
    for (old, new, place) in table {
        let (cause, key, found) = first(old, new);
        assert_eq!(
            (cause, found.as_str()),
            (Cause::Content, place),
            "{old} {new} {key}"
        );
        assert_eq!(first(new, old).0, Cause::Content, "{new} {old}");
    }
}

#[test]
fn other_ways_to_write_the_same_values_have_their_names() {
    let table = [
        (
            r#"{"a": 1, "b": 2}"#,
            r#"{"b": 2, "a": 1}"#,
            Cause::Order,
            "keys of JSON objects",
        ),
        (
            r#"{"a": 1, "b": 2, "a": 3}"#,
            r#"{"b": 2, "a": 1, "a": 3}"#,
            Cause::Order,
            "keys of JSON objects",
        ),
        (r#"{"a": 1}"#, r#"{"a":1}"#, Cause::ToolVersion, "layout of JSON"),
        ("{\"a\": 1}\n", "{\"a\": 1}", Cause::ToolVersion, "layout of JSON"),
        ("[1,2]", "[\n 1,\n 2\n]\n", Cause::ToolVersion, "layout of JSON"),
        ("[1,\r\n2]\r\n", "[1,\n2]\n", Cause::HostSystem, "line ends"),
        (
            r#"{"a": "é/A😀"}"#,
            r#"{"a": "\u00E9\/\u0041\ud83d\uDE00"}"#,
            Cause::ToolVersion,
            "escapes in JSON strings",
        ),
        (
            r#"{"a": 1}"#,
            r#"{"\u0061": 1}"#,
            Cause::ToolVersion,
            "escapes in JSON strings",
        ),
    ];
    for (old, new, cause, key) in table {
        let (found, found_key, _) = first(old, new);
        assert_eq!((found, found_key.as_str()), (cause, key), "{old} {new}");
        assert_eq!(compared("x.json", old, new).causes.len(), 1, "{old} {new}");
        assert_eq!(first(new, old).0, cause);
    }
}

#[test]
fn each_of_several_differences_is_named() {
    let comparison = compared(
        "x.json",
        r#"{"a": "A", "b": [1, 2]}"#,
        r#"{"b":[1,2],"a":"\u0041"}"#,
    );
    let keys: Vec<_> = comparison.causes.iter().map(|cause| cause.key.as_str()).collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    for key in [
        "keys of JSON objects",
        "escapes in JSON strings",
        "layout of JSON",
    ] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    // A changed value comes first, whatever other differences there are.
    let (cause, _, place) = first(r#"{"a": "A", "b": [1, 2]}"#, r#"{"b":[1,3],"a":"\u0041"}"#);
    assert_eq!((cause, place.as_str()), (Cause::Content, "/b/1"));
}

#[test]
fn a_date_of_another_name_is_content_and_a_serial_number_is_not() {
    let dated = |name: &str| {
        let with = |day: u32| format!("{{\"{name}\": \"2026-11-{day}\"}}");
        first(&with(25), &with(26)).0
    };
    assert_eq!(dated("cutoff"), Cause::Content);
    assert_eq!(dated("apiVersion"), Cause::Content);
    assert_eq!(dated("releaseDate"), Cause::Timestamp);
    let named = |name: &str| {
        let with =
            |first: char| format!("{{\"{name}\": \"urn:uuid:{first}f0a1c7e-8a4b-4c2d-9e1f-aabbccddeeff\"}}");
        first(&with('2'), &with('3')).0
    };
    assert_eq!(named("serialNumber"), Cause::Randomness);
    assert_eq!(named("key"), Cause::Content);
}

#[test]
fn white_space_within_strings_is_content() {
    assert_eq!(first(r#"{"a": "x y"}"#, r#"{"a": "x  y"}"#).0, Cause::Content);
    assert_eq!(first(r#"{"a": "x"}"#, r#"{"a": "x\n"}"#).0, Cause::Content);
}

#[test]
fn conditions_of_node_packages_are_in_order() {
    let old = r#"{"exports": {"import": "./a.js", "default": "./b.js"}}"#;
    let new = r#"{"exports": {"default": "./b.js", "import": "./a.js"}}"#;
    assert_eq!(compared("package.json", old, new).causes[0].cause, Cause::Content);
    assert_eq!(compared("other.json", old, new).causes[0].cause, Cause::Order);
    let old = r#"{"typesVersions": {">=4": {"*": ["a"]}, "*": {"*": ["b"]}}}"#;
    let new = r#"{"typesVersions": {"*": {"*": ["b"]}, ">=4": {"*": ["a"]}}}"#;
    assert_eq!(compared("package.json", old, new).causes[0].cause, Cause::Content);
}

#[test]
fn a_range_that_an_installer_chooses_by_is_content() {
    let old = r#"{"dependencies": {"a": "^1.2.0"}}"#;
    let new = r#"{"dependencies": {"a": "^1.3.0"}}"#;
    assert_eq!(compared("package.json", old, new).causes[0].cause, Cause::Content);
    let told = compared("versions.json", old, new).causes[0].cause;
    assert_eq!(told, Cause::DependencyVersion);
}

#[test]
fn marks_and_bytes_after_the_document_are_content() {
    let pairs = [
        ("{\"a\": 1}", "\u{feff}{\"a\": 1}"),
        ("{\"a\": 1}", "{\"a\": 1} evil"),
        ("{\"a\": 1}", "{\"a\": 1}{\"a\": 2}"),
        ("{\"a\": 1}", "{\"a\": 1,}"),
        ("{\"a\": 1}", "{\"a\": 01}"),
    ];
    for (old, new) in pairs {
        assert_eq!(first(old, new).0, Cause::Content, "{old} {new}");
    }
}

#[test]
fn lines_are_documents() {
    let (cause, _, place) = first("{\"a\": 1}\n{\"a\": 2}\n", "{\"a\": 1}\n{\"a\": 3}\n");
    assert_eq!((cause, place.as_str()), (Cause::Content, "document 2: /a"));
    let (cause, key, _) = first("{\"a\":1}\n{\"b\":2,\"c\":3}\n", "{\"a\":1}\n{\"c\":3,\"b\":2}\n");
    assert_eq!((cause, key.as_str()), (Cause::Order, "keys of JSON objects"));
    assert_eq!(
        first("{\"a\":1}\n{\"a\":2}\n", "{\"a\":2}\n{\"a\":1}\n").0,
        Cause::Content
    );
    assert_eq!(first("{\"a\":1}\n{\"a\":2}\n", "{\"a\":1}\n").0, Cause::Content);
}

#[test]
fn what_a_build_leaves_behind_is_named() {
    let (cause, _, place) = first(
        r#"{"built": "2024-01-02T03:04:05Z"}"#,
        r#"{"built": "2024-01-03T07:08:09Z"}"#,
    );
    assert_eq!((cause, place.as_str()), (Cause::Timestamp, "/built"));
}

#[test]
fn a_date_among_words_is_a_part_of_them() {
    let (cause, _, _) = first(
        r#"{"scripts": {"postinstall": "fetch 2024-01-02"}}"#,
        r#"{"scripts": {"postinstall": "fetch 2024-01-03"}}"#,
    );
    assert_eq!(cause, Cause::Content);
}

#[test]
fn a_setting_is_content_whatever_its_name() {
    for (old, new) in [
        (r#"{"jobs": 4}"#, r#"{"jobs": 8}"#),
        (r#"{"encoding": "utf-8"}"#, r#"{"encoding": "latin-1"}"#),
    ] {
        assert_eq!(first(old, new).0, Cause::Content, "{old} {new}");
    }
}

#[test]
fn deep_and_wide_files_are_bounded() {
    let deep = |end: &str| format!("{}{end}{}", "[".repeat(2000), "]".repeat(2000));
    assert_eq!(first(&deep("1"), &deep("2")).0, Cause::Content);
    let wide = |end: &str| {
        let values: Vec<_> = (0..1500).map(|n| format!("\"{n}{end}\"")).collect();
        format!("{{\"{}\": [{}]}}", "k".repeat(10_000), values.join(","))
    };
    let started = std::time::Instant::now();
    assert_eq!(first(&wide("a"), &wide("b")).0, Cause::Content);
    // An algorithm that is not linear takes hours.
    assert!(started.elapsed().as_secs() < 300, "{:?}", started.elapsed());
}

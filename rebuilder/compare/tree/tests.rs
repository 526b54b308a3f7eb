//! Members in a short notation, and the effects of their order.

use super::*;
use crate::compare::stored::{FieldKind, Value};

static KIND: FieldKind = FieldKind::new("type", Cause::Content);

/// Members in a short notation: `a/`, `a`, `a -> b` and `a = b` are a folder, a file, a symbolic link and a hard link.
fn outline(hasher: &RandomState, members: &[&str]) -> Outline {
    let mut tree = Tree::new(hasher);
    for member in members {
        let parts = |by| member.split_once(by);
        let (path, what, target) = if let Some((path, target)) = parts(" -> ") {
            (path, Type::SymbolicLink, Some(target))
        } else if let Some((path, target)) = parts(" = ") {
            (path, Type::HardLink, Some(target))
        } else if member.ends_with('/') {
            (*member, Type::Folder, None)
        } else {
            (*member, Type::File, None)
        };
        let mut fields: Fields = vec![(&KIND, Value::Type(what))];
        fields.extend(target.map(|target| (&KIND, Value::Target(target.to_owned())) as _));
        tree.add(path, &fields);
    }
    tree.outline()
}

fn matters(released: &[&str], rebuilt: &[&str], folders_first: bool) -> bool {
    let hasher = RandomState::new();
    let outlines = Both::new(outline(&hasher, released), outline(&hasher, rebuilt));
    order_matters(outlines.as_ref(), folders_first).is_some()
}

#[test]
fn paths_are_cleaned_as_unpackers_do() {
    for (path, wanted) in [
        ("a/x", "a/x"),
        ("./a/x", "a/x"),
        ("a//x", "a/x"),
        ("a/./x/", "a/x"),
        (".//a", "a"),
        ("./", "."),
        (".", "."),
        ("", "."),
        ("/a/x", "/a/x"),
        ("//a", "/a"),
        ("a/../x", "a/../x"),
        ("..a/.x", "..a/.x"),
    ] {
        assert_eq!(clean(path), wanted, "{path}");
    }
}

#[test]
fn order_matters_only_where_the_tree_depends_on_it() {
    let same: [(&[&str], &[&str]); 5] = [
        (&["a", "b", "c/", "c/d"], &["c/", "c/d", "b", "a"]),
        (&["a/", "a/x"], &["a/x", "a/"]),
        (&["x", "y", "z = x"], &["y", "x", "z = x"]),
        (&["l -> a", "a/", "a/x"], &["a/", "a/x", "l -> a"]),
        (&["a/", "A/", "a/x", "A/y"], &["A/", "A/y", "a/", "a/x"]),
    ];
    for (released, rebuilt) in same {
        assert!(!matters(released, rebuilt, false), "{released:?} {rebuilt:?}");
    }
    let others: [(&[&str], &[&str]); 12] = [
        (&["x", "z = x"], &["z = x", "x"]),
        (&["x", "z = ./x", "x"], &["x", "x", "z = ./x"]),
        (&["a/x", "a//x"], &["a//x", "a/x"]),
        (&["a/x", "b", "/a/x"], &["/a/x", "a/x", "b"]),
        (&["README", "readme"], &["readme", "README"]),
        (&["\u{e9}", "e\u{301}"], &["e\u{301}", "\u{e9}"]),
        (&["stra\u{df}e", "STRASSE"], &["STRASSE", "stra\u{df}e"]),
        (&["a/x", "a\\x"], &["a\\x", "a/x"]),
        (&["l -> a", "l/x", "a/x"], &["l -> a", "a/x", "l/x"]),
        (&["l/x", "l -> a"], &["l -> a", "l/x"]),
        (&["a/../x", "x"], &["x", "a/../x"]),
        (&["a", "a/x"], &["a/x", "a"]),
    ];
    for (released, rebuilt) in others {
        assert!(matters(released, rebuilt, false), "{released:?} {rebuilt:?}");
    }
    assert!(matters(&["a/", "a/x"], &["a/x", "a/"], true));
    assert!(matters(&["A/", "a/", "a/x"], &["A/", "a/x", "a/"], true));
    assert!(!matters(&["b/", "a/", "a/x"], &["a/", "a/x", "b/"], true));
}

#[test]
fn what_unpackers_disagree_about_is_told_unless_both_sides_have_it() {
    let hasher = RandomState::new();
    let told = |released: &[&str], rebuilt: &[&str]| {
        let outlines = Both::new(outline(&hasher, released), outline(&hasher, rebuilt));
        ambiguous(outlines.as_ref()).map(|finding| finding.released)
    };
    for one in [
        &["x", "x"] as &[&str],
        &["x", "./x"],
        &["/x", "y"],
        &["../x"],
        &["l -> a", "l/x"],
        &["a/", "a"],
    ] {
        assert!(
            told(one, &["x"]).is_some_and(|words| !words.is_empty()),
            "{one:?}"
        );
        assert_eq!(told(one, one), None, "{one:?}");
    }
    assert_eq!(told(&["a/", "a/"], &["a/"]), None);
    assert_eq!(told(&["x", "y"], &["x", "X"]), None);
    assert!(told(&["x", "./x"], &["./x", "x"]).is_some());
}

#[test]
fn a_path_of_very_many_components_is_not_followed() {
    let deep = "a/".repeat(20_000) + "x";
    let hasher = RandomState::new();
    let outline = outline(&hasher, &[&deep]);
    assert!(outline.tangled.is_some());
}

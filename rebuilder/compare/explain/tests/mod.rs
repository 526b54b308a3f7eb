//! Pairs of lines with their causes, each beside a similar line that is a change of content.

mod dates;
mod generators;
mod places;

use super::path::BUILD_ROOT;
use super::*;
use crate::compare::cause::Cause;

fn causes(released: &str, rebuilt: &str, field: &str) -> Vec<(Cause, String)> {
    let context = Context {
        field,
        meaning: (field == "Depends").then_some(Meaning::Dependency),
        ..Context::default()
    };
    explain(released, rebuilt, context)
        .into_iter()
        .map(|reason| (reason.cause, reason.key))
        .collect()
}

/// A line on both sides with its cause, and a rebuilt line that is a change of content.
type Row = (&'static str, &'static str, Cause, &'static str);

fn check(rows: &[Row]) {
    let mut wrong = Vec::new();
    for (released, rebuilt, cause, content) in rows {
        let found = causes(released, rebuilt, "");
        if found.first().map(|(cause, _)| *cause) != Some(*cause) {
            wrong.push(format!("{released:?} {rebuilt:?}: {found:?}, not {cause:?}"));
        }
        let found = causes(released, content, "");
        if !found.is_empty() {
            wrong.push(format!("{released:?} {content:?}: {found:?}, not content"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_pattern_compiles() {
    for (_, patterns) in CLASSES.iter() {
        assert!(patterns.iter().all(|pattern| pattern.regex().is_some()));
    }
    assert!(BUILD_ROOT.is_some() && TOOL.is_some());
}

#[test]
fn commits_are_told_in_the_forms_of_tools() {
    let hash = "abcdef0123abcdef0123abcdef0123abcdef0123";
    let other = "0123abcdef0123abcdef0123abcdef0123abcdef";
    for (released, rebuilt) in [
        (
            "__version__ = '1.2.1.dev3+gabc1234'".to_owned(),
            "__version__ = '1.2.1.dev3+g9991234'".to_owned(),
        ),
        (
            "1.2.1.dev3+gabc1234".to_owned(),
            "1.2.1.dev3+gabc1234.d20261125".to_owned(),
        ),
        ("v1.2-3-gabcdef1".to_owned(), "v1.2-3-gabcdef12".to_owned()),
        ("v1.2-3-gabcdef1".to_owned(), "v1.2-3-gabcdef1-dirty".to_owned()),
        ("v1.2".to_owned(), "v1.2-3-gabcdef1".to_owned()),
        ("v1.2".to_owned(), "v1.2-dirty".to_owned()),
        ("1.0+3.gabcdef1".to_owned(), "1.0+3.gabcdef2.dirty".to_owned()),
        (format!("commit: {hash}"), format!("commit: {other}")),
        (format!("GIT_SHA1=\"{hash}\""), format!("GIT_SHA1=\"{other}\"")),
        (format!("git-{hash}"), format!("git-{other}")),
        (format!("Revision {hash}"), format!("Revision {other}")),
    ] {
        let found = causes(&released, &rebuilt, "");
        assert_eq!(
            found.first().map(|(cause, _)| *cause),
            Some(Cause::SourceRevision),
            "{released} {rebuilt}"
        );
        assert_eq!(
            rebuilt.contains("dirty") || rebuilt.contains(".d2"),
            found[0].1.contains("dirty"),
            "{found:?}"
        );
    }
    for (released, rebuilt) in [
        ("v1.2-3-gabcdef1".to_owned(), "v1.3-3-gabcdef1".to_owned()),
        ("v1.2".to_owned(), "v1.2-3-gabcdefz".to_owned()),
        ("v1.2".to_owned(), "v1.3".to_owned()),
        (format!("sha256: {hash}"), format!("sha256: {other}")),
        (format!("integrity: {hash}"), format!("integrity: {other}")),
        (
            format!("https://a.org/commit/{hash}"),
            format!("https://a.org/commit/{other}"),
        ),
        ("commit 1234567".to_owned(), "commit 1234568".to_owned()),
        (format!("commit: {hash}"), format!("commit: {other} && evil")),
    ] {
        assert_eq!(
            causes(&released, &rebuilt, ""),
            Vec::new(),
            "{released} {rebuilt}"
        );
    }
}

#[test]
fn one_text_may_have_several_reasons() {
    let found = causes(
        "/build/a/x.c built 2026-11-25 03:39:45 by ada@laptop",
        "/build/b/x.c built 2026-11-26 03:12:01 by root@ci",
        "",
    );
    let causes: Vec<_> = found.iter().map(|(cause, _)| *cause).collect();
    assert_eq!(causes, [Cause::Timestamp, Cause::BuildPath, Cause::BuildHost]);
    assert_eq!(found[1].1, "/build/a → /build/b");
}

proptest::proptest! {
    #[test]
    fn a_build_path_is_one_whatever_the_folders_are_called(
        name in "[A-Za-z0-9]{6}",
        file in "[a-z]{1,8}",
    ) {
        let (released, rebuilt) = (format!("/tmp/.tmp{name}/build/a/{file}.c"), format!("/tmp/.tmp{name}/build/b/{file}.c"));
        let found = causes(&released, &rebuilt, "");
        proptest::prop_assert_eq!(found.first().map(|(cause, _)| *cause), Some(Cause::BuildPath), "{} {:?}", released, found);
    }

    #[test]
    fn a_letter_more_is_never_explained(at in 0_usize..60, letter in "[b-z]") {
        let released = "/build/a/x.c built 2026-11-25 03:39:45 by ada@laptop, see manual";
        let mut rebuilt = "/build/b/x.c built 2026-11-26 03:12:01 by root@ci-run, see manual".to_owned();
        rebuilt.insert_str(at + 1, &letter);
        rebuilt.insert(at + 2, '~');
        // Names of folders and hosts may be any.
        let inside = |range: Range<usize>| range.contains(&(at + 1));
        proptest::prop_assume!(!inside(7..9) && !inside(42..54));
        proptest::prop_assert_eq!(causes(released, &rebuilt, ""), Vec::new(), "{}", rebuilt);
    }
}

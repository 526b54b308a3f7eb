//! Pairs of zip files and the expected findings.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::semicolon_if_nothing_returned
)]

mod archives;
mod benign;
mod hostile;
mod writer;

use crate::compare::{Cause, Comparison, Options, Outcome, compare_bytes};

fn compare(released: &[u8], rebuilt: &[u8]) -> Comparison {
    compare_bytes("a.zip", released, rebuilt, &Options::default())
}

/// Causes, places and values, for the message of a failed test.
fn told(comparison: &Comparison) -> String {
    let causes = comparison.causes.iter();
    let causes = causes.map(|cause| {
        let example = &cause.example;
        format!(
            "{}: {} [{} | {}]",
            cause.cause.name(),
            example.place,
            example.released,
            example.rebuilt
        )
    });
    causes.collect::<Vec<_>>().join("\n")
}

/// Asserts that exactly these normalisations set everything aside.
fn set_aside(what: &str, released: &[u8], rebuilt: &[u8], by: &[&str]) -> Comparison {
    let found = compare(released, rebuilt);
    let names: Vec<&str> = found.normalisations.iter().map(|own| own.name.name()).collect();
    assert_eq!(
        (found.outcome, names.as_slice()),
        (Outcome::Equivalent, by),
        "{what}: {}",
        told(&found)
    );
    found
}

/// Asserts that a pair has that cause in that place, and is not equivalent in either direction. The worst cause comes
/// first.
fn differs(what: &str, released: &[u8], rebuilt: &[u8], cause: Cause, place: &str) {
    for (old, new) in [(released, rebuilt), (rebuilt, released)] {
        let found = compare(old, new);
        let mut causes = found.causes.iter();
        if cause != Cause::Permissions {
            causes = found.causes.get(..1).unwrap_or_default().iter();
        }
        let is_told = causes.any(|own| own.cause == cause && own.example.place == place);
        assert!(
            is_told && found.outcome == Outcome::Different,
            "{what}: {}",
            told(&found)
        );
    }
}

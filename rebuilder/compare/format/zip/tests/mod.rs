//! Pairs of zip files and what is to be said of them.

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

/// Causes, places and values, for people who read a failed test.
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

/// A pair of which everything is set aside by these normalisations, and by no others.
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

/// A pair with that cause in that place, which is not equivalent in either direction. What is worst comes first.
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

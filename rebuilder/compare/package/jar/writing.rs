//! The form in which two manifests write common attributes: all bytes that are neither a name nor a value.

use std::collections::BTreeSet;

use super::manifest::Manifest;
use crate::compare::both::Both;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

/// One finding for each difference in form.
pub(super) fn compare(sides: Both<&Manifest>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |place: &str, cause, values: Option<(String, String)>| {
        findings.extend(values.map(|(released, rebuilt)| of_form(place, released, rebuilt, cause)));
    };
    add(
        "line ends",
        Cause::HostSystem,
        first(sides.map(|side| vec![ends(side)])),
    );
    add("blank lines", Cause::ArchiveDialect, first(sides.map(blanks)));
    let common = {
        let own = sides.map(|side| {
            attributes(side)
                .into_iter()
                .map(Written::key)
                .collect::<BTreeSet<_>>()
        });
        sides.map(|side| {
            let mut all = attributes(side);
            all.retain(|attribute| own.as_ref().all(|own| own.contains(&attribute.key())));
            all
        })
    };
    let each = |tell: fn(&Written) -> String| {
        common
            .as_ref()
            .map(|all| all.iter().map(tell).collect::<Vec<_>>())
    };
    add("order of attributes", Cause::Order, first(each(place)));
    let sorted = common.map(|mut all| {
        all.sort_by_key(|attribute| attribute.key());
        all
    });
    let each = |tell: fn(&Written) -> String| {
        sorted
            .as_ref()
            .map(|all| all.iter().map(tell).collect::<Vec<_>>())
    };
    add(
        "letters of attribute names",
        Cause::ArchiveDialect,
        first(each(|own| own.name.to_owned())),
    );
    add("folding of lines", Cause::ArchiveDialect, first(each(folded)));
    findings
}

/// A finding for a difference only in form.
pub(super) fn of_form(place: &str, released: String, rebuilt: String, cause: Cause) -> Finding {
    Finding::new(place, released, rebuilt)
        .because(cause, Confidence::Proven)
        .keyed(format!("{place} in MANIFEST.MF"))
        .set_aside_by(Normalisation::JarManifestForm)
}

/// The first difference of two lists.
fn first(lists: Both<Vec<String>>) -> Option<(String, String)> {
    if lists.same() {
        return None;
    }
    let Both { released, rebuilt } = lists;
    let at = released
        .iter()
        .zip(&rebuilt)
        .take_while(|(one, other)| one == other)
        .count();
    let one = |list: &[String]| list.get(at).cloned().unwrap_or_default();
    Some((one(&released), one(&rebuilt)))
}

fn ends(side: &Manifest) -> String {
    let seen = ["CR LF", "LF", "CR"]
        .iter()
        .zip(side.ends)
        .filter(|(_, seen)| *seen);
    seen.map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}

/// The places with more than the one blank line between sections, and the number of blank lines at the end.
fn blanks(side: &Manifest) -> Vec<String> {
    let last = side.blanks.last().copied().unwrap_or(0);
    let at_end = last.saturating_add(usize::from(side.closed));
    side.sections
        .iter()
        .zip(&side.blanks)
        .filter(|(_, blanks)| **blanks > 0)
        .map(|(section, blanks)| format!("{blanks} before {}", section.name))
        .chain([format!("{at_end} at the end")])
        .collect()
}

/// An attribute of one side, or the name of a section.
#[derive(Clone, Copy)]
struct Written<'a> {
    section: &'a str,
    name: &'a str,
    value: &'a str,
    folds: &'a [usize],
}

impl<'a> Written<'a> {
    fn key(self) -> (&'a str, String, &'a str) {
        (self.section, self.name.to_ascii_lowercase(), self.value)
    }
}

fn place(own: &Written) -> String {
    format!("{} {}", own.section, own.name.to_ascii_lowercase())
        .trim_start()
        .to_owned()
}

fn folded(own: &Written) -> String {
    let lengths: Vec<String> = own.folds.iter().map(ToString::to_string).collect();
    format!("{} in lines of {}", place(own), lengths.join(", "))
}

/// In stored order.
fn attributes(side: &Manifest) -> Vec<Written<'_>> {
    let mut written = Vec::new();
    for (at, section) in std::iter::once(&side.main).chain(&side.sections).enumerate() {
        if at > 0 {
            written.push(Written {
                section: &section.name,
                name: "Name",
                value: "",
                folds: &section.name_folds,
            });
        }
        written.extend(section.attributes.iter().map(|attribute| Written {
            section: &section.name,
            name: &attribute.name,
            value: &attribute.value,
            folds: &attribute.folds,
        }));
    }
    written
}

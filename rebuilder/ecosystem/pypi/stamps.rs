//! Versions of build requirements that files in a wheel name, as translations name the Babel that compiled them.

use pep440_rs::Version;

use crate::compare::Node;
use crate::plan::Plan;
use crate::run::Record;

/// Maximum number of differences that are looked at.
const MOST: usize = 200;

/// A build requirement, and the version of it that the released file names where the rebuilt one names the plan's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub project: String,
    pub version: String,
    /// The file that names it.
    pub path: String,
}

/// The first difference of which the version of a build requirement is the only reason.
pub(super) fn first(plan: &Plan, record: &Record) -> Option<Stamp> {
    let required: Vec<(&str, &str)> = plan.inputs.iter().filter_map(|it| wheel(&it.place)).collect();
    let mut seen = 0_usize;
    let mut found = None;
    let mut note = |path: &str, node: &Node| {
        for finding in &node.findings {
            seen = seen.saturating_add(1);
            if found.is_none() && seen <= MOST {
                found = stamp(&required, &finding.released, &finding.rebuilt, path);
            }
        }
    };
    for tree in record
        .comparisons()
        .filter_map(|comparison| comparison.tree.as_ref())
    {
        tree.each("", &mut note);
    }
    found
}

/// Project and version of a wheel among the dependencies.
fn wheel(place: &str) -> Option<(&str, &str)> {
    let mut parts = place
        .strip_prefix("dependencies/")?
        .strip_suffix(".whl")?
        .split('-');
    Some((parts.next()?, parts.next()?))
}

/// The version in `released`, if it differs from `rebuilt` only in that of a project named before it.
fn stamp(required: &[(&str, &str)], released: &str, rebuilt: &str, path: &str) -> Option<Stamp> {
    required.iter().find_map(|(project, version)| {
        let (before, after) = rebuilt.split_once(version)?;
        let named = |name: &str| before.to_lowercase().contains(&name.to_lowercase());
        let other = released.strip_prefix(before)?.strip_suffix(after)?;
        let fits = named(project) || named(&project.replace('_', "-"));
        (fits && other != *version && other.parse::<Version>().is_ok()).then(|| Stamp {
            project: (*project).to_lowercase(),
            version: other.to_owned(),
            path: path.trim_start_matches('/').to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_version_behind_the_name_of_a_requirement_is_one_of_it() {
        let required = [("Babel", "2.14.0"), ("zope.interface", "6.1"), ("a_b", "1.0")];
        for (released, rebuilt, expected) in [
            (
                "Generated-By: Babel 2.12.1\\n",
                "Generated-By: Babel 2.14.0\\n",
                Some(("babel", "2.12.1")),
            ),
            ("by a-b 0.9", "by a-b 1.0", Some(("a_b", "0.9"))),
            ("Babel 2.14.0", "Babel 2.14.0", None),
            ("Version: 2.12.1", "Version: 2.14.0", None),
            ("Babel 2.12.1 now", "Babel 2.14.0 then", None),
            ("Babel nightly", "Babel 2.14.0", None),
            ("", "", None),
        ] {
            let found = stamp(&required, released, rebuilt, "/a.mo");
            let found = found
                .as_ref()
                .map(|it| (it.project.as_str(), it.version.as_str()));
            assert_eq!(found, expected, "{released}");
        }
    }
}

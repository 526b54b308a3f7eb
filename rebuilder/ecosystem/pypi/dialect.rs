//! What the form of a wheel's metadata shows about the tool that wrote it.
//!
//! Old versions of setuptools have habits that later ones dropped; each bounds the version. Only the form is used,
//! never the content of the metadata.

use pep440_rs::Version;

use super::requirement;

/// A bound on the version of a tool, and the evidence for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Such as `setuptools<57`.
    pub requirement: String,
    /// The habit that was found.
    pub evidence: &'static str,
}

impl Dialect {
    /// Whether the copy of "wheel" in setuptools meets it as well.
    pub(super) fn is_own_copy(&self) -> bool {
        self.requirement == OLD_WHEEL
    }
}

/// A habit: the first version of setuptools without it, and its name in the plan.
type Habit = (&'static str, &'static str);

/// Lines of `METADATA` that older versions of setuptools write.
const LINES: [Habit; 3] = [
    ("56.2", "Author: UNKNOWN"),
    ("60.6", "Home-page: UNKNOWN"),
    ("62.2", "Platform: UNKNOWN"),
];
/// The habit for a project without a description.
const UNDESCRIBED: Habit = ("62.2", "the description UNKNOWN");
/// The first version that lists licence files in `METADATA`.
const UNLISTED: Habit = ("57", "a licence file that METADATA does not list");
/// The first version that writes entry points from scratch, instead of copying their text.
const BLANK_LINE: Habit = ("60.9", "a blank line at the end of entry_points.txt");

/// Versions of setuptools that contain wheel 0.43, but use another one if it is installed.
const BORROWERS: (&str, &str) = ("71", "75.6");

/// A "wheel" that writes requirements as the copy in these versions does.
const OLD_WHEEL: &str = "wheel<0.44";

/// The tightest bound from the habits in a wheel's metadata.
pub(super) fn of(generator: &str, metadata: &str, entry_points: &str, has_licence: bool) -> Option<Dialect> {
    if let Some(version) = generator.strip_prefix("setuptools ") {
        return borrowed(version.trim_matches(['(', ')']), metadata);
    }
    if !generator.starts_with("bdist_wheel") {
        return None;
    }
    let (headers, body) = metadata.split_once("\n\n").unwrap_or((metadata, ""));
    let headers: Vec<_> = headers.lines().collect();
    let unlisted = has_licence && !headers.iter().any(|line| line.starts_with("License-File:"));
    let lines = LINES.into_iter().filter(|(_, line)| headers.contains(line));
    let others = [
        (body.trim() == "UNKNOWN", UNDESCRIBED),
        (unlisted, UNLISTED),
        (entry_points.ends_with("\n\n"), BLANK_LINE),
    ];
    let others = others
        .into_iter()
        .filter_map(|(seen, habit)| seen.then_some(habit));
    let version = |habit: &Habit| habit.0.parse::<Version>().ok();
    let (first, evidence) = lines.chain(others).min_by_key(version)?;
    Some(Dialect {
        requirement: format!("setuptools<{first}"),
        evidence,
    })
}

/// The package "wheel" writes requirements with a space before the version up to 0.43, and without one since 0.44. If a
/// setuptools that contains 0.43 writes no space, it used an installed package; if it writes one, none that is newer.
fn borrowed(version: &str, metadata: &str) -> Option<Dialect> {
    let version: Version = version.parse().ok()?;
    let bound = |text: &str| text.parse::<Version>().ok();
    if version < bound(BORROWERS.0)? || version >= bound(BORROWERS.1)? {
        return None;
    }
    let bounded = |line: &&str| line.contains(['<', '>', '=', '~', '!']);
    let required: Vec<_> = required(metadata).map(|(text, _)| text).collect();
    let mut bounded = required.iter().copied().filter(|line| bounded(line)).peekable();
    bounded.peek()?;
    let spaced = |line: &str| {
        let before = line.split(['<', '>', '=', '~', '!']).next();
        before.is_some_and(|name| name.ends_with(' '))
    };
    if bounded.clone().all(spaced) {
        return Some(Dialect {
            requirement: OLD_WHEEL.into(),
            evidence: "requirements with a space before the version",
        });
    }
    bounded.all(|line| !line.contains(' ')).then(|| Dialect {
        requirement: "wheel>=0.44".into(),
        evidence: "requirements without a space before the version",
    })
}

/// Whether the lines of every group of requirements are sorted, and one group has several. Since 2014 the setuptools
/// of Debian and its derivatives sorts them; others keep the project's order.
pub(super) fn is_sorted(generator: &str, metadata: &str) -> bool {
    if !generator.starts_with("bdist_wheel") {
        return false;
    }
    // As in requires.txt, with a group for each marker.
    let lines: Vec<(String, &str)> = required(metadata)
        .map(|(text, marker)| (text.replace(['(', ')', ' '], ""), marker))
        .collect();
    let mut several = false;
    lines.windows(2).all(|pair| {
        let [(one, marker), (two, other)] = pair else {
            return true;
        };
        several |= marker == other;
        marker != other || one <= two
    }) && several
}

/// The requirements in `METADATA`, each with its marker.
fn required(metadata: &str) -> impl Iterator<Item = (&str, &str)> {
    requirement::listed(metadata).map(|text| {
        let (text, marker) = text.split_once(';').unwrap_or((text, ""));
        (text.trim(), marker.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_age_of_setuptools_off_metadata() {
        for (metadata, entry_points, licence, expected) in [
            (
                "Author: UNKNOWN\nPlatform: UNKNOWN\n\ntext",
                "",
                true,
                Some("setuptools<56.2"),
            ),
            ("Platform: UNKNOWN\n\ntext", "", true, Some("setuptools<57")),
            (
                "Platform: UNKNOWN\nLicense-File: LICENSE\n\ntext",
                "",
                true,
                Some("setuptools<62.2"),
            ),
            (
                "Home-page: UNKNOWN\nPlatform: UNKNOWN\n\ntext",
                "",
                false,
                Some("setuptools<60.6"),
            ),
            ("Name: x\n\nUNKNOWN\n\n\n", "", false, Some("setuptools<62.2")),
            (
                "Platform: UNKNOWN\n\ntext",
                "[a]\nb = c\n\n",
                false,
                Some("setuptools<60.9"),
            ),
            ("Name: x\n\ntext", "[a]\nb = c\n", false, None),
            ("License-File: LICENSE\n\nPlatform: UNKNOWN", "", true, None),
            ("Name: x\n\ntext", "", false, None),
        ] {
            let found = of("bdist_wheel (0.40.0)", metadata, entry_points, licence);
            assert_eq!(
                found.map(|found| found.requirement).as_deref(),
                expected,
                "{metadata} {entry_points}"
            );
        }
        assert_eq!(of("hatchling 1.0", "Platform: UNKNOWN\n", "", true), None);
    }

    #[test]
    fn the_spelling_of_requirements_shows_which_wheel_setuptools_took() {
        for (generator, required, expected) in [
            ("setuptools (75.1.0)", "a>=1", Some("wheel>=0.44")),
            ("setuptools (75.1.0)", "a >=1", Some("wheel<0.44")),
            ("setuptools (75.1.0)", "a >=1\nRequires-Dist: b>=1", None),
            ("setuptools (75.1.0)", "a @ https://example.org/?b=c", None),
            ("setuptools (75.1.0)", "a", None),
            ("setuptools (75.3.2)", "a >=1", Some("wheel<0.44")),
            ("setuptools (75.5.0)", "a>=1", Some("wheel>=0.44")),
            ("setuptools (75.6.0)", "a>=1", None),
            ("setuptools (70.2.0)", "a>=1", None),
            ("setuptools (80.9.0)", "a>=1", None),
            ("setuptools (80.9.0)", "a >=1", None),
            ("setuptools (75.1.0)", "a>=1 ; extra == 'b'", Some("wheel>=0.44")),
        ] {
            let metadata = format!("Name: x\nRequires-Dist: {required}\n\ntext");
            let found = of(generator, &metadata, "", false);
            assert_eq!(
                found.map(|found| found.requirement).as_deref(),
                expected,
                "{generator} {required}"
            );
        }
    }

    #[test]
    fn requirements_in_order_are_told_from_others() {
        for (required, expected) in [
            (&["click-repl (>=0.2.0)", "click (<9.0)", "vine"][..], true),
            (&["vine", "click (<9.0)"], false),
            (&["vine", "click ; extra == 'a'"], false),
            (&["vine", "click ; extra == 'a'", "dep ; extra == 'a'"], true),
            (&["vine"], false),
            (&[], false),
        ] {
            let lines = required.iter().map(|text| format!("Requires-Dist: {text}\n"));
            let metadata = format!("Name: x\n{}\ntext", lines.collect::<String>());
            assert_eq!(
                is_sorted("bdist_wheel (0.37.1)", &metadata),
                expected,
                "{required:?}"
            );
        }
    }
}

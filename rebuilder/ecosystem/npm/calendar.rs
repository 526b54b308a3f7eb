//! When the widely used releases of Node.js appeared, and which npm came with each.
//!
//! Node's own list of releases is more complete (see `toolchain`), but it is not available everywhere. These are the
//! first and some later releases of each line with long-term support; a release in between is like the one before it.

use jiff::Timestamp;

/// Date of release, version of Node.js, version of npm that came with it.
type Release = (&'static str, &'static str, &'static str);

const RELEASES: [Release; 33] = [
    ("2015-10-12", "4.2.0", "2.14.7"),
    ("2016-10-18", "6.9.0", "3.10.8"),
    ("2017-10-31", "8.9.0", "5.5.1"),
    ("2018-03-28", "8.11.0", "5.6.0"),
    ("2018-10-30", "10.13.0", "6.4.1"),
    ("2019-05-28", "10.16.0", "6.9.0"),
    ("2019-10-21", "12.13.0", "6.12.0"),
    ("2020-02-11", "12.16.0", "6.13.4"),
    ("2020-06-02", "12.18.0", "6.14.4"),
    ("2020-10-27", "14.15.0", "6.14.8"),
    ("2021-06-15", "14.17.1", "6.14.13"),
    ("2021-09-28", "14.18.0", "6.14.15"),
    ("2021-10-26", "16.13.0", "8.1.0"),
    ("2022-03-14", "16.14.1", "8.5.0"),
    ("2022-08-16", "16.17.0", "8.15.0"),
    ("2022-10-25", "18.12.0", "8.19.2"),
    ("2023-02-01", "18.14.0", "9.3.1"),
    ("2023-04-12", "18.16.0", "9.5.1"),
    ("2023-09-18", "18.18.0", "9.8.1"),
    ("2023-10-24", "20.9.0", "10.1.0"),
    ("2024-01-09", "20.11.0", "10.2.4"),
    ("2024-03-26", "20.12.0", "10.5.0"),
    ("2024-06-20", "20.15.0", "10.7.0"),
    ("2024-10-03", "20.18.0", "10.8.2"),
    ("2024-10-29", "22.11.0", "10.9.0"),
    ("2025-01-07", "22.13.0", "10.9.2"),
    ("2025-05-21", "22.16.0", "10.9.2"),
    ("2025-07-31", "22.18.0", "10.9.3"),
    ("2025-09-24", "22.20.0", "10.9.3"),
    ("2025-10-28", "24.11.0", "11.6.1"),
    ("2025-12-10", "24.12.0", "11.6.2"),
    ("2026-01-12", "24.13.0", "11.6.2"),
    ("2026-02-24", "24.14.0", "11.9.0"),
];

/// Usual versions of Node.js and npm at some time, the most likely first: the newest line, then earlier ones.
pub(super) fn usual(time: Timestamp) -> Vec<(&'static str, &'static str)> {
    let day = time.strftime("%Y-%m-%d").to_string();
    let known = RELEASES
        .iter()
        .rev()
        .filter(|(first, _, _)| *first <= day.as_str());
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for (_, node, npm) in known {
        let line = |version: &str| version.split('.').next().unwrap_or_default().to_owned();
        if !lines.iter().any(|(other, _)| line(other) == line(node)) {
            lines.push((node, npm));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_tells_the_line() {
        for (time, expected) in [
            ("2020-12-08T13:54:00Z", Some(("14.15.0", "6.14.8"))),
            ("2024-07-02T00:00:00Z", Some(("20.15.0", "10.7.0"))),
            ("2014-01-01T00:00:00Z", None),
        ] {
            assert_eq!(
                usual(time.parse().unwrap_or_default()).first().copied(),
                expected,
                "{time}"
            );
        }
        let lines = usual("2022-01-01T00:00:00Z".parse().unwrap_or_default());
        assert_eq!(
            lines.iter().map(|(node, _)| *node).take(3).collect::<Vec<_>>(),
            ["16.13.0", "14.18.0", "12.18.0"]
        );
    }
}

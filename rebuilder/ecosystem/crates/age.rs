//! Finds the range of Rust releases whose cargo may have packed a crate, from the released file.
//!
//! No field names the cargo that packed a crate. But what cargo writes has changed over the years, and each change is
//! visible; `docs/recipes.md` lists the signs. They only choose which cargo is tried.

use std::fmt;

use crate::compare::Member;

/// The time that cargo has given every file since its tar entries became deterministic, in Unix seconds; and the times
/// that it used until Rust 1.62, and uses on Windows.
const FIXED: i64 = 1_153_704_088;
const FIXED_TIMES: [i64; 3] = [FIXED, OLDER, 0];
const OLDER: i64 = 123_456_789;
/// The files that cargo writes itself.
pub(super) const GENERATED: [&str; 3] = ["Cargo.toml", "Cargo.lock", ".cargo_vcs_info.json"];
/// Stands for the newest release, which has no number here.
const OPEN: i64 = i64::MAX;

/// Minor numbers of the first and the last Rust release whose cargo may have packed a crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Age {
    pub first: i64,
    pub last: i64,
    /// The signs that show it.
    pub signs: Vec<&'static str>,
}

/// The parts of a crate that signs are looked for in.
#[derive(Debug, Default)]
pub(super) struct Traces<'a> {
    /// Path below the crate's folder, and modification time.
    pub files: Vec<(&'a str, i64)>,
    pub manifest: &'a str,
    pub lock: Option<&'a str>,
    pub vcs_info: Option<&'a str>,
}

/// A sign, and the releases whose cargo leaves it.
struct Sign {
    what: &'static str,
    releases: (i64, i64),
    shows: fn(&Traces<'_>) -> bool,
}

/// The signs, the most reliable first: one that contradicts earlier ones is ignored.
const SIGNS: [Sign; 19] = [
    Sign {
        what: "the times of files are real",
        releases: (1, 49),
        shows: |traces| traces.has_real_times(),
    },
    Sign {
        what: "generated files have no time, other files a real one",
        releases: (1, 39),
        shows: |traces| traces.has_real_times() && traces.times(true).any(|time| time == 0),
    },
    Sign {
        what: "generated files have the time of packing",
        releases: (40, 49),
        shows: |traces| traces.has_real_times() && traces.times(true).all(|time| time > 1),
    },
    Sign {
        what: "generated files have no time",
        releases: (50, 53),
        shows: |traces| traces.times(true).any(|time| time == 0),
    },
    Sign {
        what: "generated files have time 1",
        releases: (54, 92),
        shows: |traces| traces.times(true).any(|time| time == 1),
    },
    Sign {
        what: "generated files have the fixed time of all files",
        releases: (93, OPEN),
        shows: |traces| traces.times(true).all(|time| time == FIXED),
    },
    Sign {
        what: "copied files have the fixed time of 2006",
        releases: (63, OPEN),
        shows: |traces| !traces.has_real_times() && traces.times(false).any(|time| time == FIXED),
    },
    Sign {
        what: "Cargo.toml names autolib",
        releases: (83, OPEN),
        shows: |traces| traces.says("autolib"),
    },
    Sign {
        what: "Cargo.toml names autobins and not autolib",
        releases: (80, 82),
        shows: |traces| traces.lists_targets() && !traces.says("autolib"),
    },
    Sign {
        what: "Cargo.toml leaves its targets to be found",
        releases: (1, 79),
        shows: |traces| !traces.lists_targets(),
    },
    Sign {
        what: "Cargo.toml has the older preamble",
        releases: (1, 54),
        shows: |traces| {
            traces
                .manifest
                .contains("If you believe there's an error in this file")
        },
    },
    Sign {
        what: "Cargo.toml has today's preamble",
        releases: (55, OPEN),
        shows: |traces| {
            traces
                .manifest
                .contains("See Cargo.toml.orig for the original contents")
        },
    },
    Sign {
        what: ".cargo_vcs_info.json has no path_in_vcs",
        releases: (30, 56),
        shows: |traces| {
            traces
                .vcs_info
                .is_some_and(|info| !info.contains("\"path_in_vcs\""))
        },
    },
    Sign {
        what: ".cargo_vcs_info.json has path_in_vcs",
        releases: (57, OPEN),
        shows: |traces| {
            traces
                .vcs_info
                .is_some_and(|info| info.contains("\"path_in_vcs\""))
        },
    },
    Sign {
        what: ".cargo_vcs_info.json has dirty",
        releases: (81, OPEN),
        shows: |traces| traces.vcs_info.is_some_and(|info| info.contains("\"dirty\"")),
    },
    Sign {
        what: "a library has a Cargo.lock",
        releases: (84, OPEN),
        shows: |traces| traces.lock.is_some() && !traces.has_programs(),
    },
    Sign {
        what: "there is no Cargo.lock",
        releases: (1, 83),
        shows: |traces| traces.lock.is_none(),
    },
    Sign {
        what: "Cargo.lock has version 4",
        releases: (78, OPEN),
        shows: |traces| traces.lock_begins("version = 4"),
    },
    Sign {
        what: "Cargo.lock has version 3",
        releases: (53, OPEN),
        shows: |traces| traces.lock_begins("version = 3"),
    },
];

impl<'a> Traces<'a> {
    /// The times of an archive's members; members outside a folder do not belong to the crate.
    pub fn with_times(members: &'a [Member]) -> Vec<(&'a str, i64)> {
        let below = |member: &'a Member| Some((member.path.split_once('/')?.1, member.time?));
        members.iter().filter_map(below).collect()
    }

    /// The times of the files that cargo writes itself, or those of all other files.
    fn times(&self, generated: bool) -> impl Iterator<Item = i64> + '_ {
        let files = self.files.iter();
        files
            .filter(move |(path, _)| GENERATED.contains(path) == generated)
            .map(|(_, time)| *time)
    }

    fn has_real_times(&self) -> bool {
        self.times(false).any(|time| !FIXED_TIMES.contains(&time))
    }

    /// Whether all files of the publisher have the older fixed time.
    pub fn has_older_time(&self) -> bool {
        let mut times = self.times(false).peekable();
        times.peek().is_some() && times.all(|time| time == OLDER)
    }

    /// Whether a line of the manifest gives `field` a value.
    fn says(&self, field: &str) -> bool {
        let mut lines = self.manifest.lines();
        lines.any(|line| {
            let rest = line.strip_prefix(field);
            rest.is_some_and(|rest| rest.trim_start().starts_with('='))
        })
    }

    fn lists_targets(&self) -> bool {
        ["autobins", "autoexamples", "autotests", "autobenches"]
            .iter()
            .all(|field| self.says(field))
    }

    /// Whether the package has programs or examples, for which every cargo of these years packs a lock file.
    fn has_programs(&self) -> bool {
        let folders = ["src/bin/", "examples/"];
        let found =
            |path: &str| path == "src/main.rs" || folders.iter().any(|folder| path.starts_with(folder));
        self.files.iter().any(|(path, _)| found(path))
            || ["[[bin]]", "[[example]]"]
                .iter()
                .any(|table| self.manifest.contains(table))
    }

    fn lock_begins(&self, line: &str) -> bool {
        self.lock
            .is_some_and(|lock| lock.lines().take(8).any(|found| found == line))
    }

    /// The releases that leave these traces.
    pub fn age(&self) -> Age {
        let mut age = Age {
            first: 1,
            last: OPEN,
            signs: Vec::new(),
        };
        for sign in SIGNS.iter().filter(|sign| (sign.shows)(self)) {
            let (first, last) = (age.first.max(sign.releases.0), age.last.min(sign.releases.1));
            if first <= last && (first, last) != (age.first, age.last) {
                (age.first, age.last) = (first, last);
                age.signs.push(sign.what);
            }
        }
        age
    }
}

impl Age {
    /// Whether a release may have packed the crate.
    pub fn allows(&self, minor: i64) -> bool {
        (self.first..=self.last).contains(&minor)
    }

    /// Reads what [`Age`] prints, which leaves the signs out.
    pub fn read(text: &str) -> Option<Self> {
        let minor = |text: &str| text.strip_prefix("1.")?.parse().ok();
        let (first, last) = match text.split_once(" to ") {
            Some((first, last)) => (minor(first)?, minor(last)?),
            None => (minor(text.strip_suffix(" or later")?)?, OPEN),
        };
        let signs = Vec::new();
        Some(Self { first, last, signs })
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            OPEN => write!(f, "1.{} or later", self.first),
            last => write!(f, "1.{} to 1.{last}", self.first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "# See Cargo.toml.orig for the original contents.\n[package]\nautolib = false\nautobins = false\n\
                       autoexamples = false\nautotests = false\nautobenches = false\n";
    const INFO: &str = "{\"git\":{\"sha1\":\"0\"},\"path_in_vcs\":\"\"}";

    /// One crate of each age, in the form of real crates of those years.
    #[test]
    fn a_crate_shows_between_which_releases_it_was_packed() {
        let fixed = FIXED;
        let no_autolib = NEW.replace("autolib = false\n", "");
        let plain = "# See Cargo.toml.orig for the original contents.\n[package]\nname = \"a\"\n";
        let old = "# If you believe there's an error in this file please file an\n[package]\n";
        let (v3, v4) = (
            Some("# @generated\nversion = 3\n"),
            Some("# @generated\nversion = 4\n"),
        );
        let cases = [
            (NEW, fixed, fixed, v4, Some(INFO), "1.93 or later"),
            (NEW, fixed, 1, v3, Some(INFO), "1.84 to 1.92"),
            (NEW, fixed, 1, None, Some(INFO), "1.83 to 1.83"),
            (no_autolib.as_str(), fixed, 1, None, Some(INFO), "1.80 to 1.82"),
            (plain, fixed, 1, None, Some(INFO), "1.63 to 1.79"),
            (plain, OLDER, 1, None, Some(INFO), "1.57 to 1.79"),
            (plain, OLDER, 1, None, None, "1.55 to 1.79"),
            (old, 0, 0, None, None, "1.50 to 1.53"),
            (old, 1_580_000_000, 1_580_000_001, None, None, "1.40 to 1.49"),
            (old, 1_480_000_000, 0, None, None, "1.1 to 1.39"),
        ];
        for (manifest, file, generated, lock, vcs_info, expected) in cases {
            let files = vec![("src/lib.rs", file), ("Cargo.toml", generated)];
            let traces = Traces {
                files,
                manifest,
                lock,
                vcs_info,
            };
            let age = traces.age();
            assert_eq!(age.to_string(), expected, "{:?}", age.signs);
            let read = Age::read(expected).unwrap();
            assert_eq!((read.first, read.last), (age.first, age.last));
        }
    }

    #[test]
    fn a_lock_file_of_a_program_shows_nothing() {
        let traces = |path: &'static str| Traces {
            files: vec![(path, FIXED), ("Cargo.toml", 1)],
            manifest: "# See Cargo.toml.orig for the original contents.\n",
            lock: Some("version = 3\n"),
            vcs_info: Some(INFO),
        };
        // The library's manifest is older than its lock file can be; the more reliable sign counts.
        assert_eq!(traces("src/main.rs").age().to_string(), "1.63 to 1.79");
        assert_eq!(traces("src/lib.rs").age().to_string(), "1.63 to 1.79");
    }
}

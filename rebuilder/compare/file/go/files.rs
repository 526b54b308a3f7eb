//! The names of source files in the table of functions (`.gopclntab`), which tracebacks show.
//!
//! `-trimpath` and another folder change these names, and with them the length of their list. What lies behind the list
//! moves, and nothing else in the table depends on it: each unit has a list of the places of its files' names.

use std::ops::Range;

use super::modules::{self, Lines, TRIMPATH};
use super::record::Record;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::file::regions::Numbers;
use crate::compare::finding::Finding;

/// Two tables of functions that are the same except for the names of files.
pub(super) struct Renamed {
    /// Ranges that are the same on both sides; the second one is behind the names.
    pub same: [(Range<usize>, Range<usize>); 2],
    /// The offsets of the units' lists, and of the names.
    pub lists: [(usize, usize); 2],
    /// The lengths of the names with the zeros behind them, from the shortest to the longest.
    pub lengths: (Range<u64>, Range<u64>),
    finding: Finding,
}

impl Renamed {
    /// The names that differ.
    pub fn finding(&self) -> Finding {
        self.finding.clone()
    }
}

/// The forms since Go 1.18 and 1.20, little-endian, with pointers of eight bytes.
const MAGICS: [&[u8]; 2] = [b"\xf0\xff\xff\xff\0\0", b"\xf1\xff\xff\xff\0\0"];
const POINTER: u8 = 8;
/// Offset of the first field that depends on the length of the names.
const BEHIND_NAMES: usize = 56;
const HEADER: usize = 72;

/// The parts of a table.
struct Table<'a> {
    data: &'a [u8],
    units: Range<usize>,
    names: Range<usize>,
    /// Offset of the last part from the end of the names.
    last: usize,
}

impl<'a> Table<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let is_known = MAGICS.iter().any(|magic| data.starts_with(magic));
        (is_known && data.get(7) == Some(&POINTER)).then_some(())?;
        let numbers = Numbers {
            bytes: data,
            little_endian: true,
        };
        let offset = |at: usize| usize::try_from(numbers.u64(at)?).ok();
        let (units, names, behind, last) = (offset(40)?, offset(48)?, offset(56)?, offset(64)?);
        let in_order = HEADER <= units && units <= names && names <= behind && behind <= last;
        (in_order && last <= data.len()).then_some(Self {
            data,
            units: units..names,
            names: names..behind,
            last: last.checked_sub(behind)?,
        })
    }

    /// Each name with its offset in the list, and the length of all; zeros follow.
    fn list(&self) -> Option<(Vec<(u32, &'a str)>, usize)> {
        let bytes = self.data.get(self.names.clone())?;
        let end = bytes.iter().rposition(|byte| *byte != 0)?.checked_add(2)?;
        let mut list = Vec::new();
        let mut at = 0_usize;
        for name in bytes.get(..end)?.strip_suffix(b"\0")?.split(|byte| *byte == 0) {
            let text = std::str::from_utf8(name).ok().filter(|text| !text.is_empty())?;
            list.push((u32::try_from(at).ok()?, text));
            at = at.checked_add(name.len())?.checked_add(1)?;
        }
        Some((list, end))
    }
}

/// Whether two tables only differ in names that `-trimpath` or another folder explains.
pub(super) fn renamed(old: &[u8], new: &[u8], records: (&Record, &Record)) -> Option<Renamed> {
    let (own, other) = (Table::read(old)?, Table::read(new)?);
    let in_front = old.get(..BEHIND_NAMES) == new.get(..BEHIND_NAMES);
    (in_front && own.units == other.units && own.last == other.last).then_some(())?;
    let ((names, length), (other_names, other_length)) = (own.list()?, other.list()?);
    units((&own, &names), (&other, &other_names))?;
    let pairs = names.iter().zip(&other_names);
    let pairs: Vec<(&str, &str)> = pairs.map(|((_, own), (_, other))| (*own, *other)).collect();
    let finding = explained(&pairs, records)?;
    let longest = |table: &Table, length: usize| -> Range<u64> {
        length as u64..(table.names.len() as u64).saturating_add(1)
    };
    Some(Renamed {
        same: [
            (HEADER..own.units.start, HEADER..other.units.start),
            (own.names.end..old.len(), other.names.end..new.len()),
        ],
        lists: [
            (own.units.start, other.units.start),
            (own.names.start, other.names.start),
        ],
        lengths: (longest(&own, length), longest(&other, other_length)),
        finding,
    })
}

type Names<'t, 'a> = (&'t Table<'a>, &'t [(u32, &'a str)]);

/// Whether each place in the units' lists is that of the same name.
fn units((own, names): Names, (other, other_names): Names) -> Option<()> {
    let list = |table: &Table| -> Option<Vec<u32>> {
        let (words, rest) = table.data.get(table.units.clone())?.as_chunks::<4>();
        let words = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        rest.iter().all(|byte| *byte == 0).then_some(words)
    };
    let (places, other_places) = (list(own)?, list(other)?);
    let fits = |place: &u32, other: &u32| {
        let nth = names.binary_search_by_key(place, |(at, _)| *at);
        let moved = nth.ok().and_then(|nth| other_names.get(nth));
        moved.map_or(place == other && *place == u32::MAX, |(at, _)| at == other)
    };
    let all = places.len() == other_places.len()
        && names.len() == other_names.len()
        && places
            .iter()
            .zip(&other_places)
            .all(|(place, other)| fits(place, other));
    all.then_some(())
}

/// The finding for names that differ, if one cause explains all of them.
fn explained(pairs: &[(&str, &str)], (old, new): (&Record, &Record)) -> Option<Finding> {
    let differing: Vec<_> = pairs.iter().filter(|(old, new)| old != new).copied().collect();
    let first = differing.first()?;
    let lines = (modules::lines(&old.modules)?, modules::lines(&new.modules)?);
    let is_trimmed = |lines: &Lines| lines.get(TRIMPATH).is_some_and(|value| value == "true");
    let finding = Finding::new("names of source files", first.0, first.1).times(differing.len() as u64);
    match (is_trimmed(&lines.0), is_trimmed(&lines.1)) {
        (false, true) => {
            let mut roots = Roots::new(&lines.1);
            let all = differing.iter().all(|(whole, trimmed)| roots.fit(whole, trimmed));
            all.then(|| trimmed(finding))
        }
        (true, false) => {
            let mut roots = Roots::new(&lines.0);
            let all = differing.iter().all(|(trimmed, whole)| roots.fit(whole, trimmed));
            all.then(|| trimmed(finding))
        }
        _ => folders(&differing).map(|key| finding.because(Cause::BuildPath, Confidence::Proven).keyed(key)),
    }
}

fn trimmed(finding: Finding) -> Finding {
    finding
        .because(Cause::GoBuildInformation, Confidence::Proven)
        .keyed(modules::TRIMMED)
        .following()
}

/// One folder in place of another one, everywhere.
fn folders(differing: &[(&str, &str)]) -> Option<String> {
    let mut both = None;
    for (old, new) in differing {
        let found = heads(old, new)?;
        (*both.get_or_insert(found) == found).then_some(())?;
    }
    let (old, new) = both?;
    Some(format!("{old} → {new}"))
}

/// What is in front of the end that two paths have in common.
fn heads<'a>(old: &'a str, new: &'a str) -> Option<(&'a str, &'a str)> {
    let (mut own, mut other) = (old, new);
    while let (Some((head, name)), Some((other_head, other_name))) =
        (own.rsplit_once('/'), other.rsplit_once('/'))
    {
        if name != other_name {
            break;
        }
        (own, other) = (head, other_head);
    }
    let shares = own.len() < old.len() && own.starts_with('/') && other.starts_with('/');
    shares.then_some((own, other))
}

/// What `-trimpath` takes away: the folder of each kind of package, which is the same for all of its files.
struct Roots<'a> {
    lines: &'a Lines,
    go: Option<String>,
    main: Option<String>,
    cache: Option<String>,
}

impl<'a> Roots<'a> {
    fn new(lines: &'a Lines) -> Self {
        Self {
            lines,
            go: None,
            main: None,
            cache: None,
        }
    }

    /// Whether a path is what Go writes in place of a whole path.
    fn fit(&mut self, whole: &str, trimmed: &str) -> bool {
        whole.starts_with('/') && (self.in_module(whole, trimmed) || self.in_go(whole, trimmed))
    }

    /// `PATH@VERSION/file` for a module that the record names, or `PATH/file` for the main one.
    fn in_module(&mut self, whole: &str, trimmed: &str) -> bool {
        for (name, value) in self.lines {
            let module = match name.split_once(' ') {
                Some(("mod" | "dep", module)) => module,
                _ if name == "path" => value.as_str(),
                _ => continue,
            };
            let Some(rest) = trimmed.strip_prefix(module) else {
                continue;
            };
            let version = value.split(' ').next().unwrap_or_default();
            let fits = if let Some(file) = rest.strip_prefix('/') {
                let root = whole.strip_suffix(file).filter(|_| !name.starts_with("dep "));
                root.is_some_and(|root| fixed(&mut self.main, root))
            } else {
                let versioned = rest
                    .strip_prefix('@')
                    .and_then(|rest| rest.strip_prefix(version)?.strip_prefix('/'));
                versioned.is_some_and(|file| {
                    let end = format!("{}@{version}/{file}", escaped(module));
                    let root = whole.strip_suffix(end.as_str());
                    root.is_some_and(|root| fixed(&mut self.cache, root))
                })
            };
            if fits {
                return true;
            }
        }
        false
    }

    /// A file of Go itself.
    fn in_go(&mut self, whole: &str, trimmed: &str) -> bool {
        let root = whole.strip_suffix(trimmed);
        let root = root.filter(|root| root.ends_with("/src/") && !trimmed.starts_with('/'));
        root.is_some_and(|root| fixed(&mut self.go, root))
    }
}

/// Whether a folder is the same as before.
fn fixed(place: &mut Option<String>, root: &str) -> bool {
    root.ends_with('/') && place.get_or_insert_with(|| root.to_owned()).as_str() == root
}

/// A path as the cache of modules writes it, where upper and lower case may not differ.
fn escaped(module: &str) -> String {
    let mut text = String::with_capacity(module.len());
    for letter in module.chars() {
        if letter.is_ascii_uppercase() {
            text.push('!');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with one function name, a unit that has each file once, and something behind the names.
    fn table(files: &[&str], behind: &[u8]) -> Vec<u8> {
        let mut names = Vec::new();
        let mut units = u32::MAX.to_le_bytes().to_vec();
        for file in files {
            units.extend(u32::try_from(names.len()).unwrap().to_le_bytes());
            names.extend([file.as_bytes(), b"\0"].concat());
        }
        names.resize(names.len().next_multiple_of(32), 0);
        let functions = b"main.main\0\0\0\0\0\0\0";
        let mut offset = HEADER;
        let mut offsets = vec![1, files.len(), 0x40_1000];
        for length in [functions.len(), units.len(), names.len(), 16, 0] {
            offsets.push(offset);
            offset += length;
        }
        let mut table = b"\xf1\xff\xff\xff\0\0\x01\x08".to_vec();
        for offset in offsets {
            table.extend((offset as u64).to_le_bytes());
        }
        [&table, functions.as_slice(), &units, &names, behind].concat()
    }

    fn record(lines: &str) -> Record {
        Record {
            version: "go1.22.1".to_owned(),
            modules: lines.as_bytes().to_vec(),
        }
    }

    const BEHIND: &[u8] = &[7; 48];
    const LINES: &str = "path\texample.com/m/cmd\nmod\texample.com/m\t(devel)\t\n\
        dep\tgithub.com/BurntSushi/toml\tv1.3.2\th1:a=\nbuild\t-compiler=gc\n";
    const WHOLE: [&str; 6] = [
        "<autogenerated>",
        "/usr/lib/go/src/fmt/print.go",
        "/usr/lib/go/src/internal/cpu/cpu.go",
        "/home/me/m/cmd/main.go",
        "/home/me/go/pkg/mod/github.com/!burnt!sushi/toml@v1.3.2/decode.go",
        "/home/me/m/module.go",
    ];
    const SHORT: [&str; 6] = [
        "<autogenerated>",
        "fmt/print.go",
        "internal/cpu/cpu.go",
        "example.com/m/cmd/main.go",
        "github.com/BurntSushi/toml@v1.3.2/decode.go",
        "example.com/m/module.go",
    ];

    fn found(old: &[&str], new: &[&str], lines: (&str, &str)) -> Option<(Cause, String)> {
        let records = (record(lines.0), record(lines.1));
        let renamed = renamed(&table(old, BEHIND), &table(new, BEHIND), (&records.0, &records.1));
        renamed.map(|renamed| (renamed.finding().cause, renamed.finding().key))
    }

    #[test]
    fn trimmed_names_follow_from_the_flag() {
        let trimmed = format!("{LINES}build\t-trimpath=true\n");
        let expected = Some((Cause::GoBuildInformation, modules::TRIMMED.to_owned()));
        assert_eq!(found(&WHOLE, &SHORT, (LINES, &trimmed)), expected);
        assert_eq!(found(&SHORT, &WHOLE, (&trimmed, LINES)), expected);
        // Without the flag, or with it on both sides, nothing explains the names.
        assert_eq!(found(&WHOLE, &SHORT, (LINES, LINES)), None);
        assert_eq!(found(&WHOLE, &SHORT, (&trimmed, &trimmed)), None);
        assert_eq!(found(&SHORT, &WHOLE, (LINES, &trimmed)), None);
    }

    #[test]
    fn names_that_the_flag_does_not_give_are_not_explained() {
        let trimmed = format!("{LINES}build\t-trimpath=true\n");
        for (nth, name) in [
            (0, "autogenerated"),
            (1, "fmt/scan.go"),
            (1, "print.go"),
            (2, "cpu/cpu.go"),
            (3, "example.com/m/main.go"),
            (3, "example.org/m/cmd/main.go"),
            (4, "github.com/BurntSushi/toml@v1.3.3/decode.go"),
            (4, "github.com/BurntSushi/toml@v1.3.2/encode.go"),
        ] {
            let mut other = SHORT;
            other[nth] = name;
            assert_eq!(found(&WHOLE, &other, (LINES, &trimmed)), None, "{name}");
        }
        // Two folders of Go.
        let mut other = WHOLE;
        other[2] = "/opt/go/src/internal/cpu/cpu.go";
        assert_eq!(found(&other, &SHORT, (LINES, &trimmed)), None);
    }

    #[test]
    fn one_folder_may_take_the_place_of_another_one() {
        let renamed = |from: &str, to: &str| WHOLE.map(|name| name.replace(from, to));
        let moved = renamed("/home/me/m/", "/build/somewhere/else/");
        let moved: Vec<&str> = moved.iter().map(String::as_str).collect();
        let expected = (Cause::BuildPath, "/home/me/m → /build/somewhere/else".to_owned());
        assert_eq!(found(&WHOLE, &moved, (LINES, LINES)), Some(expected));
        // Another name, or two folders for one.
        let mut other = moved.clone();
        other[3] = "/build/somewhere/else/cmd/other.go";
        assert_eq!(found(&WHOLE, &other, (LINES, LINES)), None);
        other[3] = moved[3];
        other[1] = "/opt/fmt/print.go";
        assert_eq!(found(&WHOLE, &other, (LINES, LINES)), None);
    }

    #[test]
    fn nothing_else_in_the_table_may_differ() {
        let trimmed = format!("{LINES}build\t-trimpath=true\n");
        let records = (record(LINES), record(&trimmed));
        let records = (&records.0, &records.1);
        let (old, new) = (table(&WHOLE, BEHIND), table(&SHORT, BEHIND));
        let same = renamed(&old, &new, records).unwrap().same;
        let is_compared = |at: usize| same.iter().any(|(_, rebuilt)| rebuilt.contains(&at));
        for at in (0..new.len()).filter(|at| !is_compared(*at)) {
            let mut changed = new.clone();
            changed[at] ^= 1;
            // Only the places of the parts may change, and then they are compared with other bytes.
            let moved = renamed(&old, &changed, records).is_some_and(|renamed| {
                renamed
                    .same
                    .iter()
                    .all(|(own, other)| old.get(own.clone()) == changed.get(other.clone()))
            });
            assert!(!moved, "{at:#x}");
        }
    }
}

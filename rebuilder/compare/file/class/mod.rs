//! Java classes (JVMS 4), compared by meaning: every reference to a constant is resolved, so another order of the
//! constants is not a difference, but a changed reference is.

mod code;
mod debug;
mod facts;
mod pool;
mod renamed;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use facts::{About, Class as Parsed, Fact, Member};
use pool::METHOD;

use super::bytes;
use super::comparator::{FileComparator, Leaf, Pair};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) struct Class;

const MAGIC: &[u8] = b"\xca\xfe\xba\xbe";

impl FileComparator for Class {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.class", b"\xca\xfe\xba\xbe\0\0\0\x3d")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        // macOS universal binaries begin with the same bytes, followed by their number of architectures.
        const FIRST_VERSION: u16 = 45;
        let is_class = |bytes: &[u8]| {
            let version = bytes.get(6..).and_then(<[u8]>::first_chunk);
            bytes.starts_with(MAGIC)
                && version.is_some_and(|version| u16::from_be_bytes(*version) >= FIRST_VERSION)
        };
        is_class(pair.released) && is_class(pair.rebuilt)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        Some(compare(pair).unwrap_or_else(|| unread(pair)))
    }
}

fn compare(pair: &Pair) -> Option<Leaf> {
    let (mut old, new) = (Parsed::read(pair.released)?, Parsed::read(pair.rebuilt)?);
    let mut leaf = Leaf::of("Java class");
    let unused = (old.pool.unused()?, new.pool.unused()?);
    if unused.0 != unused.1 {
        let only = |own: &[String], other: &[String]| {
            let other: BTreeSet<&String> = other.iter().collect();
            let only = own.iter().filter(|constant| !other.contains(constant));
            only.take(8)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
                .replace(METHOD, ".")
        };
        let (released, rebuilt) = (only(&unused.0, &unused.1), only(&unused.1, &unused.0));
        leaf.add(Finding::new("constants that nothing uses", released, rebuilt));
    }
    if old.name != new.name {
        leaf.add(Finding::new("name of the class", &old.name, &new.name));
    }
    let renamed = renamed::rename(&mut old, &new);
    if let Some((released, rebuilt, count)) = &renamed {
        leaf.add(
            Finding::new("names of synthetic methods", released, rebuilt)
                .because(Cause::Order, Confidence::Proven)
                .keyed("numbers of synthetic methods")
                .times(*count),
        );
    }
    facts(&mut leaf, &old, &new, (&old.name, ""), (&old.facts, &new.facts));
    members(&mut leaf, &old, &new);
    if leaf.findings.is_empty() && old.version == new.version {
        let place = if old.constants == new.constants {
            "order of attributes"
        } else {
            "order of constants"
        };
        leaf.add(
            Finding::new(place, "", "")
                .because(Cause::Order, Confidence::Proven)
                .keyed(format!("{place} in classes")),
        );
    }
    version(&mut leaf, &old, &new);
    Some(leaf)
}

/// Nothing is known about the meaning of an unreadable class, so no byte in it is explained.
fn unread(pair: &Pair) -> Leaf {
    let mut leaf = bytes::compare(pair.released, pair.rebuilt);
    let first = pair
        .released
        .iter()
        .zip(pair.rebuilt)
        .take_while(|(one, other)| one == other)
        .count();
    let shown = |side: &[u8]| hex::encode(bytes::window(side, first, 16));
    leaf.format = "damaged Java class";
    leaf.findings = vec![Finding::new(
        format!("offset {first:#x} of a class that cannot be read"),
        shown(pair.released),
        shown(pair.rebuilt),
    )];
    leaf
}

fn version(leaf: &mut Leaf, old: &Parsed, new: &Parsed) {
    if old.version == new.version {
        return;
    }
    let text = |(major, minor): (u16, u16)| format!("{major}.{minor} (Java {})", major.saturating_sub(44));
    let (released, rebuilt) = (text(old.version), text(new.version));
    let key = format!("class version {released} → {rebuilt}");
    let finding = Finding::new("version", released, rebuilt);
    leaf.add(if is_released(old.version) && is_released(new.version) {
        finding.because(Cause::ToolVersion, Confidence::Proven).keyed(key)
    } else {
        finding.keyed("a class version that not every JVM loads")
    });
}

/// Whether a compiler writes that version without preview features (JVMS 4.1).
fn is_released((major, minor): (u16, u16)) -> bool {
    /// Java 8 is 52; there are two versions a year since Java 9.
    const HIGHEST: u16 = 99;
    (45..=HIGHEST).contains(&major) && (minor == 0 || (major, minor) == (45, 3))
}

/// Fields and methods, by name and type.
fn members(leaf: &mut Leaf, old: &Parsed, new: &Parsed) {
    let by_name = |members: &'_ [Member]| -> Option<BTreeMap<String, usize>> {
        let mut by_name = BTreeMap::new();
        let mut places = 0..;
        let unique = members.iter().all(|member| {
            by_name
                .insert(member.name.clone(), places.next().unwrap_or(0))
                .is_none()
        });
        unique.then_some(by_name)
    };
    let (Some(released), Some(rebuilt)) = (by_name(&old.members), by_name(&new.members)) else {
        leaf.add(Finding::new(
            "fields and methods",
            "two of one name",
            "two of one name",
        ));
        return;
    };
    let names: BTreeSet<&String> = released.keys().chain(rebuilt.keys()).collect();
    for name in names {
        let member = |by_name: &BTreeMap<String, usize>, class: &'_ Parsed| {
            by_name.get(name).copied().filter(|at| *at < class.members.len())
        };
        let at = (member(&released, old), member(&rebuilt, new));
        match (
            at.0.and_then(|at| old.members.get(at)),
            at.1.and_then(|at| new.members.get(at)),
        ) {
            (Some(one), Some(other)) => {
                facts(leaf, old, new, (&old.name, name), (&one.facts, &other.facts));
                instructions(leaf, &format!("{}, {name}", old.name), one, other);
            }
            (one, other) => {
                let there = |member: Option<&Member>| if member.is_some() { "there" } else { "missing" };
                leaf.add(Finding::new(
                    format!("{}, {name}", old.name),
                    there(one),
                    there(other),
                ));
            }
        }
    }
    let order = |class: &Parsed, other: &BTreeMap<String, usize>| -> Vec<String> {
        let common = class
            .members
            .iter()
            .filter(|member| other.contains_key(&member.name));
        common.map(|member| member.name.clone()).collect()
    };
    let (one, other) = (order(old, &rebuilt), order(new, &released));
    if let Some((one, other)) = one.iter().zip(&other).find(|(one, other)| one != other) {
        leaf.add(
            Finding::new("order of fields and methods", one, other)
                .because(Cause::Order, Confidence::Proven)
                .keyed("fields and methods of classes"),
        );
    }
}

/// Compares the facts of one place in two classes.
fn facts(
    leaf: &mut Leaf,
    old: &Parsed,
    new: &Parsed,
    (class, member): (&str, &str),
    sides: (&[Fact], &[Fact]),
) {
    let by_place = |facts: &'_ [Fact]| -> BTreeMap<String, Vec<Fact>> {
        let mut by_place: BTreeMap<String, Vec<Fact>> = BTreeMap::new();
        for fact in facts {
            by_place.entry(fact.place.clone()).or_default().push(fact.clone());
        }
        by_place
    };
    if sides.0 == sides.1
        && (old.constants == new.constants || !sides.0.iter().any(|fact| fact.about == About::Raw))
    {
        return;
    }
    let (released, rebuilt) = (by_place(sides.0), by_place(sides.1));
    let places: BTreeSet<&String> = released.keys().chain(rebuilt.keys()).collect();
    for place in places {
        let (one, other) = (released.get(place), rebuilt.get(place));
        let all = || one.into_iter().chain(other).flatten();
        let is_raw = all().any(|fact| fact.about == About::Raw);
        if one == other && !(is_raw && old.constants != new.constants) {
            continue;
        }
        let value = |facts: Option<&Vec<Fact>>| {
            let values = facts.into_iter().flatten().map(|fact| fact.value.as_str());
            values.collect::<Vec<_>>().join("\n").replace(METHOD, ".")
        };
        let (mut one, mut other) = (value(one), value(other));
        let is_version = is_kotlin_version(&one, &other);
        from_difference(&mut one, &mut other);
        let names = [class, member, place].into_iter().filter(|name| !name.is_empty());
        let whole = names.collect::<Vec<_>>().join(", ");
        let finding = Finding::new(whole, one, other);
        leaf.add(if all().all(|fact| fact.about == About::Debug) {
            finding
                .because(Cause::DebugInformation, Confidence::Proven)
                .keyed(format!("{place} of classes"))
        } else if is_version {
            finding
                .because(Cause::ToolVersion, Confidence::Proven)
                .keyed("version of Kotlin's metadata")
        } else {
            finding
        });
    }
}

/// Whether annotations differ only in the version that Kotlin's compiler gives its metadata.
fn is_kotlin_version(one: &str, other: &str) -> bool {
    let without = |text: &str| -> Option<String> {
        let metadata = text.find("@Lkotlin/Metadata;(")?;
        let (before, rest) = text.split_at_checked(metadata)?;
        let (head, version) = rest.split_once("mv=[")?;
        let (version, rest) = version.split_once(']')?;
        let is_version = version.split(", ").all(|part| {
            part.strip_prefix("I int ")
                .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        });
        is_version.then(|| format!("{before}{head}mv=[]{rest}"))
    };
    without(one).is_some_and(|one| Some(one) == without(other))
}

/// Maximum length in bytes of an instruction that is shown whole.
const LONGEST_SHOWN: usize = 160;

/// Shortens two texts to where they differ, with a little text before it.
fn from_difference(one: &mut String, other: &mut String) {
    const BEFORE: usize = 40;
    let same = one
        .chars()
        .zip(other.chars())
        .take_while(|(one, other)| one == other)
        .count();
    let skip = same.saturating_sub(BEFORE);
    if skip > 0 {
        for text in [one, other] {
            *text = std::iter::once('…').chain(text.chars().skip(skip)).collect();
        }
    }
}

/// The first instruction in which two methods differ, and how many instructions differ without the common beginning
/// and end.
fn instructions(leaf: &mut Leaf, place: &str, old: &Member, new: &Member) {
    let (old, new) = (&old.instructions, &new.instructions);
    if old == new {
        return;
    }
    let first = old
        .iter()
        .zip(new)
        .take_while(|(one, other)| one == other)
        .count();
    let room = old.len().min(new.len()).saturating_sub(first);
    let last = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(room)
        .take_while(|(one, other)| one == other)
        .count();
    let at = |side: &[String]| {
        let text = side.get(first).map(|text| text.replace(METHOD, "."));
        text.unwrap_or_default()
    };
    let (mut one, mut other) = (at(old), at(new));
    if one.len().max(other.len()) > LONGEST_SHOWN {
        from_difference(&mut one, &mut other);
    }
    let longer = old.len().max(new.len());
    let count = longer.saturating_sub(first).saturating_sub(last).max(1);
    leaf.add(Finding::new(format!("{place}, instruction {first}"), one, other).times(count as u64));
}

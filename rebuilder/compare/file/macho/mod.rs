//! Mach-O (Apple's `mach-o/loader.h`), with one architecture or several: load commands by name, build identifiers, and
//! signatures by their content. The rest is compared by section.

mod signature;

use std::ops::Range;

use super::comparator::{FileComparator, Leaf, Pair};
use super::regions::{self, Numbers, Regions, span};
use crate::compare::both::Both;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) struct MachO;

const MAGICS: [&[u8]; 4] = [
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xfe\xed\xfa\xcf",
    b"\xfe\xed\xfa\xce",
];
const FAT: &[u8] = b"\xca\xfe\xba\xbe";

impl FileComparator for MachO {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.dylib", b"\xcf\xfa\xed\xfe\x07\0\0\x01")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        MAGICS.iter().any(|magic| pair.begin_with(magic)) || pair.begin_with(FAT)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let mut leaf = Leaf::of("Mach-O");
        if !pair.begin_with(FAT) {
            image(&mut leaf, "", (pair.released, pair.rebuilt))?;
            return Some(leaf);
        }
        let (old, new) = (slices(pair.released)?, slices(pair.rebuilt)?);
        let names = |slices: &[(Range<usize>, String)]| -> Vec<String> {
            slices.iter().map(|(_, name)| name.clone()).collect()
        };
        if names(&old) != names(&new) {
            let listed = |slices| names(slices).join(", ");
            leaf.add(Finding::new("architectures", listed(&old), listed(&new)));
        }
        let (before, after) = (
            Regions::new(pair.released, old)?,
            Regions::new(pair.rebuilt, new)?,
        );
        regions::compare(&mut leaf, &before, &after, |leaf, change| {
            let sides: (&[u8], &[u8]) = (&change.released.data, &change.rebuilt.data);
            let name = &change.released.name;
            name.starts_with("architecture ") && image(leaf, &format!("{name}, "), sides).is_some()
        });
        Some(leaf)
    }
}

/// The usual name of a processor type (`mach/machine.h`).
fn machine(number: usize) -> String {
    const NAMES: [(usize, &str); 6] = [
        (0x7, "i386"),
        (0x100_0007, "x86_64"),
        (0xc, "arm"),
        (0x100_000c, "arm64"),
        (0x12, "ppc"),
        (0x100_0012, "ppc64"),
    ];
    let known = NAMES.iter().find(|(of, _)| *of == number);
    known.map_or_else(|| format!("{number:#x}"), |(_, name)| (*name).to_owned())
}

/// The images of a fat file, one for each architecture.
fn slices(bytes: &[u8]) -> Option<Vec<(Range<usize>, String)>> {
    const MOST: usize = 32;
    const ENTRY: usize = 20;
    let numbers = Numbers {
        bytes,
        little_endian: false,
    };
    let count = numbers.size(4)?;
    (1..=MOST).contains(&count).then_some(())?;
    let mut slices = Vec::new();
    for nth in 0..count {
        let at = nth.checked_mul(ENTRY)?.checked_add(8)?;
        let field = |nth: usize| numbers.size(at.checked_add(nth.checked_mul(4)?)?);
        let name = format!(
            "architecture {}.{:#x}, aligned to 2^{}",
            machine(field(0)?),
            field(1)?,
            field(4)?
        );
        slices.push((span(field(2)?, field(3)?)?, name));
    }
    Some(slices)
}

const SEGMENT: u32 = 0x1;
const SEGMENT_64: u32 = 0x19;
const UUID: u32 = 0x1b;
const SIGNATURE: u32 = 0x1d;
const BUILD_VERSION: u32 = 0x32;

struct Image<'a> {
    bytes: &'a [u8],
    numbers: Numbers<'a>,
    regions: Regions<'a>,
    commands: Vec<(u32, Range<usize>)>,
    signature: Option<Range<usize>>,
}

impl<'a> Image<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        const MOST_COMMANDS: usize = 10_000;
        let magic = bytes.get(..4)?;
        MAGICS.contains(&magic).then_some(())?;
        let numbers = Numbers {
            bytes,
            little_endian: magic.last() == Some(&0xfe),
        };
        let header = if magic.contains(&0xcf) { 32 } else { 28 };
        let count = numbers.size(16)?;
        (count <= MOST_COMMANDS).then_some(())?;
        let mut image = Self {
            bytes,
            numbers,
            regions: Regions { parts: Vec::new() },
            commands: Vec::new(),
            signature: None,
        };
        let mut named = vec![(0..header, "header".to_owned())];
        let mut at = header;
        for nth in 0..count {
            let (kind, own) = (numbers.u32(at)?, span(at, numbers.size(at.checked_add(4)?)?)?);
            (own.len() >= 8 && own.end <= bytes.len()).then_some(())?;
            at = own.end;
            named.push((own.clone(), format!("load command {nth} ({kind:#x})")));
            if matches!(kind, SEGMENT | SEGMENT_64) {
                named.extend(sections(numbers, &own, kind == SEGMENT_64)?);
            }
            if kind == SIGNATURE {
                let table = span(
                    numbers.size(own.start.checked_add(8)?)?,
                    numbers.size(own.start.checked_add(12)?)?,
                )?;
                named.push((table.clone(), "code signature".to_owned()));
                image.signature = Some(table);
            }
            image.commands.push((kind, own));
        }
        image.regions = Regions::new(bytes, named)?;
        Some(image)
    }

    fn command(&self, wanted: u32) -> Option<Range<usize>> {
        let mut own = self.commands.iter().filter(|(kind, _)| *kind == wanted);
        let (_, range) = own.next()?;
        own.next().is_none().then(|| range.clone())
    }
}

/// Sections of a segment that have bytes in the file.
fn sections(numbers: Numbers, command: &Range<usize>, is_64: bool) -> Option<Vec<(Range<usize>, String)>> {
    /// Types of sections that are filled with zeros when they are loaded (low byte of the flags).
    const ZERO_FILLED: [u32; 3] = [1, 12, 18];
    let (count_at, first, width) = if is_64 { (64, 72, 80) } else { (48, 56, 68) };
    let count = numbers.size(command.start.checked_add(count_at)?)?;
    let mut sections = Vec::new();
    for nth in 0..count {
        let at = command
            .start
            .checked_add(first)?
            .checked_add(nth.checked_mul(width)?)?;
        (at.checked_add(width)? <= command.end).then_some(())?;
        let name = |from: usize| {
            let bytes = numbers.bytes.get(at.checked_add(from)?..)?.get(..16)?;
            Some(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned())
        };
        let field = |from: usize| at.checked_add(from);
        let (size, offset, flags) = if is_64 {
            (
                usize::try_from(numbers.u64(field(40)?)?).ok()?,
                numbers.size(field(48)?)?,
                numbers.u32(field(64)?)?,
            )
        } else {
            (
                numbers.size(field(36)?)?,
                numbers.size(field(40)?)?,
                numbers.u32(field(56)?)?,
            )
        };
        if !ZERO_FILLED.contains(&(flags & 0xff)) {
            sections.push((span(offset, size)?, format!("{},{}", name(16)?, name(0)?)));
        }
    }
    Some(sections)
}

/// Compares two images of one architecture.
fn image(leaf: &mut Leaf, within: &str, (released, rebuilt): (&[u8], &[u8])) -> Option<()> {
    let mut sides = Both::new(Image::read(released)?, Image::read(rebuilt)?);
    let before = leaf.findings.len();
    let mut following: Vec<Finding> = identifier(&mut sides, within).into_iter().collect();
    tools(leaf, &mut sides, within);
    following.extend(signature::compare(leaf, &mut sides, within));
    regions::compare(leaf, &sides.released.regions, &sides.rebuilt.regions, |_, _| {
        false
    });
    let alone = leaf.findings.len() == before;
    for finding in following {
        leaf.add(if alone { finding } else { finding.following() });
    }
    Some(())
}

/// `LC_UUID`, which linkers derive from the contents.
fn identifier(sides: &mut Both<Image>, within: &str) -> Option<Finding> {
    const LENGTH: usize = 24;
    let own = |image: &Image| image.command(UUID).filter(|command| command.len() == LENGTH);
    let (old, new) = (own(&sides.released)?, own(&sides.rebuilt)?);
    let value = |image: &Image, at: &Range<usize>| {
        Some(hex::encode(image.bytes.get(at.start.checked_add(8)?..at.end)?))
    };
    let (released, rebuilt) = (value(&sides.released, &old)?, value(&sides.rebuilt, &new)?);
    (released != rebuilt).then_some(())?;
    sides.released.regions.blank(old.start.checked_add(8)?..old.end);
    sides.rebuilt.regions.blank(new.start.checked_add(8)?..new.end);
    Some(
        Finding::new(format!("{within}LC_UUID"), released, rebuilt)
            .because(Cause::BuildId, Confidence::Proven)
            .keyed("LC_UUID"),
    )
}

/// `LC_BUILD_VERSION`: the SDK and the tools; the platform and the minimum system version are content.
fn tools(leaf: &mut Leaf, sides: &mut Both<Image>, within: &str) -> Option<()> {
    const SDK: usize = 16;
    const TOOLS: usize = 24;
    let (old, new) = (
        sides.released.command(BUILD_VERSION)?,
        sides.rebuilt.command(BUILD_VERSION)?,
    );
    let value = |image: &Image, at: &Range<usize>| -> Option<String> {
        let version = |at: usize| {
            let number = image.numbers.u32(at)?;
            Some(format!(
                "{}.{}.{}",
                number >> 16,
                number >> 8 & 0xff,
                number & 0xff
            ))
        };
        let mut texts = vec![format!("SDK {}", version(at.start.checked_add(SDK)?)?)];
        for tool in (at.start.checked_add(TOOLS)?..at.end).step_by(8) {
            texts.push(format!(
                "tool {} {}",
                image.numbers.u32(tool)?,
                version(tool.checked_add(4)?)?
            ));
        }
        Some(texts.join(", "))
    };
    let (released, rebuilt) = (value(&sides.released, &old)?, value(&sides.rebuilt, &new)?);
    let same_length = old.len() == new.len() && old.len() >= TOOLS && old.len().is_multiple_of(8);
    (released != rebuilt && same_length).then_some(())?;
    for (image, at) in [(&mut sides.released, old), (&mut sides.rebuilt, new)] {
        image.regions.blank(span(at.start.checked_add(SDK)?, 4)?);
        image.regions.blank(at.start.checked_add(TOOLS)?..at.end);
    }
    leaf.add(
        Finding::new(format!("{within}LC_BUILD_VERSION"), &released, &rebuilt)
            .because(Cause::ToolVersion, Confidence::Proven)
            .keyed(format!("{released} → {rebuilt}")),
    );
    Some(())
}

#[cfg(test)]
mod tests;

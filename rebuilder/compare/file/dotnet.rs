//! .NET assemblies (ECMA-335): the identifier of the module, by its place in the metadata. The rest of the file is
//! compared as a Windows executable.

use std::borrow::Cow;

use super::comparator::{FileComparator, Leaf, Pair};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) struct DotNet;

impl FileComparator for DotNet {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.dll", b"MZ\x90\0")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.begin_with(b"MZ")
            && Assembly::read(pair.released).is_some()
            && Assembly::read(pair.rebuilt).is_some()
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (old, new) = (Assembly::read(pair.released)?, Assembly::read(pair.rebuilt)?);
        let mut leaf = Leaf::of(".NET assembly");
        let mut released = Cow::Borrowed(pair.released);
        if old.at == new.at {
            let end = old.at.checked_add(GUID)?;
            released
                .to_mut()
                .get_mut(old.at..end)?
                .copy_from_slice(&new.module);
        }
        let rest_is_same = *released == *pair.rebuilt;
        if old.at == new.at && old.module != new.module {
            let finding = Finding::new("module version ID (MVID)", guid(&old.module), guid(&new.module));
            // Compilers derive it from the rest of the file, or choose it at random.
            leaf.add(if rest_is_same {
                finding
                    .because(Cause::Randomness, Confidence::Proven)
                    .keyed("module version IDs of .NET assemblies")
            } else {
                finding
                    .because(Cause::BuildId, Confidence::Proven)
                    .keyed("module version IDs of .NET assemblies")
                    .following()
            });
        }
        if !rest_is_same {
            let rest = super::read_as_another(self, &Pair::new(pair.file, &released, pair.rebuilt));
            leaf.append(rest);
        }
        Some(leaf)
    }
}

const GUID: usize = 16;

/// The relevant parts of the metadata.
struct Assembly {
    /// Offset of the module's identifier in the file.
    at: usize,
    module: [u8; GUID],
}

impl Assembly {
    fn read(bytes: &[u8]) -> Option<Self> {
        let image = Image::read(bytes)?;
        let cli = image.at(image.directory(14)?.0)?;
        // II.25.3.3: the metadata comes after the size and the version of the runtime.
        let root = image.at(word(bytes, cli.checked_add(8)?)?)?;
        if !bytes.get(root..)?.starts_with(b"BSJB") {
            return None;
        }
        let (tables, (guids, length)) = streams(bytes, root)?;
        // II.24.2.6: the sizes of indexes, then which tables there are, then the number of rows of each.
        let sizes = *bytes.get(tables.checked_add(6)?)?;
        let valid = u64::from_le_bytes(*bytes.get(tables.checked_add(8)?..)?.first_chunk()?);
        if valid & 1 == 0 {
            return None;
        }
        let counts = usize::try_from(valid.count_ones()).ok()?.checked_mul(4)?;
        let row = tables.checked_add(24)?.checked_add(counts)?;
        // II.22.30: a generation, the index of the name, and that of the identifier.
        let name = if sizes & 1 == 0 { 2 } else { 4 };
        let index_at = row.checked_add(2)?.checked_add(name)?;
        let index = if sizes & 2 == 0 {
            u32::from(u16::from_le_bytes(*bytes.get(index_at..)?.first_chunk()?))
        } else {
            word(bytes, index_at)?
        };
        let index = usize::try_from(index).ok()?.checked_sub(1)?;
        let within = index.checked_mul(GUID)?;
        if within.checked_add(GUID)? > length {
            return None;
        }
        let at = guids.checked_add(within)?;
        Some(Self {
            at,
            module: *bytes.get(at..)?.first_chunk()?,
        })
    }
}

/// Offsets of the streams `#~` and `#GUID`, and the length of the latter (II.24.2.1).
fn streams(bytes: &[u8], root: usize) -> Option<(usize, (usize, usize))> {
    const MOST: u16 = 16;
    let version = usize::try_from(word(bytes, root.checked_add(12)?)?).ok()?;
    let mut at = root.checked_add(16)?.checked_add(version)?.checked_add(4)?;
    let count = u16::from_le_bytes(*bytes.get(at.checked_sub(2)?..)?.first_chunk()?);
    let (mut tables, mut guids) = (None, None);
    for _ in 0..count.min(MOST) {
        let start = root.checked_add(usize::try_from(word(bytes, at)?).ok()?)?;
        let name_at = at.checked_add(8)?;
        let name: Vec<u8> = bytes
            .get(name_at..)?
            .iter()
            .copied()
            .take(32)
            .take_while(|byte| *byte != 0)
            .collect();
        match name.as_slice() {
            b"#~" => tables = Some(start),
            b"#GUID" => guids = Some((start, usize::try_from(word(bytes, at.checked_add(4)?)?).ok()?)),
            _ => {}
        }
        let length = name.len().checked_add(1)?.checked_next_multiple_of(4)?;
        at = name_at.checked_add(length)?;
    }
    Some((tables?, guids?))
}

/// The relevant headers of a Windows executable.
struct Image<'a> {
    bytes: &'a [u8],
    /// Offset of the list of directories, and their number.
    directories: (usize, u32),
    /// Address, size in the file and offset of each section.
    sections: Vec<(u32, u32, u32)>,
}

impl<'a> Image<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let pe = usize::try_from(word(bytes, 0x3c)?).ok()?;
        if !bytes.get(pe..)?.starts_with(b"PE\0\0") {
            return None;
        }
        let half = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let (count, optional) = (half(pe.checked_add(6)?)?, pe.checked_add(24)?);
        let length = usize::from(half(pe.checked_add(20)?)?);
        let directories = match half(optional)? {
            0x10b => optional.checked_add(96)?,
            0x20b => optional.checked_add(112)?,
            _ => return None,
        };
        let first = optional.checked_add(length)?;
        let sections = (0..usize::from(count)).map(|index| {
            let at = first.checked_add(index.checked_mul(40)?)?;
            let field = |offset: usize| word(bytes, at.checked_add(offset)?);
            Some((field(12)?, field(16)?, field(20)?))
        });
        Some(Self {
            bytes,
            directories: (directories, word(bytes, directories.checked_sub(4)?)?),
            sections: sections.collect::<Option<_>>()?,
        })
    }

    /// Address and size of a directory.
    fn directory(&self, index: u32) -> Option<(u32, u32)> {
        let (start, count) = self.directories;
        let at = start.checked_add(usize::try_from(index).ok()?.checked_mul(8)?)?;
        (index < count).then_some((word(self.bytes, at)?, word(self.bytes, at.checked_add(4)?)?))
    }

    /// The file offset of an address.
    fn at(&self, address: u32) -> Option<usize> {
        self.sections.iter().find_map(|(start, size, offset)| {
            let within = address.checked_sub(*start).filter(|within| within < size)?;
            usize::try_from(offset.checked_add(within)?).ok()
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A GUID in the notation of Windows: the first three parts are little-endian.
fn guid(bytes: &[u8; GUID]) -> String {
    let part = |from: usize, length: usize| {
        bytes
            .get(from..)
            .and_then(|rest| rest.get(..length))
            .unwrap_or_default()
    };
    let reversed = |from, length| {
        let mut own = part(from, length).to_vec();
        own.reverse();
        hex::encode(own)
    };
    let (one, two, three) = (reversed(0, 4), reversed(4, 2), reversed(6, 2));
    let (first, last) = (part(8, 2), part(10, 6));
    format!("{one}-{two}-{three}-{}-{}", hex::encode(first), hex::encode(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Options, compare_bytes};

    const MODULE: [u8; GUID] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

    /// One section at address 0x1000 and offset 0x200, with the CLI header and the metadata.
    fn assembly(module: [u8; GUID]) -> Vec<u8> {
        let mut file = b"MZ".to_vec();
        file.resize(0x400, 0);
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x3c, &[0x40]);
        put(0x40, b"PE\0\0");
        put(0x46, &[1, 0]);
        put(0x54, &[224, 0]);
        put(0x58, &[0x0b, 1]);
        put(0x58 + 92, &[16]);
        put(0x58 + 96 + 14 * 8, &[0, 0x10, 0, 0, 72]);
        let section = 0x58 + 224;
        put(section + 12, &0x1000_u32.to_le_bytes());
        put(section + 16, &0x200_u32.to_le_bytes());
        put(section + 20, &0x200_u32.to_le_bytes());
        put(0x208, &0x1050_u32.to_le_bytes());
        put(0x250, b"BSJB\x01\0\x01\0\0\0\0\0\x04\0\0\0v4\0\0\0\0\x02\0");
        put(0x268, &[0x30, 0, 0, 0, 0x40, 0, 0, 0]);
        put(0x270, b"#~\0\0");
        put(0x274, &[0x80, 0, 0, 0, 0x10, 0, 0, 0]);
        put(0x27c, b"#GUID\0\0\0");
        // Only the table of modules, with one row: generation, name and identifier.
        put(0x288, &[1]);
        put(0x298, &[1, 0, 0, 0, 0, 0, 5, 0, 1, 0]);
        put(0x2d0, &module);
        file
    }

    #[test]
    fn only_the_identifier_of_the_module_differs() {
        let (old, new) = (assembly(MODULE), assembly([2; GUID]));
        let comparison = compare_bytes("x.dll", &old, &new, &Options::default());
        assert_eq!(comparison.causes.len(), 1, "{:?}", comparison.causes);
        assert_eq!(comparison.causes[0].cause, Cause::Randomness);
        let told = &comparison.causes[0].example.released;
        assert_eq!(told, "04030201-0605-0807-090a-0b0c0d0e0f10");
    }

    #[test]
    fn any_other_byte_is_left_to_other_readers() {
        let old = assembly(MODULE);
        for at in [0x2ca, 0x2e0, 0x3f0] {
            let mut new = assembly([2; GUID]);
            new[at] ^= 1;
            let comparison = compare_bytes("x.dll", &old, &new, &Options::default());
            assert_eq!(comparison.causes[0].cause, Cause::Content, "{at:#x}");
            assert_eq!(comparison.causes[0].follow, 1, "the identifier follows");
        }
    }
}

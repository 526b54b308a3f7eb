//! Manifests and signature files as the JVM reads them (JAR File Specification, "Name-Value pairs and Sections";
//! `java.util.jar.Manifest` of OpenJDK 17).

use std::collections::BTreeMap;
use std::ops::Range;

/// A whole file.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub main: Section,
    /// Named sections in stored order; the JVM merges those with the same name.
    pub sections: Vec<Section>,
    /// A last line without a line end, which the JVM ignores but other readers use.
    pub unended: Option<Vec<u8>>,
    /// Which line ends occur: CR LF, LF, CR.
    pub ends: [bool; 3],
    /// Number of blank lines before each section, and after the last.
    pub blanks: Vec<usize>,
    /// Whether the last section ends with a blank line, rather than with the file.
    pub closed: bool,
}

/// Attributes up to a blank line.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// Value of `Name`; empty for the main section.
    pub name: String,
    /// The places where the name is folded.
    pub name_folds: Vec<usize>,
    pub attributes: Vec<Attribute>,
    /// From its first line to the end of the blank line after it.
    pub bytes: Range<usize>,
}

#[derive(Debug)]
pub(super) struct Attribute {
    pub name: String,
    pub value: String,
    /// Number of bytes of the value on each of its lines.
    pub folds: Vec<usize>,
}

/// Values of each attribute in stored order, by lower-case name.
pub(super) type Values<'a> = BTreeMap<String, Vec<&'a str>>;

impl Section {
    pub fn values(&self) -> Values<'_> {
        values(&self.attributes)
    }
}

pub(super) fn values<'a>(attributes: impl IntoIterator<Item = &'a Attribute>) -> Values<'a> {
    let mut values = Values::new();
    for attribute in attributes {
        let name = attribute.name.to_ascii_lowercase();
        values.entry(name).or_default().push(&attribute.value);
    }
    values
}

impl Manifest {
    /// The attributes of each named section, merged.
    pub fn merged(&self) -> BTreeMap<&str, Values<'_>> {
        let mut by_name: BTreeMap<&str, Vec<&Attribute>> = BTreeMap::new();
        for section in &self.sections {
            by_name
                .entry(&section.name)
                .or_default()
                .extend(&section.attributes);
        }
        by_name
            .into_iter()
            .map(|(name, attributes)| (name, values(attributes)))
            .collect()
    }

    /// Reads a file; the error says why the JVM refuses it, or may read it differently than the launcher.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        if bytes.contains(&0) {
            return Err("a NUL byte, at which the launcher stops reading");
        }
        let mut reader = Reader { bytes, at: 0 };
        let mut manifest = Self::default();
        manifest.main = manifest.section(&mut reader, None)?;
        loop {
            let mut blanks: usize = 0;
            let first = loop {
                match reader.line(&mut manifest)? {
                    Some([]) => blanks = blanks.saturating_add(1),
                    other => break other,
                }
            };
            manifest.blanks.push(blanks);
            let Some(line) = first else {
                return Ok(manifest);
            };
            let start = offset(bytes, line);
            let logical = reader.unfold(line, &mut manifest)?;
            let is_name = logical
                .bytes
                .get(..6)
                .is_some_and(|name| name.eq_ignore_ascii_case(b"Name: "));
            if !is_name {
                return Err("a section without a name");
            }
            let name = text(logical.bytes.get(6..).unwrap_or_default())?;
            let section = manifest.section(&mut reader, Some((name, logical.folds, start)))?;
            manifest.sections.push(section);
        }
    }

    fn section(
        &mut self,
        reader: &mut Reader,
        named: Option<(String, Vec<usize>, usize)>,
    ) -> Result<Section, &'static str> {
        let mut section = Section::default();
        let mut start = reader.at;
        if let Some((name, folds, at)) = named {
            (section.name, section.name_folds, start) = (name, folds, at);
        }
        self.closed = false;
        while let Some(line) = reader.line(self)? {
            if line.is_empty() {
                self.closed = true;
                break;
            }
            let logical = reader.unfold(line, self)?;
            let colon = logical.bytes.iter().position(|byte| *byte == b':');
            let colon = colon.ok_or("a line without a colon")?;
            let (name, rest) = logical.bytes.split_at_checked(colon).unwrap_or_default();
            let value = rest.strip_prefix(b": ").ok_or("a colon without a space")?;
            let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if name.is_empty() || name.len() > 70 || !name.iter().all(is_letter) {
                return Err("a name that no attribute may have");
            }
            // The name and the colon must be complete on the first line.
            if logical
                .folds
                .first()
                .is_some_and(|first| *first < colon.saturating_add(2))
            {
                return Err("a name that is folded");
            }
            section.attributes.push(Attribute {
                name: text(name)?,
                value: text(value)?,
                folds: logical.folds,
            });
        }
        section.bytes = start..reader.at;
        Ok(section)
    }
}

fn text(bytes: &[u8]) -> Result<String, &'static str> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "bytes that are not UTF-8")
}

/// The offset in `whole` of `part`, which is a part of it.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

/// A line with its continuation lines.
struct Logical {
    bytes: Vec<u8>,
    /// Lengths of its lines, without the leading spaces.
    folds: Vec<usize>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next line without its end. A last line without an end is stored separately.
    fn line(&mut self, manifest: &mut Manifest) -> Result<Option<&'a [u8]>, &'static str> {
        const LONGEST: usize = 512;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
            if !rest.is_empty() {
                manifest.unended = Some(rest.to_vec());
            }
            self.at = self.bytes.len();
            return Ok(None);
        };
        let (line, end) = rest.split_at_checked(length).unwrap_or_default();
        let (kind, ending) = if end.starts_with(b"\r\n") {
            (0, 2)
        } else if end.starts_with(b"\n") {
            (1, 1)
        } else {
            (2, 1)
        };
        if let Some(seen) = manifest.ends.get_mut(kind) {
            *seen = true;
        }
        let whole = length.saturating_add(ending);
        if whole > LONGEST {
            return Err("a line of more than 512 bytes");
        }
        self.at = self.at.saturating_add(whole);
        Ok(Some(line))
    }

    /// The line joined with the following lines that begin with a space.
    fn unfold(&mut self, first: &[u8], manifest: &mut Manifest) -> Result<Logical, &'static str> {
        if first.starts_with(b" ") {
            return Err("a continuation of nothing");
        }
        let mut logical = Logical {
            bytes: first.to_vec(),
            folds: vec![first.len()],
        };
        while self.bytes.get(self.at) == Some(&b' ') {
            let Some(line) = self.line(manifest)? else { break };
            let part = line.get(1..).unwrap_or_default();
            logical.bytes.extend_from_slice(part);
            logical.folds.push(part.len());
        }
        Ok(logical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, &'static str> {
        let manifest = Manifest::parse(text.as_bytes())?;
        let sections = std::iter::once(&manifest.main).chain(&manifest.sections);
        Ok(sections
            .flat_map(|section| {
                let own = section.attributes.iter();
                own.map(|attribute| {
                    (
                        format!("{}|{}", section.name, attribute.name),
                        attribute.value.clone(),
                    )
                })
            })
            .collect())
    }

    #[test]
    fn lines_are_read_as_the_jvm_reads_them() {
        let pairs = |pairs: &[(&str, &str)]| {
            Ok(pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<Vec<_>>())
        };
        assert_eq!(
            read("A: 1\r\nB: x\r\n y\r\n\r\n"),
            pairs(&[("|A", "1"), ("|B", "xy")])
        );
        assert_eq!(
            read("A: 1\rB: 2\n\n\nName: a\n b\nC: 3\n"),
            pairs(&[("|A", "1"), ("|B", "2"), ("ab|C", "3")])
        );
        // The JVM ignores a last line without an end.
        assert_eq!(read("A: 1\nB: 2"), pairs(&[("|A", "1")]));
        for refused in [
            " A: 1\n",
            "A\n",
            "A:1\n",
            "A B: 1\n",
            "A: 1\n\nB: 2\n",
            "A: \0\n",
            "A\n : 1\n",
        ] {
            assert!(read(refused).is_err(), "{refused:?}");
        }
        assert!(read(&format!("A: {}\n", "x".repeat(508))).is_ok());
        assert!(read(&format!("A: {}\n", "x".repeat(509))).is_err());
    }

    #[test]
    fn sections_know_their_bytes() {
        let text = "A: 1\r\n\r\nName: x\r\nB: 2\r\n\r\nName: y\r\nB: 3\r\n\r\n";
        let manifest = Manifest::parse(text.as_bytes()).expect("a manifest");
        assert_eq!(text.get(manifest.main.bytes.clone()), Some("A: 1\r\n\r\n"));
        assert_eq!(
            text.get(manifest.sections[0].bytes.clone()),
            Some("Name: x\r\nB: 2\r\n\r\n")
        );
        assert_eq!(
            text.get(manifest.sections[1].bytes.clone()),
            Some("Name: y\r\nB: 3\r\n\r\n")
        );
    }
}

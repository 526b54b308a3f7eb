//! Text, line by line.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use imara_diff::{Algorithm, Diff, InternedInput};
use regex::Regex;

use super::Leaf;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::{Context, explain, skeleton};
use crate::compare::finding::{Excerpt, Finding, Hunk};
use crate::compare::normalise::Normalisation;

/// Most hunks kept to be shown, and lines of each.
const MOST_HUNKS: usize = 200;
const MOST_LINES: usize = 40;
const LONGEST_LINE: usize = 2000;
/// Text beyond this is compared as bytes.
const LARGEST: usize = 24 << 20;
/// Most pairs of lines that are explained one by one.
const MOST_EXPLAINED: usize = 20_000;
/// So many lines without a reason make the rest of the file a change of content as well.
const MOST_UNEXPLAINED: u64 = 200;

pub(super) fn compare(path: &str, released: &[u8], rebuilt: &[u8]) -> Leaf {
    if released.len().max(rebuilt.len()) > LARGEST {
        return super::bytes::compare(released, rebuilt);
    }
    let mut leaf = Leaf::of("text");
    if let Some(finding) = line_ends(released, rebuilt).or_else(|| trimmed(released, rebuilt)) {
        leaf.add(finding);
        return leaf;
    }
    let (old, new) = (lines(released), lines(rebuilt));
    let diff = diff(&old, &new);
    let kind = Kind::of(path);
    let mut pairs = Vec::new();
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let mut span: Option<Span> = None;
    for hunk in diff.hunks() {
        let before = hunk.before.start as usize..hunk.before.end as usize;
        let after = hunk.after.start as usize..hunk.after.end as usize;
        let span = span.get_or_insert_with(|| (before.clone(), after.clone()));
        (span.0.end, span.1.end) = (before.end, after.end);
        if before.len() == after.len() && kind != Kind::Checksums {
            pairs.extend(before.zip(after));
        } else {
            removed.extend(before);
            added.extend(after);
        }
    }
    if let Some(span) = span {
        moved(
            &mut leaf,
            path,
            (&old, &new),
            &span,
            &mut pairs,
            &mut removed,
            &mut added,
        );
    }
    if kind == Kind::Checksums {
        checksums(&mut leaf, path, &old, &new, &mut removed, &mut added);
    } else {
        alike(&old, &new, &mut pairs, &mut removed, &mut added);
    }
    let mut read = 0;
    for (a, b) in &pairs {
        // A file that was written anew is a change of content; its single lines need no reasons.
        let unexplained = leaf
            .findings
            .iter()
            .filter(|finding| finding.cause == Cause::Content);
        if read >= MOST_EXPLAINED
            || unexplained.map(|finding| finding.places).sum::<u64>() >= MOST_UNEXPLAINED
        {
            break;
        }
        line(&mut leaf, kind, (&old, *a), (&new, *b));
        read += 1;
    }
    let beyond = (pairs.len() - read) as u64;
    let left = removed
        .iter()
        .map(|at| (*at, true))
        .chain(added.iter().map(|at| (*at, false)));
    for (at, is_old) in left {
        let text = if is_old { &old[at] } else { &new[at] };
        let (a, b) = if is_old {
            (text.trim_end(), "")
        } else {
            ("", text.trim_end())
        };
        leaf.add(Finding::new(format!("line {}", at + 1), a, b));
    }
    if beyond > 0 {
        leaf.add(Finding::new("lines beyond those read", "", "").times(beyond));
    }
    leaf.excerpts.push(excerpt_of(&diff, &old, &new));
    if path.ends_with("git.properties") {
        for finding in &mut leaf.findings {
            finding.normalisation = Some(Normalisation::JarGitProperties);
            if finding.cause == Cause::Content {
                finding.cause = Cause::SourceRevision;
                finding.key = "git.properties".into();
            }
        }
    }
    leaf
}

/// The differing lines alone, for readers that find the reasons by themselves; none where only line ends differ.
pub(super) fn excerpt(released: &[u8], rebuilt: &[u8]) -> Option<Excerpt> {
    if line_ends(released, rebuilt).is_some() {
        return None;
    }
    let (old, new) = (lines(released), lines(rebuilt));
    Some(excerpt_of(&diff(&old, &new), &old, &new))
}

fn diff(old: &[Cow<str>], new: &[Cow<str>]) -> Diff {
    let mut input: InternedInput<&str> = InternedInput::default();
    input.update_before(old.iter().map(|line| &**line));
    input.update_after(new.iter().map(|line| &**line));
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    diff
}

fn excerpt_of(diff: &Diff, old: &[Cow<str>], new: &[Cow<str>]) -> Excerpt {
    let mut excerpt = Excerpt {
        of: "lines".into(),
        ..Excerpt::default()
    };
    for hunk in diff.hunks() {
        if excerpt.hunks.len() == MOST_HUNKS {
            excerpt.more += 1;
            continue;
        }
        let before = hunk.before.start as usize..hunk.before.end as usize;
        let after = hunk.after.start as usize..hunk.after.end as usize;
        excerpt.hunks.push(shown(old, new, &before, &after));
    }
    excerpt
}

/// What the lines of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Digests of other files.
    Checksums,
    /// Fields, continued by indented lines.
    Fields,
    /// A jar's manifest: fields, some of which say who built it with what.
    Manifest,
    /// Comments of a jar's `pom.properties`, and all of its `git.properties`.
    Properties,
    /// The specification of a gem.
    Gem,
    Plain,
}

impl Kind {
    fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let lower = name.to_ascii_lowercase();
        if name == "RECORD"
            || lower.ends_with("sums")
            || lower.starts_with("sha256sum")
            || lower == "checksums.yaml"
        {
            Self::Checksums
        } else if path.ends_with("META-INF/MANIFEST.MF") {
            Self::Manifest
        } else if path.contains("META-INF/maven/") && name == "pom.properties" || name == "git.properties" {
            Self::Properties
        } else if path.contains(".gem/") && name == "metadata" {
            Self::Gem
        } else if matches!(
            name,
            "control" | "METADATA" | "PKG-INFO" | "WHEEL" | "header" | "signature"
        ) || [".dsc", ".changes", ".buildinfo", ".mf"]
            .iter()
            .any(|end| lower.ends_with(end))
        {
            Self::Fields
        } else {
            Self::Plain
        }
    }
}

fn lines(text: &[u8]) -> Vec<Cow<'_, str>> {
    imara_diff::sources::byte_lines(text)
        .map(String::from_utf8_lossy)
        .collect()
}

fn shown(
    old: &[Cow<str>],
    new: &[Cow<str>],
    before: &std::ops::Range<usize>,
    after: &std::ops::Range<usize>,
) -> Hunk {
    let cut = |lines: &[Cow<str>]| -> Vec<String> {
        let mut kept: Vec<String> = lines
            .iter()
            .take(MOST_LINES)
            .map(|line| line.trim_end_matches('\n').chars().take(LONGEST_LINE).collect())
            .collect();
        if lines.len() > MOST_LINES {
            kept.push(format!("… {} more lines", lines.len() - MOST_LINES));
        }
        kept
    };
    Hunk {
        released_from: before.start as u64 + 1,
        released: cut(&old[before.clone()]),
        rebuilt_from: after.start as u64 + 1,
        rebuilt: cut(&new[after.clone()]),
    }
}

/// The same text with other line ends.
fn line_ends(released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
    let (old, new) = (released.contains(&b'\r'), rebuilt.contains(&b'\r'));
    let without =
        |text: &'_ [u8]| -> Vec<u8> { text.iter().copied().filter(|byte| *byte != b'\r').collect() };
    if old == new || without(released) != without(rebuilt) {
        return None;
    }
    let word = |crs| if crs { "CR LF" } else { "LF" };
    Some(
        Finding::new("line ends", word(old), word(new))
            .because(Cause::HostSystem, Confidence::Likely)
            .keyed("line ends"),
    )
}

/// From the first differing line to the last, on both sides.
type Span = (std::ops::Range<usize>, std::ops::Range<usize>);

/// A Debian changelog that a newer debhelper cut short: what stands before its note is how the other begins.
fn trimmed(released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
    const NOTE: &[u8] = b"# Older entries have been removed from this changelog.";
    let short = |text: &[u8], other: &[u8]| {
        let at = text.windows(NOTE.len()).position(|window| window == NOTE);
        at.is_some_and(|at| {
            at > 0 && other.starts_with(&text[..at]) && text[at..].split(|byte| *byte == b'\n').count() <= 4
        })
    };
    if !short(released, rebuilt) && !short(rebuilt, released) {
        return None;
    }
    Some(
        Finding::new(
            "older entries",
            format!("{} bytes", released.len()),
            format!("{} bytes", rebuilt.len()),
        )
        .because(Cause::ToolVersion, Confidence::Proven)
        .keyed("debhelper, which cuts changelogs short"),
    )
}

/// Lines that stand on both sides in other places.
fn moved(
    leaf: &mut Leaf,
    path: &str,
    (old, new): (&[Cow<str>], &[Cow<str>]),
    span: &Span,
    pairs: &mut Vec<(usize, usize)>,
    removed: &mut Vec<usize>,
    added: &mut Vec<usize>,
) {
    let mut all_removed: Vec<usize> = removed
        .iter()
        .copied()
        .chain(pairs.iter().map(|pair| pair.0))
        .collect();
    let mut all_added: Vec<usize> = added
        .iter()
        .copied()
        .chain(pairs.iter().map(|pair| pair.1))
        .collect();
    // The last line may lack its end.
    let key = |line: &str| line.trim_end_matches('\n').to_owned();
    let (mut left, mut right): (Vec<_>, Vec<_>) = (
        all_removed.iter().map(|at| key(&old[*at])).collect(),
        all_added.iter().map(|at| key(&new[*at])).collect(),
    );
    left.sort();
    right.sort();
    if left != right || left.is_empty() {
        return;
    }
    all_removed.sort_unstable();
    all_added.sort_unstable();
    let (first_old, first_new) = (all_removed[0], all_added[0]);
    let reason = sorted_by_locale(&old[span.0.clone()], &new[span.1.clone()]);
    let (cause, note) = match reason {
        Some(note) => (Cause::Locale, note),
        None => (Cause::Order, "lines"),
    };
    leaf.add(
        Finding::new(
            format!("line {}", first_old + 1),
            old[first_old].trim_end(),
            new[first_new].trim_end(),
        )
        .because(
            cause,
            if cause == Cause::Locale {
                Confidence::Likely
            } else {
                Confidence::Proven
            },
        )
        .keyed(note)
        .set_aside_by(unordered(path, old, &all_removed).then_some(Normalisation::WheelMetadataOrder))
        .times(all_removed.len() as u64),
    );
    pairs.clear();
    removed.clear();
    added.clear();
}

/// Fields of a wheel's METADATA that may be repeated, and whose order means nothing (core metadata specification).
const REPEATED_FIELDS: [&str; 8] = [
    "Classifier:",
    "Dynamic:",
    "License-File:",
    "Obsoletes-Dist:",
    "Platform:",
    "Project-URL:",
    "Provides-Extra:",
    "Requires-Dist:",
];

/// Whether all these lines are such fields in the headers of a wheel's METADATA.
fn unordered(path: &str, lines: &[Cow<str>], moved: &[usize]) -> bool {
    let headers = lines
        .iter()
        .position(|line| line.trim().is_empty())
        .unwrap_or(lines.len());
    let repeated =
        |at: &usize| *at < headers && REPEATED_FIELDS.iter().any(|field| lines[*at].starts_with(field));
    path.ends_with(".dist-info/METADATA") && moved.iter().all(repeated)
}

/// Whether one side is in byte order and the other in the order of a language: letters without their case first.
pub(in super::super) fn sorted_by_locale(
    old: &[impl AsRef<str>],
    new: &[impl AsRef<str>],
) -> Option<&'static str> {
    fn bytewise(lines: &[impl AsRef<str>]) -> bool {
        lines.windows(2).all(|pair| pair[0].as_ref() <= pair[1].as_ref())
    }
    fn collated(lines: &[impl AsRef<str>]) -> bool {
        lines
            .windows(2)
            .all(|pair| letters(pair[0].as_ref()) <= letters(pair[1].as_ref()))
    }
    let locale = (bytewise(old) && collated(new)) || (bytewise(new) && collated(old));
    (locale && old.len() > 2).then_some("sorted by another locale")
}

/// What a language sorts by first.
fn letters(line: &str) -> String {
    line.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            'ä' | 'á' | 'à' | 'â' | 'å' | 'ã' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'í' | 'ì' | 'î' | 'ï' => 'i',
            'ö' | 'ó' | 'ò' | 'ô' | 'õ' | 'ø' => 'o',
            'ü' | 'ú' | 'ù' | 'û' => 'u',
            'ç' => 'c',
            'ñ' => 'n',
            other => other,
        })
        .collect()
}

static FIELD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"^[ \t]*["']?([A-Za-z_][A-Za-z0-9_ .@/-]{0,48}?)["']?[ \t]*[:=][ \t]?(.*)$"#).ok()
});

/// The field that a line belongs to, and its value.
fn field<'a>(kind: Kind, lines: &'a [Cow<str>], at: usize) -> (&'a str, &'a str) {
    let line = lines[at].trim_end();
    if matches!(kind, Kind::Fields | Kind::Manifest) && line.starts_with([' ', '\t']) {
        const FARTHEST: usize = 500;
        let above = lines[..at]
            .iter()
            .rev()
            .take(FARTHEST)
            .find(|line| !line.starts_with([' ', '\t']));
        let name = above
            .and_then(|line| line.split_once(':'))
            .map_or("", |(name, _)| name);
        return (name, line);
    }
    let captures = FIELD.as_ref().and_then(|pattern| pattern.captures(line));
    captures.map_or(("", line), |captures| {
        (
            captures.get(1).map_or("", |name| name.as_str()),
            captures.get(2).map_or("", |value| value.as_str()),
        )
    })
}

type At<'a, 'b> = (&'a [Cow<'b, str>], usize);

fn line(leaf: &mut Leaf, kind: Kind, old: At, new: At) {
    let place = format!("line {}", old.1 + 1);
    let (a, b) = (old.0[old.1].trim_end(), new.0[new.1].trim_end());
    let ((name_a, value_a), (name_b, value_b)) = (field(kind, old.0, old.1), field(kind, new.0, new.1));
    let same_field = !name_a.is_empty() && name_a == name_b;
    let place = if same_field {
        format!("{place}, {name_a}")
    } else {
        place
    };
    let comments = kind == Kind::Properties && a.starts_with('#') && b.starts_with('#');
    let name = match (same_field, comments) {
        (true, _) => name_a,
        (false, true) => "#",
        (false, false) => "",
    };
    if let Some(finding) = known_field(kind, name, value_a, value_b, &place) {
        leaf.add(finding);
        return;
    }
    let context = Context {
        field: if same_field { name_a } else { "" },
        ..Context::default()
    };
    // The value alone first: a name with digits in it is no version.
    let reasons = if same_field {
        explain(value_a, value_b, context)
    } else {
        Vec::new()
    };
    if reasons.is_empty() {
        if let Some(finding) = shuffled(a, b, &place) {
            leaf.add(finding);
            return;
        }
        leaf.add_pair(&place, a, b, context);
        return;
    }
    for reason in reasons {
        leaf.add_reason(&place, a, b, &reason);
    }
}

/// Fields whose meaning is fixed by their format.
fn known_field(kind: Kind, name: &str, a: &str, b: &str, place: &str) -> Option<Finding> {
    let finding = Finding::new(place, a, b);
    let digest = a.len() >= 32 && !a.contains(' ');
    Some(match (kind, name) {
        (Kind::Fields, "Installed-Size" | "size") => finding
            .because(Cause::Checksum, Confidence::Likely)
            .keyed("sizes of other files")
            .following(),
        (Kind::Fields, "payload digest" | "alternative payload digest" | "file digest") if digest => finding
            .because(Cause::Checksum, Confidence::Likely)
            .keyed("checksum of another part of the package")
            .following(),
        (Kind::Fields, name) if name.starts_with("digest of ") => finding
            .because(Cause::Checksum, Confidence::Likely)
            .keyed("checksum of another part of the package")
            .following(),
        (Kind::Fields, "signature") => finding
            .because(Cause::Signature, Confidence::Proven)
            .keyed("signature of the package"),
        (Kind::Fields, "build time" | "file mtime") => finding
            .because(Cause::Timestamp, Confidence::Proven)
            .keyed(format!("rpm: {name}")),
        (Kind::Manifest, name) if name.ends_with("-Digest") => finding
            .because(Cause::Checksum, Confidence::Likely)
            .keyed("digests in MANIFEST.MF")
            .set_aside_by(Normalisation::JarSignature)
            .following(),
        (Kind::Manifest, "Built-By" | "Built-Host" | "Build-Host") => finding
            .because(Cause::BuildHost, Confidence::Proven)
            .keyed(format!("{name} in MANIFEST.MF"))
            .set_aside_by(Normalisation::JarBuildMetadata),
        (
            Kind::Manifest,
            "Bnd-LastModified" | "Build-Time" | "Build-Date" | "Build-Timestamp" | "Built-Date",
        ) => finding
            .because(Cause::Timestamp, Confidence::Proven)
            .keyed(format!("{name} in MANIFEST.MF"))
            .set_aside_by(Normalisation::JarBuildMetadata),
        (
            Kind::Manifest,
            "Created-By" | "Build-Jdk" | "Build-Jdk-Spec" | "Ant-Version" | "Archiver-Version" | "Tool"
            | "Build-Tool" | "Bundle-Generator",
        ) => finding
            .because(Cause::ToolVersion, Confidence::Proven)
            .keyed(format!("{name}: {a} → {b}"))
            .set_aside_by(Normalisation::JarBuildMetadata),
        (Kind::Manifest, "Build-Os" | "Built-OS" | "Os-Version") => finding
            .because(Cause::HostSystem, Confidence::Proven)
            .keyed(format!("{name} in MANIFEST.MF"))
            .set_aside_by(Normalisation::JarBuildMetadata),
        (Kind::Manifest, _) => shuffled(a, b, place)?.set_aside_by(Normalisation::JarAttributeValueOrder),
        (Kind::Properties, "#") => finding
            .because(Cause::Timestamp, Confidence::Likely)
            .keyed("comment of pom.properties")
            .set_aside_by(Normalisation::JarMavenPomProperties),
        (Kind::Gem, "date") => finding
            .because(Cause::Timestamp, Confidence::Proven)
            .keyed("date of the gem")
            .set_aside_by(Normalisation::GemMetadataDate),
        (Kind::Gem, "rubygems_version") => finding
            .because(Cause::ToolVersion, Confidence::Proven)
            .keyed(format!("rubygems {a} → {b}"))
            .set_aside_by(Normalisation::GemMetadataRubygemsVersion),
        _ => return None,
    })
}

/// The same words in another order within one line: what hash tables give.
fn shuffled(a: &str, b: &str, place: &str) -> Option<Finding> {
    let words = |line: &str| -> Vec<String> {
        let mut words: Vec<_> = line
            .split(|c: char| {
                c.is_whitespace() || matches!(c, ',' | ';' | '{' | '}' | '[' | ']' | '(' | ')' | ':')
            })
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        words.sort();
        words
    };
    let separators = |line: &str| -> usize { line.matches([',', ';', ' ']).count() };
    let (old, new) = (words(a), words(b));
    if old.len() < 3 || old != new || separators(a) != separators(b) {
        return None;
    }
    // In code the order of words is the meaning; only lists are sets.
    let list = |line: &str| {
        line.matches([',', ';']).count() >= 2 || !line.contains(['(', '=', '+', '-', '&', '|', '<'])
    };
    (list(a) && list(b)).then(|| {
        Finding::new(place, a, b)
            .because(Cause::Order, Confidence::Likely)
            .keyed("words of a line")
    })
}

/// Lines of different numbers on both sides: those that are explained by each other stand for the same.
fn alike(
    old: &[Cow<str>],
    new: &[Cow<str>],
    pairs: &mut Vec<(usize, usize)>,
    removed: &mut Vec<usize>,
    added: &mut Vec<usize>,
) {
    let mut by_skeleton: HashMap<String, Vec<usize>> = HashMap::new();
    for b in added.iter().rev() {
        by_skeleton.entry(skeleton(&new[*b])).or_default().push(*b);
    }
    let mut left = Vec::new();
    let mut taken = HashSet::new();
    for a in removed.drain(..) {
        match by_skeleton.get_mut(&skeleton(&old[a])).and_then(Vec::pop) {
            Some(b) => {
                taken.insert(b);
                pairs.push((a, b));
            }
            None => left.push(a),
        }
    }
    added.retain(|b| !taken.contains(b));
    *removed = left;
    // What is left may be one field with another value.
    let name = |line: &str| {
        line.split_once(':')
            .map(|(name, _)| name.to_owned())
            .filter(|name| !name.contains(' '))
    };
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for b in added.iter().rev() {
        if let Some(name) = name(&new[*b]) {
            by_name.entry(name).or_default().push(*b);
        }
    }
    let mut taken = HashSet::new();
    removed.retain(|a| {
        let partner = name(&old[*a]).and_then(|name| by_name.get_mut(&name)?.pop());
        partner.is_none_or(|b| {
            taken.insert(b);
            pairs.push((*a, b));
            false
        })
    });
    added.retain(|b| !taken.contains(b));
}

/// The lines of one file in two lists of checksums.
type Places = (Option<usize>, Option<usize>);

/// Digests of other files, paired by the file that they are of.
fn checksums(
    leaf: &mut Leaf,
    path: &str,
    old: &[Cow<str>],
    new: &[Cow<str>],
    removed: &mut Vec<usize>,
    added: &mut Vec<usize>,
) {
    let record = path.ends_with("RECORD");
    let of = |line: &str| -> Option<String> {
        let line = line.trim_end();
        if record {
            let (rest, size) = line.rsplit_once(',')?;
            let (file, digest) = rest.rsplit_once(',')?;
            let plain = digest.is_empty() || digest.starts_with("sha");
            return (plain && size.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| file.trim_matches('"').to_owned());
        }
        let (digest, file) = line.split_once([' ', ':'])?;
        let hex = digest.len() >= 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hex {
            return Some(file.trim_start_matches([' ', '*']).to_owned());
        }
        // checksums.yaml of a gem: `  data.tar.gz: DIGEST`
        let (file, digest) = line.trim_start().split_once(": ")?;
        let hex = digest.len() >= 32
            && digest
                .trim_matches(['"', '\''])
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| file.to_owned())
    };
    // A list may hold digests of several kinds for one file; their lines have different lengths.
    let mut by_file: BTreeMap<(String, usize), Places> = BTreeMap::new();
    let key = |line: &str| Some((of(line)?, if record { 0 } else { line.trim_end().len() }));
    removed.retain(|at| {
        key(&old[*at]).is_none_or(|key| by_file.entry(key).or_default().0.replace(*at).is_some())
    });
    added.retain(|at| {
        key(&new[*at]).is_none_or(|key| by_file.entry(key).or_default().1.replace(*at).is_some())
    });
    for ((file, _), (a, b)) in by_file {
        let text = |lines: &[Cow<str>], at: Option<usize>| {
            at.map(|at| lines[at].trim_end().to_owned()).unwrap_or_default()
        };
        let (text_a, text_b) = (text(old, a), text(new, b));
        let place = format!("line {}", a.or(b).unwrap_or(0) + 1);
        if text_a == text_b {
            leaf.add(
                Finding::new(place, text_a, "another place")
                    .because(Cause::Order, Confidence::Proven)
                    .keyed("lines")
                    .set_aside_by(record.then_some(Normalisation::WheelRecord)),
            );
            continue;
        }
        let mut finding = Finding::new(place, text_a, text_b)
            .because(Cause::Checksum, Confidence::Likely)
            .keyed("checksums of other files")
            .following();
        if record {
            finding = finding.set_aside_by(Normalisation::WheelRecord);
        } else if path.ends_with("checksums.yaml") {
            finding = finding.set_aside_by(Normalisation::GemExcludeChecksums);
        } else if path.ends_with("control.tar/md5sums")
            || path.contains("/control.tar.") && path.ends_with("/md5sums")
        {
            finding = finding.set_aside_by(Normalisation::DebMd5sums);
        }
        finding.checksum_of = Some(file);
        leaf.findings.push(finding);
    }
}

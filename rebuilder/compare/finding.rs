//! The findings of a comparison: a tree of nodes, with the differences of each.

use serde::{Deserialize, Serialize};

use super::cause::{Cause, Confidence, Reason};
use super::claims::{Claims, NAMESAKE};
use super::normalise::Normalisation;
use super::place::Place;

/// One difference and its cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The place within the node: a field, a line, a section, an offset.
    pub place: Place,
    /// The value on the released side.
    pub released: String,
    /// The value on the rebuilt side.
    pub rebuilt: String,
    /// The cause.
    pub cause: Cause,
    /// What findings of one root cause share, such as `/build/a → /build/b`.
    pub key: String,
    /// The confidence in the cause.
    pub confidence: Confidence,
    /// Whether it only follows from differences elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
    /// The file whose checksum it is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum_of: Option<String>,
    /// The claims of both sides about that file, until they are checked.
    #[serde(skip)]
    pub(super) claims: Option<Box<Claims>>,
    /// The normalisation that may set it aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<Normalisation>,
    /// Number of places.
    pub places: u64,
}

impl Finding {
    /// A finding in one place.
    pub fn new(place: impl Into<Place>, released: impl Into<String>, rebuilt: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            released: shortened(released.into()),
            rebuilt: shortened(rebuilt.into()),
            cause: Cause::Content,
            key: String::new(),
            confidence: Confidence::Proven,
            follows: false,
            checksum_of: None,
            claims: None,
            normalisation: None,
            places: 1,
        }
    }

    /// Whether it is a change of content, and no normalisation sets it aside.
    pub fn is_content(&self) -> bool {
        self.cause == Cause::Content && self.normalisation.is_none()
    }

    pub(super) fn because(mut self, cause: Cause, confidence: Confidence) -> Self {
        self.cause = cause;
        self.confidence = confidence;
        self
    }

    pub(super) fn explained_by(self, reason: &Reason) -> Self {
        self.because(reason.cause, reason.confidence).keyed(&reason.key)
    }

    pub(super) fn keyed(mut self, key: impl Into<String>) -> Self {
        self.key = shortened(key.into());
        self
    }

    pub(super) fn set_aside_by(mut self, normalisation: impl Into<Option<Normalisation>>) -> Self {
        self.normalisation = normalisation.into();
        self
    }

    pub(super) fn following(mut self) -> Self {
        self.follows = true;
        self
    }

    /// Marks a checksum, which follows from its file if that is confirmed later.
    pub(super) fn claiming(mut self, claims: Claims) -> Self {
        let named = claims.file().filter(|file| *file != NAMESAKE);
        self.checksum_of = named.map(str::to_owned);
        self.claims = Some(Box::new(claims));
        self.because(Cause::Checksum, Confidence::Likely)
            .keyed("checksums of other files")
            .following()
    }

    pub(super) fn times(mut self, places: u64) -> Self {
        self.places = places;
        self
    }
}

/// Maximum length of a displayed value, in characters.
const LONGEST_VALUE: usize = 240;

fn shortened(text: String) -> String {
    if text.len() <= LONGEST_VALUE {
        return text;
    }
    let mut kept: String = text.chars().take(LONGEST_VALUE).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}

/// Differing lines, with the number of the first line on each side, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    /// Number of the first released line.
    pub released_from: u64,
    /// Lines of the released side.
    pub released: Vec<String>,
    /// Number of the first rebuilt line.
    pub rebuilt_from: u64,
    /// Lines of the rebuilt side.
    pub rebuilt: Vec<String>,
}

/// Differing bytes in hexadecimal, from an offset that is the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteRange {
    /// Offset of the first byte shown.
    pub offset: u64,
    /// Bytes of the released side.
    pub released: String,
    /// Bytes of the rebuilt side.
    pub rebuilt: String,
}

/// The differing bytes themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// What was compared, such as `lines` or `strings of .rodata`.
    pub of: String,
    /// Lines, if it is text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hunks: Vec<Hunk>,
    /// Bytes, otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bytes: Vec<ByteRange>,
    /// Number of hunks or ranges that were not kept.
    #[serde(default)]
    pub more: u64,
}

/// Which sides have a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// Both sides; they differ.
    #[default]
    Both,
    /// Only the released side has it.
    OnlyReleased,
    /// Only the rebuilt side has it.
    OnlyRebuilt,
}

/// One file, archive or member that differs, and what differs in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Name within its parent.
    pub name: String,
    /// Its name on the rebuilt side, if that is different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt_name: Option<String>,
    /// The format that it was read as.
    pub format: String,
    /// Which sides have it.
    pub presence: Presence,
    /// Lengths in bytes, released and rebuilt, if they are known.
    pub sizes: (Option<u64>, Option<u64>),
    /// Differences of the node itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The differing lines or bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excerpts: Vec<Excerpt>,
    /// Members that differ, in order of path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Node>,
    /// Number of members that are the same.
    pub same: u64,
    /// Whether the bytes of a member differ, whatever findings there are; known only while archives are compared.
    #[serde(skip)]
    pub(super) other_bytes: bool,
}

impl Node {
    /// Whether there are no findings in it or below.
    pub fn is_same(&self) -> bool {
        self.presence == Presence::Both && self.findings.is_empty() && self.children.is_empty()
    }

    /// Calls `visit` for this node and all nodes below it, with their paths from the root.
    pub fn each<'a>(&'a self, path: &str, visit: &mut dyn FnMut(&str, &'a Node)) {
        visit(path, self);
        for child in &self.children {
            child.each(&child_path(path, child), visit);
        }
    }

    /// Gives changes of content the causes that `reason` returns.
    pub(super) fn attribute(&mut self, path: &str, reason: Attribute) {
        if let Some((cause, key, confidence)) = reason(path, self) {
            for finding in self.findings.iter_mut().filter(|finding| finding.is_content()) {
                finding.cause = cause;
                key.clone_into(&mut finding.key);
                finding.confidence = confidence;
            }
        }
        for child in &mut self.children {
            let below = child_path(path, child);
            child.attribute(&below, reason);
        }
    }

    pub(super) fn each_mut(&mut self, visit: &mut dyn FnMut(&mut Self)) {
        visit(self);
        for child in &mut self.children {
            child.each_mut(visit);
        }
    }
}

/// What is known of a node from elsewhere: a cause, the key of its findings, and the confidence.
pub type Attribute<'a> = &'a dyn Fn(&str, &Node) -> Option<(Cause, &'static str, Confidence)>;

fn child_path(path: &str, child: &Node) -> String {
    if path.is_empty() {
        child.name.clone()
    } else {
        format!("{path}/{}", child.name)
    }
}

//! Findings that depend on several members of two Alpine packages: signatures, and the fields of `.PKGINFO`.

use std::collections::{BTreeMap, BTreeSet};

use super::repacked;
use crate::compare::both::{Both, Which};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::{Finding, Node, Presence};
use crate::compare::package::rsa;
use crate::compare::package::settle::{Members, Settling, replace};

pub(super) const INFO: &str = ".PKGINFO";

pub(super) fn is_signature(path: &str) -> bool {
    path.starts_with(".SIGN.") && !path.contains('/')
}

pub(super) fn settle(settling: &Settling, node: &mut Node) {
    let is_known = |path: &str| path == INFO || is_signature(path);
    if !node.children.iter().any(|child| is_known(&child.name)) {
        return;
    }
    let Ok(members) = settling.members(&is_known) else {
        return;
    };
    for child in &mut node.children {
        if is_signature(&child.name) {
            signature(child, &members);
        } else if child.name == INFO && child.presence == Presence::Both && child.rebuilt_name.is_none() {
            let infos = members
                .as_ref()
                .map(|members| members.get(INFO).and_then(|bytes| Info::parse(bytes)));
            if let (Some(released), Some(rebuilt)) = (infos.released, infos.rebuilt) {
                let findings = compare(settling, &Both::new(released, rebuilt));
                if !findings.is_empty() {
                    replace(child, "package information", findings);
                }
            }
        }
    }
}

fn signature(child: &mut Node, members: &Both<Members>) {
    let other = child.rebuilt_name.as_deref().unwrap_or(&child.name);
    let is = |which: Which, path: &str| {
        members
            .of(which)
            .get(path)
            .is_some_and(|bytes| rsa::is_signature(bytes))
    };
    let right = (child.presence == Presence::OnlyRebuilt || is(Which::Released, &child.name))
        && (child.presence == Presence::OnlyReleased || is(Which::Rebuilt, other));
    if right {
        let finding = Finding::new("the signature", "", "")
            .because(Cause::Signature, Confidence::Likely)
            .keyed("signature of the package");
        replace(child, "signature", vec![finding]);
    }
}

/// Fields in stored order, and comments.
struct Info {
    fields: Vec<(String, String)>,
    comments: Vec<String>,
}

impl Info {
    /// `None` if a line is anything else.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (mut fields, mut comments) = (Vec::new(), Vec::new());
        for line in text.strip_suffix('\n')?.split('\n') {
            if let Some(comment) = line.strip_prefix('#') {
                comments.push(comment.trim().to_owned());
            } else {
                let (key, value) = line.split_once(" = ")?;
                fields.push((key.to_owned(), value.to_owned()));
            }
        }
        Some(Self { fields, comments })
    }

    fn values(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, value) in &self.fields {
            values.entry(key).or_default().push(value);
        }
        values
    }
}

fn compare(settling: &Settling, sides: &Both<Info>) -> Vec<Finding> {
    let values = sides.as_ref().map(Info::values);
    let keys: BTreeSet<&str> = values
        .released
        .keys()
        .chain(values.rebuilt.keys())
        .copied()
        .collect();
    let mut findings = Vec::new();
    for key in keys {
        let own = values
            .as_ref()
            .map(|values| values.get(key).cloned().unwrap_or_default());
        if own.same() {
            continue;
        }
        let finding = Finding::new(key, own.released.join(", "), own.rebuilt.join(", "));
        let ([released], [rebuilt]) = (own.released.as_slice(), own.rebuilt.as_slice()) else {
            findings.push(finding);
            continue;
        };
        findings.push(field(settling, key, Both::new(released, rebuilt), finding));
    }
    comments(sides, &mut findings);
    findings
}

/// The finding for a field that both sides have once, with different values.
fn field(settling: &Settling, key: &str, values: Both<&str>, finding: Finding) -> Finding {
    let proven = |cause| {
        finding
            .clone()
            .because(cause, Confidence::Proven)
            .keyed(format!("{key} in {INFO}"))
    };
    match key {
        "builddate" if values.all(is_seconds) => proven(Cause::Timestamp),
        "packager" if values.all(is_person) => proven(Cause::BuildHost),
        "commit" if values.all(is_commit) => proven(Cause::SourceRevision),
        "datahash" => {
            let computed = settling
                .sides
                .map(|source| repacked::Parts::read(source, settling.meter).map(|parts| parts.data));
            let is_right = |which: Which| {
                computed
                    .of(which)
                    .as_ref()
                    .is_ok_and(|hash| hash == *values.of(which))
            };
            if is_right(Which::Released) && is_right(Which::Rebuilt) {
                proven(Cause::Checksum).following()
            } else {
                finding.keyed("a digest that is not that of the data")
            }
        }
        _ => finding,
    }
}

fn is_seconds(value: &str) -> bool {
    (9..=11).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_commit(value: &str) -> bool {
    let digits = value.strip_suffix("-dirty").unwrap_or(value);
    digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a value is a name with an e-mail address, or abuild's placeholder.
fn is_person(value: &str) -> bool {
    let is_name = |name: &str| {
        name.len() <= 80
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, ' ' | '.' | '-' | '\'' | '_' | ','))
    };
    let is_address = |address: &str| {
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '@');
        address.matches('@').count() == 1 && address.chars().all(sign)
    };
    match value.split_once('<') {
        Some((name, rest)) => is_name(name) && rest.strip_suffix('>').is_some_and(is_address),
        None => value == "Unknown",
    }
}

/// Compares the comments in which abuild names itself, fakeroot, and the time.
fn comments(sides: &Both<Info>, findings: &mut Vec<Finding>) {
    let comments = sides.as_ref().map(|side| &side.comments);
    if comments.same() {
        return;
    }
    let finding = Finding::new(
        "comments",
        comments.released.join("; "),
        comments.rebuilt.join("; "),
    );
    let is_tool = |comment: &str| {
        let version = ["Generated by abuild ", "using fakeroot version "]
            .iter()
            .find_map(|words| comment.strip_prefix(words));
        version.is_some_and(|version| {
            version.len() <= 40
                && version
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        })
    };
    let is_time = |comment: &str| {
        let words: Vec<&str> = comment.split_whitespace().collect();
        let [day, month, number, time, "UTC", year] = words.as_slice() else {
            return false;
        };
        let letters = |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
        letters(day) && letters(month) && digits(number) && digits(time) && digits(year)
    };
    let known = comments.all(|comments| {
        comments
            .iter()
            .all(|comment| is_tool(comment) || is_time(comment))
    });
    let tools = comments.map(|comments| {
        comments
            .iter()
            .filter(|comment| is_tool(comment))
            .collect::<Vec<_>>()
    });
    findings.push(if !known {
        finding
    } else if tools.same() {
        finding
            .because(Cause::Timestamp, Confidence::Proven)
            .keyed(format!("time in {INFO}"))
    } else {
        finding
            .because(Cause::ToolVersion, Confidence::Proven)
            .keyed(format!("version of abuild in {INFO}"))
    });
}

//! Findings that depend on several members of two gems: the specification by its meaning, checksums recomputed from
//! the members, and signatures of the members.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read as _;

use super::yaml::{self, Content, Value};
use crate::compare::both::{Both, Which};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::{Finding, Node, Presence};
use crate::compare::normalise::Normalisation;
use crate::compare::package::digest::{Algorithm, Digests, base64};
use crate::compare::package::rsa;
use crate::compare::package::settle::{Members, Settling, refuse_types, replace};
use crate::compare::stale;

const METADATA: &str = "metadata.gz";
const CHECKSUMS: &str = "checksums.yaml.gz";
const DATA: &str = "data.tar.gz";

/// Maximum number of bytes of a decompressed member.
const MOST_DECODED: u64 = 16 << 20;

/// Whether a member is one of the compressed parts of a gem.
pub(super) fn is_compressed(path: &str) -> bool {
    [METADATA, CHECKSUMS, DATA].contains(&path)
}

pub(super) fn settle(settling: &Settling, node: &mut Node) {
    // RubyGems leaves out members of other types, and passes over pax headers.
    const READ: [&str; 5] = ["0", "2", "5", "x", "g"];
    refuse_types(node, DATA, &READ, "tar headers that RubyGems leaves out");
    let is_known = |path: &str| matches!(path, METADATA | CHECKSUMS) || signed(path).is_some();
    let is_listed = |child: &Node| child.other_bytes && matches!(child.name.as_str(), METADATA | DATA);
    let stale =
        node.children.iter().any(is_listed) && node.children.iter().all(|child| child.name != CHECKSUMS);
    if !stale && !node.children.iter().any(|child| is_known(&child.name)) {
        return;
    }
    let Ok(members) = settling.members(&is_known) else {
        return;
    };
    for child in &mut node.children {
        let whole = child.presence == Presence::Both && child.rebuilt_name.is_none();
        match child.name.as_str() {
            METADATA if whole => {
                let read = members
                    .as_ref()
                    .map(|members| members.get(METADATA).and_then(|bytes| document(bytes)));
                if let (Some(released), Some(rebuilt)) = (read.released, read.rebuilt)
                    && released.0 != rebuilt.0
                {
                    let mut findings = specification(&released.1, &rebuilt.1);
                    if findings.is_empty() {
                        findings.push(written());
                    }
                    replace(child, "gem specification", findings);
                }
            }
            CHECKSUMS => settle_checksums(settling, child, &members),
            name if signed(name).is_some() && child.rebuilt_name.is_none() => {
                settle_signature(child, &members);
            }
            _ => {}
        }
    }
    let differing = stale::differing(node.children.iter());
    let same = members.released.iter().filter(|(path, bytes)| {
        let is_stale = signed(path).is_some_and(|signed| differing.contains(signed));
        is_stale && members.rebuilt.get(*path) == Some(bytes) && rsa::is_signature(bytes)
    });
    let wrong: Vec<Finding> = same.map(|(path, _)| stale::signature(path)).collect();
    node.findings.extend(wrong);
    // A list that is the same on both sides is wrong on one of them, if a listed member differs.
    if stale && members.as_ref().all(|members| members.contains_key(CHECKSUMS)) {
        let mut list = Node {
            name: CHECKSUMS.to_owned(),
            ..Node::default()
        };
        settle_checksums(settling, &mut list, &members);
        list.findings.retain(|finding| finding.normalisation.is_none());
        node.children.extend((!list.findings.is_empty()).then_some(list));
    }
}

/// The member that a signature file signs: RubyGems signs these members only.
fn signed(path: &str) -> Option<&str> {
    let of = path.strip_suffix(".sig")?;
    is_compressed(of).then_some(of)
}

/// A compressed document: its bytes and its parsed value.
fn document(packed: &[u8]) -> Option<(Vec<u8>, Value)> {
    let mut bytes = Vec::new();
    // RubyGems reads only the first stream, so there must be nothing after it.
    let mut decoder = flate2::bufread::GzDecoder::new(packed).take(MOST_DECODED);
    decoder.read_to_end(&mut bytes).ok()?;
    let is_whole = (bytes.len() as u64) < MOST_DECODED && decoder.into_inner().into_inner().is_empty();
    is_whole.then_some(())?;
    let value = yaml::read(&bytes)?;
    Some((bytes, value))
}

/// The finding for equal values with other quotes, another order of keys, or other blanks.
fn written() -> Finding {
    Finding::new("how the YAML is written", "", "")
        .because(Cause::ArchiveDialect, Confidence::Proven)
        .keyed("the same specification, written in another way")
        .set_aside_by(Normalisation::GemMetadataYamlNormalize)
}

/// Findings for each value that differs between two specifications.
fn specification(released: &Value, rebuilt: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    differences("", Some(released), Some(rebuilt), &mut findings);
    findings
}

fn differences(place: &str, released: Option<&Value>, rebuilt: Option<&Value>, findings: &mut Vec<Finding>) {
    if released == rebuilt {
        return;
    }
    if let (Some(old), Some(new)) = (released, rebuilt)
        && old.tag == new.tag
    {
        let below = |key: &str| {
            if place.is_empty() {
                key.to_owned()
            } else {
                format!("{place}/{key}")
            }
        };
        match (&old.content, &new.content) {
            (Content::Map(old), Content::Map(new)) => {
                let keys: BTreeSet<&Value> = old.keys().chain(new.keys()).collect();
                for key in keys {
                    differences(&below(&shown(Some(key))), old.get(key), new.get(key), findings);
                }
                return;
            }
            (Content::List(old), Content::List(new)) if old.len() == new.len() && place != "cert_chain" => {
                for (at, (old, new)) in old.iter().zip(new).enumerate() {
                    differences(&below(&at.to_string()), Some(old), Some(new), findings);
                }
                return;
            }
            _ => {}
        }
    }
    let finding = Finding::new(
        if place.is_empty() { "specification" } else { place },
        shown(released),
        shown(rebuilt),
    );
    findings.push(known(place, [released, rebuilt], finding));
}

fn shown(value: Option<&Value>) -> String {
    match value.map(|value| &value.content) {
        None => String::new(),
        Some(Content::Text(text) | Content::Plain(text)) => text.clone(),
        Some(Content::List(list)) => list
            .iter()
            .map(|value| shown(Some(value)))
            .collect::<Vec<_>>()
            .join(", "),
        Some(Content::Map(map)) => {
            let pair =
                |(key, value): (&Value, &Value)| format!("{}: {}", shown(Some(key)), shown(Some(value)));
            map.iter().map(pair).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Adjusts the finding for a top-level value that the packer writes about itself, if it has the usual form.
fn known(place: &str, sides: [Option<&Value>; 2], finding: Finding) -> Finding {
    let all = |is: fn(&Value) -> bool| sides.iter().all(|side| side.is_some_and(is));
    match place {
        "date" if all(is_date) => finding
            .because(Cause::Timestamp, Confidence::Proven)
            .keyed("date of the gem")
            .set_aside_by(Normalisation::GemMetadataDate),
        "rubygems_version" if all(is_version) => {
            let key = format!("rubygems {} → {}", finding.released, finding.rebuilt);
            finding
                .because(Cause::ToolVersion, Confidence::Proven)
                .keyed(key)
                .set_aside_by(Normalisation::GemMetadataRubygemsVersion)
        }
        "cert_chain" if all(is_certificates) => finding
            .because(Cause::Signature, Confidence::Proven)
            .keyed("certificates of the signer")
            .set_aside_by(Normalisation::GemMetadataCertChain),
        _ => finding,
    }
}

fn plain(value: &Value) -> &str {
    match &value.content {
        Content::Text(text) | Content::Plain(text) if value.tag.is_empty() => text,
        _ => "",
    }
}

/// Whether a value is a date such as `2024-01-02`, or one with a time and a zone.
fn is_date(value: &Value) -> bool {
    let text = plain(value);
    let shape: String = text
        .chars()
        .map(|character| {
            if character.is_ascii_digit() {
                '0'
            } else {
                character
            }
        })
        .collect();
    let rest = shape.strip_prefix("0000-00-00");
    // Ruby refuses a day that does not exist, or takes it for another one.
    let is_day = text
        .get(..10)
        .is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok());
    let time = |rest: &str| {
        let zone = rest.strip_prefix(" 00:00:00").map(|rest| {
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            rest.trim_start_matches('0')
        });
        matches!(zone, Some("" | " Z" | " +00:00" | " -00:00"))
    };
    is_day && rest.is_some_and(|rest| rest.is_empty() || time(rest))
}

fn is_version(value: &Value) -> bool {
    let text = plain(value);
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 40 && text.starts_with(|first: char| first.is_ascii_digit()) && text.split('.').all(part)
}

/// Whether a value is a list of PEM certificates (RFC 7468) and nothing else.
fn is_certificates(value: &Value) -> bool {
    let is_certificate = |value: &Value| {
        let lines: Vec<&str> = plain(value).lines().collect();
        let [first, body @ .., last] = lines.as_slice() else {
            return false;
        };
        let der = base64(&body.concat()).unwrap_or_default();
        *first == "-----BEGIN CERTIFICATE-----"
            && *last == "-----END CERTIFICATE-----"
            && crate::compare::package::cms::is_one_value(&der)
    };
    match &value.content {
        Content::List(list) => list.iter().all(is_certificate),
        Content::Plain(text) => text.is_empty(),
        _ => false,
    }
}

/// Stored digests in hexadecimal, by algorithm and member.
type Claims = BTreeMap<(String, String), String>;

fn claims(packed: &[u8]) -> Option<Claims> {
    let (_, value) = document(packed)?;
    let Content::Map(lists) = value.content else {
        return None;
    };
    let mut claims = Claims::new();
    for (algorithm, list) in &lists {
        let Content::Map(list) = &list.content else {
            return None;
        };
        for (member, digest) in list {
            claims.insert(
                (plain(algorithm).to_ascii_lowercase(), plain(member).to_owned()),
                plain(digest).to_owned(),
            );
        }
    }
    Some(claims)
}

/// Checks lists of checksums: RubyGems compares them with the members when it installs.
fn settle_checksums(settling: &Settling, child: &mut Node, members: &Both<Members>) {
    let mut wrong: Vec<Finding> = Vec::new();
    let mut totals = Both::new(0_usize, 0_usize);
    for (which, members) in members.as_ref().each() {
        let Some(packed) = members.get(CHECKSUMS) else {
            continue;
        };
        let Some(claims) = claims(packed) else { return };
        let algorithms: Vec<Algorithm> = [
            Algorithm::Md5,
            Algorithm::Sha1,
            Algorithm::Sha256,
            Algorithm::Sha384,
            Algorithm::Sha512,
        ]
        .into_iter()
        .filter(|known| {
            claims
                .keys()
                .any(|(own, _)| Algorithm::named(own) == Some(*known))
        })
        .collect();
        let is_claimed = |path: &str| claims.keys().any(|(_, member)| member == path);
        let computed: HashMap<String, Option<Digests>> =
            match settling.digests(which, &is_claimed, &|content| {
                Digests::read(content, algorithms.iter().copied())
            }) {
                Ok(computed) => computed,
                Err(_) => return,
            };
        for ((algorithm, member), claimed) in &claims {
            let digests = computed.get(member).and_then(Option::as_ref);
            let digest = Algorithm::named(algorithm).and_then(|own| digests?.get(own));
            if digest.map(hex::encode).as_ref() != Some(claimed) {
                let there = digest.map_or_else(|| "nothing to compare it with".to_owned(), hex::encode);
                let place = format!("{algorithm} of {member}, {} side", which.name());
                wrong.push(
                    Finding::new(place, claimed, there).keyed("a checksum that is not that of the member"),
                );
            }
        }
        *totals.of_mut(which) = claims.len();
    }
    if wrong.is_empty() {
        let side = |which: Which| {
            if *totals.of(which) > 0 { "right" } else { "missing" }
        };
        let total = totals.released.saturating_add(totals.rebuilt);
        let finding = Finding::new(
            "checksums of members",
            side(Which::Released),
            side(Which::Rebuilt),
        )
        .because(Cause::Checksum, Confidence::Proven)
        .keyed("checksums of other files")
        .set_aside_by(Normalisation::GemExcludeChecksums);
        wrong.push(finding.following().times(total as u64));
    }
    replace(child, "checksums", wrong);
}

fn settle_signature(child: &mut Node, members: &Both<Members>) {
    let name = child.name.clone();
    let is_there = |presence| child.presence == Presence::Both || child.presence == presence;
    let is = |members: &Members| members.get(&name).is_some_and(|bytes| rsa::is_signature(bytes));
    let right = (!is_there(Presence::OnlyReleased) || is(&members.released))
        && (!is_there(Presence::OnlyRebuilt) || is(&members.rebuilt));
    if right {
        let finding = Finding::new("the signature", "", "")
            .because(Cause::Signature, Confidence::Likely)
            .keyed("signature of the gem")
            .set_aside_by(Normalisation::GemExcludeSignatures);
        replace(child, "signature", vec![finding]);
    }
}

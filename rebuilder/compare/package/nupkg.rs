//! NuGet packages: zip archives in the form of the Open Packaging Conventions, whose writers choose random names.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::settle::{Settling, replace};
use super::{Archive, Package};
use crate::compare::both::Both;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::{Finding, Node, Presence};
use crate::compare::normalise::Normalisation;
use crate::compare::stale;

pub(super) static NUPKG: Package = Package {
    normalisations: &[Normalisation::NupkgNames],
    recognises,
    settle: Some(settle_all),
    ..Package::new("nupkg")
};

/// The signature of everything else in the package.
const SIGNATURE: &str = ".signature.p7s";
const RELATIONSHIPS: &str = "_rels/.rels";
const TYPES: &str = "[Content_Types].xml";

fn recognises(archive: &Archive) -> bool {
    let is_manifest = |name: &&String| name.ends_with(".nuspec") && !name.contains(['/', '\\']);
    archive.format == "zip"
        && archive.has(RELATIONSHIPS)
        && archive.has(TYPES)
        && archive.names.iter().filter(is_manifest).count() == 1
}

/// The relationships of a package.
struct Relationships {
    /// The text without the names that are random.
    rest: String,
    /// Their identifiers.
    identifiers: Vec<String>,
    /// The path of the properties.
    properties: String,
}

impl Relationships {
    /// `None` if the text may mean something else than it seems to, or if a name that looks random is used twice.
    fn read(bytes: &[u8]) -> Option<Self> {
        static ELEMENT: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"<Relationship\s[^<>]*/>").ok());
        static IDENTIFIER: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r#"\sId="(R[0-9A-Fa-f]{8,32})""#).ok());
        static PROPERTIES: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r#"\sTarget="/(package/services/metadata/core-properties/[0-9a-f]{32}\.psmdcp)""#).ok()
        });
        let (element, identifier, properties) =
            (ELEMENT.as_ref()?, IDENTIFIER.as_ref()?, PROPERTIES.as_ref()?);
        let text = std::str::from_utf8(bytes).ok()?;
        // Comments, declarations and character references.
        (!text.contains("<!") && !text.contains('&')).then_some(())?;
        let (mut identifiers, mut targets) = (Vec::new(), Vec::new());
        let rest = element.replace_all(text, |found: &Captures| {
            let own = found.get(0).map_or("", |found| found.as_str());
            let without = identifier.replace_all(own, |id: &Captures| {
                identifiers.extend(id.get(1).map(|id| id.as_str().to_owned()));
                r#" Id="…""#
            });
            let without: Cow<str> = properties.replace_all(&without, |target: &Captures| {
                targets.extend(target.get(1).map(|target| target.as_str().to_owned()));
                r#" Target="…""#
            });
            without.into_owned()
        });
        let rest = rest.into_owned();
        let unique: HashSet<&String> = identifiers.iter().collect();
        let all_known =
            unique.len() == identifiers.len() && identifiers.len() == rest.matches("<Relationship ").count();
        let [properties] = <[String; 1]>::try_from(targets).ok()?;
        all_known.then_some(Self {
            rest,
            identifiers,
            properties,
        })
    }

    fn told(&self) -> String {
        format!("{}, {}", self.properties, self.identifiers.join(" "))
    }
}

/// Sets aside the name of the properties and the identifiers of relationships, if these are the only differences.
fn settle_all(settling: &Settling, node: &mut Node) {
    stale_signature(settling, node);
    settle(settling, node);
}

/// A signature that is the same on both sides although anything else in the files differs.
fn stale_signature(settling: &Settling, node: &mut Node) {
    let differs = !node.findings.is_empty() || node.children.iter().any(|child| child.name != SIGNATURE);
    let Ok(members) = settling.members(&|path| path == SIGNATURE) else {
        return;
    };
    if differs && !members.released.is_empty() && members.same() {
        node.findings.push(stale::signature(SIGNATURE));
    }
}

fn settle(settling: &Settling, node: &mut Node) {
    let Ok(members) = settling.members(&|path| path == RELATIONSHIPS) else {
        return;
    };
    let read = members.map(|members| Relationships::read(members.get(RELATIONSHIPS)?));
    let Both {
        released: Some(old),
        rebuilt: Some(new),
    } = read
    else {
        return;
    };
    if old.rest != new.rest {
        return;
    }
    for child in &mut node.children {
        if child.presence != Presence::Both {
            continue;
        }
        if child.name == RELATIONSHIPS && child.rebuilt_name.is_none() && child.other_bytes {
            let finding = Finding::new("names", old.told(), new.told());
            replace(child, "XML", vec![of_names(finding)]);
            child.excerpts.clear();
        } else if child.name == old.properties && child.rebuilt_name.as_ref() == Some(&new.properties) {
            let is_name = |finding: &Finding| finding.place.to_string() == "name";
            child.findings.retain(|finding| !is_name(finding));
            let finding = Finding::new("name", old.properties.as_str(), new.properties.as_str());
            child.findings.push(of_names(finding));
        }
    }
}

fn of_names(finding: Finding) -> Finding {
    finding
        .because(Cause::Randomness, Confidence::Proven)
        .keyed("names in NuGet packages")
        .set_aside_by(Normalisation::NupkgNames)
}

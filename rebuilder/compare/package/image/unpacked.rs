//! Digests of unpacked layers in the configurations of images (`diff_ids`). The layers are decompressed again: engines
//! refuse an image whose layers are others.

use std::collections::HashSet;
use std::io;

use serde_json::Value;

use super::{Documents, array, blob, documents};
use crate::compare::again::materialise;
use crate::compare::both::Which;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::claims::Algorithm;
use crate::compare::codec::Codec;
use crate::compare::finding::{Finding, Node};
use crate::compare::format::HEAD;
use crate::compare::limits::{Meter, Metered};
use crate::compare::package::settle::Settling;
use crate::compare::recompute::Digests;

/// Maximum number of bytes of a layer that are held in memory; a larger one is in a temporary file.
const IN_MEMORY: usize = 16 << 20;

/// What a configuration says of one layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Told {
    config: String,
    nth: usize,
    layer: String,
    /// The digest of the unpacked layer, as written.
    digest: String,
}

impl Told {
    fn place(&self) -> String {
        format!("/rootfs/diff_ids/{}", self.nth)
    }
}

pub(super) fn settle(settling: &Settling, node: &mut Node) {
    let read = settling
        .sides
        .try_map(|source| documents(settling.format, source, settling.meter));
    // An unreadable document could not be compared either, which is reported.
    let Ok(told) = read.map(|documents| documents.map(|documents| told(&documents))) else {
        return;
    };
    let differing: HashSet<&str> = node.children.iter().map(|child| child.name.as_str()).collect();
    let said = told.as_ref().map(|told| {
        told.iter()
            .map(|one| (&one.layer, &one.digest))
            .collect::<HashSet<_>>()
    });
    // The same layer with the same digest is not a difference.
    let is_new = |one: &&Told| {
        let own = (&one.layer, &one.digest);
        differing.contains(one.layer.as_str())
            || !(said.released.contains(&own) && said.rebuilt.contains(&own))
    };
    let meter = settling.meter.apart();
    let mut faults: Vec<(Which, Told, String)> = Vec::new();
    for (which, told) in told.as_ref().each() {
        let new: Vec<&Told> = told.iter().filter(is_new).collect();
        let layers: HashSet<&str> = new.iter().map(|one| one.layer.as_str()).collect();
        if layers.is_empty() {
            continue;
        }
        let digest = |content: &mut dyn io::Read| unpacked(content, &meter);
        let Ok(digests) = settling.digests(which, &|path| layers.contains(path), &digest) else {
            return;
        };
        for one in new {
            let Some(own) = digests.get(&one.layer) else {
                continue;
            };
            let own = own.as_deref().unwrap_or("is in two places");
            if own != one.digest {
                faults.push((which, one.clone(), own.to_owned()));
            }
        }
    }
    confirm(node, &faults);
}

/// The digests that follow are confirmed, and those that are wrong become content.
fn confirm(node: &mut Node, faults: &[(Which, Told, String)]) {
    const KEY: &str = "a checksum that is not that of its file";
    let is_of_layer = |finding: &Finding| finding.place.to_string().starts_with("/rootfs/diff_ids/");
    let findings = node.children.iter_mut().flat_map(|child| &mut child.findings);
    for finding in findings.filter(|finding| finding.cause == Cause::Checksum && is_of_layer(finding)) {
        finding.confidence = Confidence::Proven;
    }
    for (which, told, own) in faults {
        let why = format!("{}; {}: the unpacked layer {own}", told.place(), which.name());
        let sides = |child: &Node| match which {
            Which::Released => child.name == told.config,
            Which::Rebuilt => child.rebuilt_name.as_ref().unwrap_or(&child.name) == &told.config,
        };
        let found = node
            .children
            .iter_mut()
            .find(|child| sides(child))
            .and_then(|child| {
                let mut findings = child.findings.iter_mut();
                findings.find(|finding| finding.place.is_words(&told.place()))
            });
        match found {
            Some(finding) => {
                finding.cause = Cause::Content;
                KEY.clone_into(&mut finding.key);
                finding.follows = false;
                finding.place = why.into();
            }
            None => node
                .findings
                .push(Finding::new(format!("{} {why}", told.config), &told.digest, &told.digest).keyed(KEY)),
        }
    }
}

/// The digest of a layer without its compression, in the form of `diff_ids`.
fn unpacked(content: &mut dyn io::Read, meter: &Meter) -> io::Result<String> {
    let packed = materialise(content, IN_MEMORY)?;
    let plain = match Codec::detect(&packed.head(HEAD)?) {
        Some(codec) => packed.decoded(codec),
        None => packed,
    };
    let inner = plain.open()?;
    let digests = Digests::read(Metered { inner, meter }, [Algorithm::Sha256].into_iter())?;
    let digest = digests.get(Algorithm::Sha256).map(hex::encode);
    Ok(format!("sha256:{}", digest.unwrap_or_default()))
}

/// What the configurations say of layers, in both forms of images.
fn told(documents: &Documents) -> Vec<Told> {
    let saved = array(documents.get("manifest.json")).iter().filter_map(|image| {
        let config = image.get("Config")?.as_str()?.to_owned();
        let layers = array(image.get("Layers")).iter();
        Some((
            config,
            layers.map(|path| path.as_str().map(str::to_owned)).collect(),
        ))
    });
    let laid_out = documents.values().filter_map(|manifest| {
        let config = blob(manifest.get("config")?)?;
        let layers = array(manifest.get("layers")).iter();
        Some((config, layers.map(blob).collect()))
    });
    let images: Vec<(String, Vec<Option<String>>)> = saved.chain(laid_out).collect();
    let mut told = Vec::new();
    for (config, layers) in images {
        let rootfs = documents.get(&config).and_then(|config| config.get("rootfs"));
        let digests = array(rootfs.and_then(|rootfs| rootfs.get("diff_ids"))).iter();
        for (nth, (digest, layer)) in digests.zip(layers).enumerate() {
            if let (Some(digest), Some(layer)) = (Value::as_str(digest), layer) {
                told.push(Told {
                    config: config.clone(),
                    nth,
                    layer,
                    digest: digest.to_owned(),
                });
            }
        }
    }
    told
}

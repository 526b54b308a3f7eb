//! In-toto links (the form before DSSE) as rebuilderd signs them, so that its clients count a rebuild of this tool.
//!
//! A link has no word for doubt: it says that from these materials these products came. So there is one only for a release
//! that was reproduced bit for bit, and its materials are only those that the signer knows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::predicate::PLAN;
use super::{AttestError, KeyError, Signer, SignerInfo, VerifiedRun};
use crate::artifact::Sha256;
use crate::artifact::serialise;
use crate::evidence::link::Link;
use crate::plan::PinnedContainer;
use crate::run::Verdict;

/// A link that is not signed yet.
pub(super) struct UnsignedLink {
    /// What is signed, in the canonical form of in-toto.
    pub bytes: Vec<u8>,
    signed: Value,
}

/// A link for each released file, by its name.
pub(super) fn links(
    verified: &VerifiedRun,
    info: &SignerInfo,
) -> Result<BTreeMap<String, UnsignedLink>, AttestError> {
    let VerifiedRun { plan, record, .. } = verified;
    if record.verdict != Verdict::Reproduced {
        return Err(AttestError::NoForm {
            form: "an in-toto link",
            reason: format!(
                "the run is {}, but a link can only say that exactly these bytes were produced",
                record.verdict
            ),
        });
    }
    let materials = materials(verified, info);
    let mut links = BTreeMap::new();
    for expected in &plan.expected {
        let name = &expected.file.name;
        let signed = json!({
            "_type": "link",
            "name": format!("rebuild {name}"),
            "materials": materials,
            "products": {name.as_str(): {"sha256": expected.file.sha256}},
            "environment": {},
            "byproducts": {},
            "command": []
        });
        links.insert(
            name.clone(),
            UnsignedLink {
                bytes: canonical(&signed)?,
                signed,
            },
        );
    }
    Ok(links)
}

/// The pinned inputs by name, those left out that only a worker names.
fn materials(verified: &VerifiedRun, info: &SignerInfo) -> BTreeMap<String, BTreeMap<&'static str, Sha256>> {
    let VerifiedRun { plan, record, .. } = verified;
    let vouched = info.vouched.as_ref();
    let is_known = |place: &str| vouched.is_none_or(|vouched| vouched.inputs.contains_key(place));
    let files = plan
        .inputs
        .iter()
        .map(|input| (&input.place, Some(input.file.sha256)));
    let texts = plan
        .files
        .iter()
        .map(|text| (&text.place, Some(Sha256::of(&text.text))));
    let sources = plan.git.iter().map(|git| (&git.place, git.archive));
    let known = files
        .chain(texts)
        .chain(sources)
        .filter(|(place, _)| is_known(place));
    let known = known.filter_map(|(place, digest)| Some((place.clone(), digest?)));
    let packages = plan.container.materials();
    let packages = packages
        .iter()
        .map(|package| (format!("container/{}", package.name), package.sha256));
    let image = match &plan.container {
        PinnedContainer::Image { image } => Some((format!("container/{image}"), image.digest)),
        PinnedContainer::Packages { .. } => None,
    };
    let all = known
        .chain(packages)
        .chain(image)
        .chain([(PLAN.to_owned(), record.plan)]);
    all.map(|(name, digest)| (name, BTreeMap::from([("sha256", digest)])))
        .collect()
}

/// The link's bytes as readers canonicalise them; what they would not read is not signed.
fn canonical(signed: &Value) -> Result<Vec<u8>, AttestError> {
    let read = Link::from_value(&json!({"signatures": [], "signed": signed}));
    read.map(|link| link.signed).map_err(|error| AttestError::NoForm {
        form: "an in-toto link",
        reason: error.to_string(),
    })
}

/// Signs a link; the document is in-toto's `Metablock`.
pub(super) fn sign(link: &UnsignedLink, signer: &dyn Signer) -> Result<Value, AttestError> {
    let key = public(signer)?;
    let signature = signer.signature(&link.bytes)?;
    Ok(json!({
        "signatures": [{"keyid": key_id(&key)?, "sig": hex::encode(signature)}],
        "signed": link.signed
    }))
}

/// The public key, if it is one that readers of links know.
pub(super) fn public(signer: &dyn Signer) -> Result<Vec<u8>, KeyError> {
    let key = signer.public().and_then(super::Public::ed25519);
    key.ok_or_else(|| KeyError::NotEd25519 { name: signer.name() })
}

/// The name of an Ed25519 key in in-toto: the SHA-256 of its canonical description.
fn key_id(key: &[u8]) -> Result<Sha256, AttestError> {
    let description = json!({
        "keyid_hash_algorithms": ["sha256", "sha512"],
        "keytype": "ed25519",
        "keyval": {"public": hex::encode(key)},
        "scheme": "ed25519"
    });
    // Of plain words alone RFC 8785 and in-toto's canonical form are the same bytes.
    Ok(serialise::canonical("the description of the key", &description).map(Sha256::of)?)
}

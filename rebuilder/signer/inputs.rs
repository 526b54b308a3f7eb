//! What a plan builds from: which of it does anyone but the worker name?

use std::collections::{BTreeMap, BTreeSet};

use super::SignerError;
use super::admission::Admission;
use super::recipe::is_large_file;
use super::released::Released;
use crate::apt::BinaryRow;
use crate::artifact::Ecosystem;
use crate::artifact::{Digests, Sha256};
use crate::attest::Named;
use crate::attest::log::is_plain;
use crate::ecosystem;
use crate::plan::{PinnedContainer, PinnedGit, Plan, Role};

/// Lock files of a source that give SHA-256 digests of what a build takes.
const LOCK_FILES: [&str; 1] = ["Cargo.lock"];

impl Admission {
    /// What names each input, if anything but the worker does. Refuses a source that contradicts verified evidence.
    pub(super) async fn inputs(
        &self,
        plan: &Plan,
        ecosystem: Ecosystem,
        released: &Released,
    ) -> Result<BTreeMap<String, Named>, SignerError> {
        let mut named = BTreeMap::new();
        for git in &plan.git {
            if let Some(found) = self.git(git, released).await? {
                named.insert(git.place.clone(), found);
            }
        }
        let materials = released.provenance().map_or(&[][..], |it| &it.materials);
        let in_materials = |sha256: Sha256| {
            let digits = sha256.to_hex();
            materials.iter().find(|it| {
                it.digest
                    .get("sha256")
                    .is_some_and(|it| it.eq_ignore_ascii_case(&digits))
            })
        };
        let locks = lock_files(released);
        let archive = self.archive(plan, ecosystem).await?;
        for input in &plan.inputs {
            let sha256 = input.file.sha256;
            let listed = released.sources.iter().find(|file| file.sha256 == sha256);
            let found = if let Some(file) = listed.filter(|file| file.name == input.file.name) {
                let uri = file.urls.first().map(ToString::to_string);
                Some(("registry", Some(file.name.clone()), uri))
            } else if let Some(material) = in_materials(sha256) {
                Some(("provenance", material.name.clone(), material.uri.clone()))
            } else if let Some((name, purl)) = archive.get(&sha256) {
                Some(("archive index", Some(name.clone()), Some(purl.clone())))
            } else if locks.iter().any(|text| text.contains(&sha256.to_hex())) {
                Some(("lock file of the source", None, None))
            } else {
                None
            };
            if let Some((by, name, uri)) = found {
                let plain = |text: &String| is_plain(text);
                named.insert(
                    input.place.clone(),
                    Named {
                        by,
                        name: name.filter(plain),
                        uri: uri.filter(plain),
                    },
                );
            } else if input.role == Role::Source && !is_large_file(ecosystem, input) {
                return Err(SignerError::Plan(format!(
                    "uses {} with sha256:{sha256} as its source, which is not the source released with it",
                    input.file.name
                )));
            }
        }
        Ok(named)
    }

    /// Whether verified provenance names this commit; another one is refused.
    async fn git(&self, git: &PinnedGit, released: &Released) -> Result<Option<Named>, SignerError> {
        let Some(source) = released.source() else {
            return Ok(None);
        };
        let same = |a: &Option<String>, b: &Option<String>| match (a, b) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => a == b,
        };
        if source.repository != git.source.repository || !same(&source.commit, &git.source.commit) {
            return Err(SignerError::Plan(format!(
                "builds {} at {}, but the verified provenance names {} at {}",
                git.source.repository,
                git.source.commit.as_deref().unwrap_or("no commit"),
                source.repository,
                source.commit.as_deref().unwrap_or("no commit")
            )));
        }
        if git.source.reference.is_some() && git.source.reference != source.reference {
            return Err(SignerError::Plan(format!(
                "builds the ref {}, but the verified provenance names {}",
                git.source.reference.as_deref().unwrap_or_default(),
                source.reference.as_deref().unwrap_or("none")
            )));
        }
        // Which files a plan may do without, nobody says but the worker.
        if !git.without.is_empty() {
            return Ok(None);
        }
        // The commit says what is in the archive; whether this is its digest, only the repository tells.
        let Some(checkout) = &released.judgement.source else {
            return Ok(git.archive.is_none().then(named_by_provenance));
        };
        let archive = self.fetcher.git_archive(checkout, git.submodules).await;
        match (archive, git.archive) {
            (Ok(archive), Some(stated)) if archive.sha256 != stated => Err(SignerError::Plan(format!(
                "gives the files of {} as sha256:{stated}, but they are sha256:{}",
                checkout.commit, archive.sha256
            ))),
            (Ok(_), _) | (Err(_), None) => Ok(Some(named_by_provenance())),
            (Err(_), Some(_)) => Ok(None),
        }
    }

    /// Of the packages of a distribution that a plan takes: those that the signed index of its archive has, by digest,
    /// with the name and the package URL there.
    async fn archive(
        &self,
        plan: &Plan,
        ecosystem: Ecosystem,
    ) -> Result<BTreeMap<Sha256, (String, String)>, SignerError> {
        let mut found = BTreeMap::new();
        let (Ecosystem::Debian, PinnedContainer::Packages { name, .. }) = (ecosystem, &plan.container) else {
            return Ok(found);
        };
        let unknown = |error: crate::container::ContainerError| SignerError::Registry(Box::new(error.into()));
        let definition = self.catalog.definition(name).map_err(unknown)?.debian;
        let indexes = self.catalog.indexes(&self.fetcher, name, &definition).await;
        let indexes = indexes.map_err(unknown)?;
        let inputs = plan.inputs.iter();
        let wanted: BTreeSet<String> = inputs
            .filter(|input| input.role == Role::Dependency)
            .map(|input| input.file.sha256.to_hex())
            .collect();
        let is_wanted = |row: &BinaryRow<'_>| wanted.contains(row.sha256);
        let distro = name.trim_end_matches("-build");
        let binaries = indexes.binaries(is_wanted);
        for binary in binaries.map_err(|error| SignerError::Registry(Box::new(error.into())))? {
            let material = indexes.material(&binary);
            let purl = ecosystem::debian::purl(&binary.package, &binary.version, &binary.arch, distro);
            found.insert(binary.sha256, (material.name, purl));
        }
        Ok(found)
    }
}

fn named_by_provenance() -> Named {
    Named {
        by: "provenance",
        name: None,
        uri: None,
    }
}

/// The lock files at the commit that verified provenance names.
fn lock_files(released: &Released) -> Vec<String> {
    if released.source().is_none() {
        return Vec::new();
    }
    let checkout = released.judgement.source.as_ref();
    let read = |name: &&str| checkout?.file(name).ok().flatten();
    let texts = LOCK_FILES.iter().filter_map(read);
    texts
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect()
}

/// A plan that is given what it should build proves nothing.
pub(super) fn not_released_itself(plan: &Plan, ecosystem: Ecosystem) -> Result<(), SignerError> {
    for expected in &plan.expected {
        // A distribution builds its own tools with themselves: as dependencies, from its signed archive.
        let given = plan.inputs.iter().find(|input| {
            input.file.sha256 == expected.file.sha256
                && !(ecosystem == Ecosystem::Debian && input.role == Role::Dependency)
        });
        if let Some(input) = given {
            return Err(SignerError::Plan(format!(
                "has the released file itself among its inputs, as {}",
                input.place
            )));
        }
        let digests = plan
            .files
            .iter()
            .map(|file| Digests::of(file.text.as_bytes()).sha256);
        if digests.into_iter().any(|digest| digest == expected.file.sha256) {
            return Err(SignerError::Plan("contains the released file itself".into()));
        }
    }
    Ok(())
}

//! What a signer asks of a run beyond its own digests: was that really released, may it be signed, does the plan do
//! nothing but build, and what of all that it says does anyone else say?

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::artifact::PinnedFile;
use crate::artifact::git_source::GitSource;
use crate::artifact::{Digests, PinnedImage, Sha256, Subject};
use crate::attest::log::is_plain;
use crate::attest::{Named, VerifiedRun, Vouched};
use crate::container::Catalog;
use crate::ecosystem;
use crate::evidence::Standing;
use crate::evidence::assess::{Artifact, assess};
use crate::evidence::document::Document;
use crate::evidence::inspection::Finding;
use crate::evidence::slsa::Provenance;
use crate::evidence::statement::{Descriptor, DigestMatch};
use crate::inspect::{GateReport, InspectionRequest};
use crate::plan::PinnedContainer;
use crate::plan::{PinnedGit, Plan, Recipe, Role};
use crate::run::{Evidence, Record, Verdict};
use crate::sandbox::Bound;
use crate::store::Fetcher;

use super::recipe::{Ecosystem, Followed, Known, ecosystem_of, followed};
use super::{SignerError, bounds};

/// Backends whose isolation this tool vouches for.
const BACKENDS: [&str; 2] = ["embedded", "docker"];
/// How far a worker's clock may be off.
const SKEW: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
/// How long a run may wait to be handed in.
const OLDEST: jiff::SignedDuration = jiff::SignedDuration::from_hours(366 * 24);
/// Lock files of a source that give SHA-256 digests of what a build takes.
const LOCK_FILES: [&str; 1] = ["Cargo.lock"];

/// Asks the questions; has its own store and its own way to the registries.
pub struct Admission {
    /// The way to the registries; offline, only documents that come with a run tell what was released.
    pub fetcher: Fetcher,
    /// Containers that plans may start from, and the mirrors of distributions.
    pub catalog: Catalog,
    /// The policy, and the keys that it trusts.
    pub case: InspectionRequest,
    /// Recipes beyond the built-in ones.
    pub recipes: Vec<Recipe>,
    /// Images that plans may start from beyond those that verified provenance names.
    pub images: Vec<PinnedImage>,
}

/// What was released, by the registry's word or by that of signed documents; never by the worker's.
pub struct Released {
    subject: Option<Subject>,
    artifacts: Vec<Artifact>,
    sources: Vec<PinnedFile>,
    published: Option<Timestamp>,
    judgement: GateReport,
}

impl Released {
    /// Length of a released file; none where nobody but the worker says so.
    pub fn size(&self, sha256: Sha256) -> Option<u64> {
        let same = |artifact: &&Artifact| artifact.digests.sha256 == sha256;
        let found = self.artifacts.iter().find(same)?;
        (found.digests.size > 0).then_some(found.digests.size)
    }

    /// Provenance that was verified; what is only claimed binds nobody.
    fn provenance(&self) -> Option<&Provenance> {
        let chosen = self.judgement.provenance.as_ref()?;
        let claims = &self.judgement.inspection.provenance.claims;
        let verified = claims
            .iter()
            .any(|it| it.claim.standing == Standing::Verified && it.provenance.as_ref() == Some(chosen));
        verified.then_some(chosen)
    }

    /// The commit that verified provenance names.
    fn source(&self) -> Option<&GitSource> {
        let source = self.provenance()?.source.as_ref()?;
        source.commit.is_some().then_some(source)
    }

    /// The earliest moment at which it can have been rebuilt.
    fn since(&self) -> Option<Timestamp> {
        let signed = self.judgement.inspection.provenance.claims.iter();
        let signed = signed
            .filter(|it| it.claim.standing == Standing::Verified)
            .filter_map(crate::evidence::assessment::Assessment::signed_at);
        self.published.into_iter().chain(signed).min()
    }
}

impl Admission {
    /// Refuses what the record alone shows must not be signed.
    pub fn record(&self, record: &Record) -> Result<(), SignerError> {
        let refuse = |reason: String| Err(SignerError::Run(reason));
        if let Verdict::Inconclusive { .. } = record.verdict {
            return refuse("is inconclusive; there is nothing to attest".into());
        }
        if record.evidence != Evidence::Verified {
            return refuse(
                "replays a saved plan: its claims are the word of whoever wrote that, so it is not signed here".into(),
            );
        }
        if !BACKENDS.contains(&record.backend.as_str()) {
            return refuse(format!(
                "was built by {:?}, which nobody here vouches for",
                record.backend
            ));
        }
        let open = |limit: &&String| Bound::named(limit).is_none_or(Bound::isolates);
        if let Some(limit) = record.not_enforced.iter().find(open) {
            return refuse(format!("was not isolated: {limit} was not enforced"));
        }
        if semver::Version::parse(&record.rebuilder).is_err() {
            return refuse(format!(
                "names {:?} for a version of rebuilder, which is none",
                record.rebuilder
            ));
        }
        let now = Timestamp::now();
        let latest = now.saturating_add(SKEW).unwrap_or(now);
        if record.finished > latest || record.started > record.finished {
            return refuse(format!(
                "says that it ended on {}, having begun on {}",
                record.finished, record.started
            ));
        }
        if now.duration_since(record.started) > OLDEST {
            return refuse(format!(
                "says that it began on {}, and a run is handed in within a year",
                record.started
            ));
        }
        Ok(())
    }

    /// Finds out without the worker what was released, and judges the evidence for it.
    pub async fn released(&self, plan: &Plan, documents: Vec<Document>) -> Result<Released, SignerError> {
        let Ok(subject) = plan.subject.parse::<Subject>() else {
            return self.by_documents(plan, documents).await;
        };
        let found = ecosystem::lookup(&self.fetcher, &self.catalog, &subject)
            .await
            .map_err(|error| SignerError::Registry(Box::new(error)))?;
        for wanted in &plan.released() {
            let same = |artifact: &&Artifact| artifact.digests.sha256 == wanted.digests.sha256;
            let Some(artifact) = found.artifacts.iter().find(same) else {
                return Err(SignerError::Plan(format!(
                    "expects {} with sha256:{}, which is not what was released as {}",
                    wanted.name, wanted.digests.sha256, plan.subject
                )));
            };
            if artifact.name != wanted.name || artifact.purl != wanted.purl {
                return Err(SignerError::Plan(format!(
                    "calls a file {} ({}), which was released as {} ({})",
                    wanted.name,
                    wanted.purl.as_deref().unwrap_or_default(),
                    artifact.name,
                    artifact.purl.as_deref().unwrap_or_default()
                )));
            }
        }
        if subject.purl() != plan.subject || subject.version.is_none() {
            return Err(SignerError::Plan(format!(
                "is about {}, which is not written as the registry's own name for it, version included",
                plan.subject
            )));
        }
        let judgement = self
            .case
            .inspect(&found.artifacts, found.claims, &found.documents, &self.fetcher)
            .await;
        judgement.policy.gate(&plan.subject)?;
        Ok(Released {
            subject: Some(subject),
            artifacts: found.artifacts,
            sources: found.sources,
            published: found.published,
            judgement,
        })
    }

    /// For what no registry lists: the signed documents that came with the run. Who carried them does not matter, for
    /// they are verified here, by what this signer trusts.
    async fn by_documents(&self, plan: &Plan, documents: Vec<Document>) -> Result<Released, SignerError> {
        // A package URL chooses the rule of a policy, so it must be the one that the file's own digest gives, or one that
        // a signed statement gives to that digest.
        let generic = |wanted: &Artifact| {
            let (name, sha256) = (&wanted.name, wanted.digests.sha256);
            format!("pkg:generic/{name}?checksum=sha256:{sha256}")
        };
        let artifacts = plan.released();
        // What nobody signed whom this signer trusts does not choose a repository to be fetched.
        let names = crate::policy::names(&artifacts);
        let trust = self.case.policy.trusting(self.case.trust.clone(), &names);
        let counts = |document: &Document| {
            let standing = assess(document, &artifacts, &trust).claim.standing;
            standing == Standing::Verified || standing == Standing::Partial || standing.is_against()
        };
        let documents: Vec<Document> = documents.into_iter().filter(counts).collect();
        let judgement = self
            .case
            .inspect(&artifacts, Vec::new(), &documents, &self.fetcher)
            .await;
        let verified = |finding: &Finding| finding.standing == Standing::Verified;
        if !verified(&judgement.inspection.signature) && !verified(&judgement.inspection.provenance) {
            return Err(SignerError::Plan(format!(
                "is about {}, and no signed document that came with the run vouches for its digests",
                plan.subject
            )));
        }
        let verified = judgement.inspection.provenance.claims.iter();
        let statements: Vec<_> = verified
            .filter(|it| it.claim.standing == Standing::Verified)
            .filter_map(|it| it.statement.as_ref())
            .collect();
        for wanted in &artifacts {
            let same = |it: &&Descriptor| it.matches(&wanted.digests) == DigestMatch::Same;
            let subjects: Vec<&Descriptor> = statements
                .iter()
                .flat_map(|statement| statement.subject.iter().filter(same))
                .collect();
            let names: Vec<_> = subjects.iter().filter_map(|it| it.file_name()).collect();
            if !names.is_empty() && !names.contains(&wanted.name.as_str()) {
                return Err(SignerError::Plan(format!(
                    "calls a file {}, which was released as {}",
                    wanted.name,
                    names.join(" or ")
                )));
            }
            let purl = wanted.purl.clone().unwrap_or_default();
            let named = subjects.iter().any(|it| {
                [&it.name, &it.uri]
                    .into_iter()
                    .flatten()
                    .any(|text| *text == purl)
            });
            if purl != generic(wanted) && !named {
                return Err(SignerError::Plan(format!(
                    "calls {} {purl}, which no signed document does",
                    wanted.name
                )));
            }
        }
        if artifacts.first().and_then(|first| first.purl.as_ref()) != Some(&plan.subject) {
            return Err(SignerError::Plan(format!(
                "is about {}, and expects something else",
                plan.subject
            )));
        }
        judgement.policy.gate(&plan.subject)?;
        Ok(Released {
            subject: None,
            artifacts,
            sources: Vec::new(),
            published: None,
            judgement,
        })
    }

    /// Refuses a run that must not be signed; of any other, says what else than the worker vouches for what.
    pub async fn vouch(&self, examined: &VerifiedRun, released: &Released) -> Result<Vouched, SignerError> {
        let VerifiedRun { record, plan, .. } = examined;
        bounds::texts(plan)?;
        let ecosystem = ecosystem_of(released.subject.as_ref());
        not_released_itself(plan, ecosystem)?;
        self.dates(plan, record, released)?;
        for name in &record.not_compared {
            let patterns = &plan.not_compared;
            if !patterns
                .iter()
                .any(|pattern| crate::artifact::pattern::fits(pattern, name))
            {
                return Err(SignerError::Run(format!(
                    "leaves {name} out of the comparison, which its plan does not"
                )));
            }
        }
        let provenance = released.provenance();
        let time = match &released.judgement.source {
            Some(checkout) if provenance.is_some() => checkout.time().ok(),
            _ => None,
        };
        let mut names: Vec<_> = released.artifacts.iter().map(|it| it.name.clone()).collect();
        if let Some(statement) = released
            .judgement
            .statement
            .as_ref()
            .filter(|_| provenance.is_some())
        {
            let subjects = statement.subject.iter();
            names.extend(subjects.filter_map(|it| it.file_name().map(str::to_owned)));
        }
        let known = Known {
            subject: released.subject.as_ref(),
            catalog: &self.catalog,
            recipes: &self.recipes,
            images: &self.images,
            provenance,
            time,
            released: names,
        };
        let Followed {
            name,
            digest,
            container,
            stated,
        } = followed(plan, &known)?;
        let mut inputs = self.inputs(plan, ecosystem, released).await?;
        // Texts that are the signer's own; all others are among what is stated.
        for file in &plan.files {
            if !stated.contains_key(&format!("text: {}", file.place)) {
                let by = "recipe";
                inputs.insert(
                    file.place.clone(),
                    Named {
                        by,
                        name: None,
                        uri: None,
                    },
                );
            }
        }
        Ok(Vouched {
            policy: released.judgement.policy.clone(),
            recipe: (name, digest),
            container,
            inputs,
            stated,
            signed_on: Timestamp::now(),
            agreement: Vec::new(),
        })
    }

    /// A run begins after what it rebuilds was released, and after its container was locked.
    #[allow(clippy::unused_self)]
    fn dates(&self, plan: &Plan, record: &Record, released: &Released) -> Result<(), SignerError> {
        let locked = match &plan.container {
            PinnedContainer::Packages { lock, .. } => lock.releases.iter().map(|release| release.date).max(),
            PinnedContainer::Image { .. } => None,
        };
        for (since, what) in [
            (released.since(), "it was released"),
            (locked, "its container was made"),
        ] {
            let Some(since) = since else { continue };
            let latest = record.started.saturating_add(SKEW).unwrap_or(record.started);
            if latest < since {
                return Err(SignerError::Run(format!(
                    "says that it began on {}, and {what} on {since}",
                    record.started
                )));
            }
        }
        Ok(())
    }

    /// What names each input, where anything but the worker does. Refuses a source that contradicts verified evidence.
    async fn inputs(
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
            } else if input.role == Role::Source {
                return Err(SignerError::Plan(format!(
                    "takes {} with sha256:{sha256} for its source, which is not what was released beside it",
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
                "builds {} at {}, and the verified provenance names {} at {}",
                git.source.repository,
                git.source.commit.as_deref().unwrap_or("no commit"),
                source.repository,
                source.commit.as_deref().unwrap_or("no commit")
            )));
        }
        if git.source.reference.is_some() && git.source.reference != source.reference {
            return Err(SignerError::Plan(format!(
                "builds the ref {}, and the verified provenance names {}",
                git.source.reference.as_deref().unwrap_or_default(),
                source.reference.as_deref().unwrap_or("none")
            )));
        }
        // The commit says what is in the archive; whether this is its digest, only the repository tells.
        let Some(checkout) = &released.judgement.source else {
            return Ok(git.archive.is_none().then(named_by_provenance));
        };
        let archive = self.fetcher.git_archive(checkout, git.submodules).await;
        match (archive, git.archive) {
            (Ok(archive), Some(stated)) if archive.sha256 != stated => Err(SignerError::Plan(format!(
                "gives the files of {} as sha256:{stated}, and they are sha256:{}",
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
        let is_wanted = |paragraph: &deb822_fast::Paragraph| {
            paragraph
                .get("SHA256")
                .is_some_and(|digest| wanted.contains(digest))
        };
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
fn not_released_itself(plan: &Plan, ecosystem: Ecosystem) -> Result<(), SignerError> {
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
            return Err(SignerError::Plan("carries the released file itself".into()));
        }
    }
    Ok(())
}

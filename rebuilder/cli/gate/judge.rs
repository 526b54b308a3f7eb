//! Judges packages by the policy's quorum and the attestations of its sources.

use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;

use super::ApplyArgs;
use super::gathering::{self, Gathered};
use crate::agreement::{self, Agreement, Conclusion};
use crate::artifact::{Digests, Subject as Package};
use crate::cli::failure::{Code, Failure};
use crate::cli::options::discovery;
use crate::cli::{Common, suggest};
use crate::discover::{self, Asked, Prepared, Subject};
use crate::ecosystem;
use crate::evidence::assess::{self, Artifact};
use crate::evidence::trust::Trust;
use crate::policy::Policy;
use crate::progress::Progress;
use crate::store::{Fetcher, Store, StoreError};

/// Something that is about to be installed.
pub(super) struct Candidate {
    /// What the installer calls it.
    pub label: String,
    /// The file, or what is known of it; otherwise, why no party can vouch for it.
    pub what: Result<Artifact, String>,
}

/// The result for one candidate.
pub(super) struct Judged {
    pub label: String,
    pub outcome: Outcome,
    /// The file as it was judged, if there is one.
    pub agreement: Option<Agreement>,
    pub asked: Vec<Asked>,
}

/// Why a candidate passes or not.
pub(super) enum Outcome {
    /// Enough parties agree.
    Agreed,
    /// Enough parties agree if equivalence counts, and the user lets it count.
    Equivalent,
    /// Too few parties vouch for it, and the user lets such packages pass.
    LetPass(String),
    /// A trusted party speaks against it, or it is not known to be reproduced bit for bit.
    Against(String),
    /// No quorum of the policy covers it.
    NoQuorum(String),
    /// The statements that count are about another package with the same bytes, or the file is of none.
    OtherPackage(String),
    /// Too few parties vouch for it.
    TooFew(String),
}

impl Outcome {
    pub fn passes(&self) -> bool {
        matches!(self, Self::Agreed | Self::Equivalent | Self::LetPass(_))
    }

    fn code(&self) -> u8 {
        match self {
            Self::Agreed | Self::Equivalent | Self::LetPass(_) => 0,
            Self::Against(_) => 1,
            Self::NoQuorum(_) | Self::OtherPackage(_) => Code::Refused as u8,
            Self::TooFew(_) => Code::Inconclusive as u8,
        }
    }
}

/// The results for all candidates.
pub(super) struct Judgement {
    pub packages: Vec<Judged>,
    /// The policy's name, for advice.
    pub policy: String,
}

impl Judgement {
    pub fn passed(&self) -> bool {
        self.packages.iter().all(|one| one.outcome.passes())
    }

    /// Advice about a party that speaks against a package comes before advice about too few parties.
    pub fn code(&self) -> ExitCode {
        let codes = self.packages.iter().map(|one| one.outcome.code());
        let codes: Vec<u8> = codes.collect();
        ExitCode::from(if codes.contains(&1) {
            1
        } else {
            codes.into_iter().max().unwrap_or(0)
        })
    }
}

impl Candidate {
    /// A file on this machine. Its metadata say which package it is, because the installer goes by them.
    pub fn file(path: &Path) -> Result<Self, Failure> {
        if !path.is_file() {
            return Err(suggest::missing_file(path));
        }
        let digests = std::fs::File::open(path)
            .and_then(Digests::of_reader)
            .map_err(StoreError::io("read", path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = released_name(&name).unwrap_or_else(|| name.into_owned());
        let purl = ecosystem::read_off(path).map(|package| package.purl());
        Ok(Self {
            label: purl.clone().unwrap_or_else(|| name.clone()),
            what: Ok(Artifact {
                name,
                purl,
                digests,
                path: Some(path.to_owned()),
            }),
        })
    }

    /// A package that the installer knows by name, version and digest.
    pub fn named(package: &Package, file: String, digests: Digests) -> Self {
        let purl = package.purl();
        Self {
            label: purl.clone(),
            what: Ok(Artifact {
                name: file,
                purl: Some(purl),
                digests,
                path: None,
            }),
        }
    }

    /// Something that no party can vouch for.
    pub fn unknown(label: String, why: impl Into<String>) -> Self {
        Self {
            label,
            what: Err(why.into()),
        }
    }
}

/// The name that an archive gives to a Debian package which apt keeps with its epoch: `tool_1%3a2.0-1_amd64.deb` is
/// `tool_2.0-1_amd64.deb` there. A statement against the package names that file.
fn released_name(kept: &str) -> Option<String> {
    let (package, rest) = kept.strip_suffix(".deb")?.split_once('_')?;
    let (version, architecture) = rest.rsplit_once('_')?;
    let (epoch, upstream) = version.split_once("%3a")?;
    let is_epoch = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
    is_epoch.then(|| format!("{package}_{upstream}_{architecture}.deb"))
}

/// Asks the sources about all candidates, and judges each.
pub(super) fn judge(
    common: &Common,
    apply: &ApplyArgs,
    candidates: Vec<Candidate>,
) -> Result<Judgement, Failure> {
    let (trust, policy) = apply.trust.open_with_keys()?;
    let store = Store::open(common.store.clone())?;
    let now = Timestamp::now();
    let sources = policy.file().map_or(&[][..], |file| file.sources());
    if sources.is_empty() && apply.attestation.is_empty() {
        return Err(
            Failure::usage("cannot check packages: no source of attestations is named".into()).with_help(
                "name a policy that has [[discover]] with --policy (docs/discover.md), or a folder with \
                --attestation",
            ),
        );
    }
    let artifacts = candidates.iter().filter_map(|one| one.what.as_ref().ok());
    let artifacts: Vec<Artifact> = artifacts.cloned().collect();
    let prepared = artifacts
        .iter()
        .map(|artifact| discover::prepare(sources, Subject::of(artifact, None), &store, now))
        .collect();
    let asked = answers(common, &store, prepared)?;
    let gathered = gathering::gather(apply, &artifacts, &asked, &store, &trust)?;
    let mut known = gathered.into_iter().zip(asked);
    let mut packages = Vec::new();
    for candidate in candidates {
        let (outcome, agreement, asked) = match candidate.what {
            Err(why) if apply.allow_unknown => (Outcome::LetPass(why), None, Vec::new()),
            Err(why) => (Outcome::TooFew(why), None, Vec::new()),
            Ok(artifact) => {
                let (gathered, asked) = known.next().unwrap_or_default();
                let (outcome, agreement) = one(apply, &artifact, &gathered, (&trust, &policy), now);
                (named(outcome, &artifact), agreement, asked)
            }
        };
        packages.push(Judged {
            label: candidate.label,
            outcome,
            agreement,
            asked,
        });
    }
    let policy = policy.file().map_or("the policy", |file| file.name()).to_owned();
    Ok(Judgement { packages, policy })
}

/// The answers of the sources. A runtime is created only if a source has to be asked.
fn answers(common: &Common, store: &Store, prepared: Vec<Prepared<'_>>) -> Result<Vec<Vec<Asked>>, Failure> {
    if common.offline || prepared.iter().all(Prepared::is_complete) {
        return Ok(prepared.into_iter().map(Prepared::offline).collect());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("cannot start the async runtime: {error}")))?;
    let progress = Progress::new(common.quiet);
    let fetcher = Fetcher::new(store, common.mirror.clone(), false, progress)
        .with_allowed_hosts(common.allow_host.clone());
    Ok(runtime.block_on(discover::ask(&fetcher, prepared)))
}

fn one(
    apply: &ApplyArgs,
    artifact: &Artifact,
    gathered: &Gathered,
    (trust, policy): (&Trust, &Policy),
    now: Timestamp,
) -> (Outcome, Option<Agreement>) {
    let Gathered { tally, cost, files } = gathered;
    let mut agreement = match agreement::conclude(artifact, tally, trust, policy, now, *cost) {
        Ok(agreement) => agreement,
        Err(refusal) => return (Outcome::NoQuorum(refusal.finding), None),
    };
    discovery::name_origins(files, &mut agreement);
    let reason = || agreement.reason.clone();
    let is_enough = matches!(agreement.verdict, Conclusion::Agreed | Conclusion::Equivalent);
    if let Some(why) = another(&agreement, artifact).filter(|_| is_enough) {
        return (Outcome::OtherPackage(why), Some(agreement));
    }
    let outcome = match agreement.verdict {
        Conclusion::Agreed => Outcome::Agreed,
        Conclusion::Equivalent if apply.allow_equivalent => Outcome::Equivalent,
        Conclusion::Equivalent => Outcome::Against(format!("only equivalent: {}", reason())),
        Conclusion::Disagreed => Outcome::Against(reason()),
        Conclusion::NotEnough if apply.allow_unknown => Outcome::LetPass(reason()),
        Conclusion::NotEnough => Outcome::TooFew(reason()),
    };
    (outcome, Some(agreement))
}

/// What becomes of a file whose metadata do not say which package it is: no quorum for packages is about it, while the
/// installer may still find that out.
fn named(outcome: Outcome, artifact: &Artifact) -> Outcome {
    if artifact.purl.is_some() || !outcome.passes() {
        return outcome;
    }
    Outcome::OtherPackage("its metadata does not have a valid name and version of a package".to_owned())
}

/// In one sentence, if a party that counts states this of another package: an index that serves a package under the name
/// of another one would otherwise get it installed, as long as somebody rebuilt it.
fn another(agreement: &Agreement, artifact: &Artifact) -> Option<String> {
    let mut counted = agreement.parties.iter().filter(|party| party.counted);
    counted.find_map(|party| {
        let label = party.subject.as_ref()?;
        // The name under which the file lies here is not that of its package either, if its metadata say otherwise.
        let lies_here = label.rsplit(['/', '\\']).next() == Some(artifact.name.as_str());
        let other = (party.renamed || lies_here) && assess::is_of_another_package(label, artifact);
        other.then(|| format!("{} states it of another package, {label:?}", party.party))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_an_archive_calls_a_package_with_an_epoch() {
        let table = [
            ("tool_1%3a2.0-1_amd64.deb", Some("tool_2.0-1_amd64.deb")),
            ("tool_2.0-1_amd64.deb", None),
            ("tool_x%3a2.0-1_amd64.deb", None),
            ("tool-1%3a2.0.whl", None),
        ];
        for (kept, released) in table {
            assert_eq!(released_name(kept).as_deref(), released, "{kept}");
        }
    }
}

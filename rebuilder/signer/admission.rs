//! The signer's questions about a run beyond its digests: was this released, may it be signed, does the plan only
//! build, and who else confirms what it states?

use jiff::Timestamp;

use super::inputs::not_released_itself;
use super::recipe::{Followed, Known, ecosystem_of, followed};
use super::released::Released;
use super::{SignerError, bounds};
use crate::artifact::{PinnedImage, pattern};
use crate::attest::{Named, VerifiedRun, Vouched};
use crate::container::Catalog;
use crate::inspect::InspectionRequest;
use crate::plan::{PinnedContainer, Plan, Recipe};
use crate::run::{Evidence, Record, Verdict};
use crate::sandbox::Bound;
use crate::store::Fetcher;

/// Backends whose isolation this tool vouches for.
const BACKENDS: [&str; 2] = ["embedded", "docker"];
/// How far a worker's clock may be off.
const SKEW: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
/// How long a run may wait to be handed in.
const OLDEST: jiff::SignedDuration = jiff::SignedDuration::from_hours(366 * 24);
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

impl Admission {
    /// Refuses what the record alone shows must not be signed.
    pub fn record(&self, record: &Record) -> Result<(), SignerError> {
        let refuse = |reason: String| Err(SignerError::Run(reason));
        if let Verdict::Inconclusive { .. } = record.verdict {
            return refuse("is inconclusive, so there is nothing to attest".into());
        }
        if record.evidence != Evidence::Verified {
            return refuse(
                "replays a saved plan: its claims are those of the plan's author, so it is not signed here"
                    .into(),
            );
        }
        if !BACKENDS.contains(&record.backend.as_str()) {
            return refuse(format!(
                "was built by {:?}, a backend that this signer does not accept",
                record.backend
            ));
        }
        let open = |limit: &&String| Bound::named(limit).is_none_or(Bound::isolates);
        if let Some(limit) = record.not_enforced.iter().find(open) {
            return refuse(format!("was not isolated: {limit} was not enforced"));
        }
        if semver::Version::parse(&record.rebuilder).is_err() {
            return refuse(format!(
                "names {:?} as its version of rebuilder, which is not a version",
                record.rebuilder
            ));
        }
        let now = Timestamp::now();
        let latest = now.saturating_add(SKEW).unwrap_or(now);
        if record.finished > latest || record.started > record.finished {
            return refuse(format!(
                "says that it ended on {}, but began on {}",
                record.finished, record.started
            ));
        }
        if now.duration_since(record.started) > OLDEST {
            return refuse(format!(
                "says that it began on {}, but a run must be handed in within a year",
                record.started
            ));
        }
        Ok(())
    }

    /// Refuses a run that must not be signed; of any other, says what else than the worker vouches for what.
    pub async fn vouch(&self, examined: &VerifiedRun, released: &Released) -> Result<Vouched, SignerError> {
        let VerifiedRun { record, plan, .. } = examined;
        bounds::texts(plan)?;
        let kind = ecosystem_of(released.subject.as_ref());
        not_released_itself(plan, kind)?;
        self.dates(plan, record, released)?;
        nothing_else_left_out(plan, record)?;
        let provenance = released.provenance();
        let time = match &released.judgement.source {
            Some(checkout) if provenance.is_some() => checkout.time().ok(),
            _ => None,
        };
        let known = Known {
            subject: released.subject.as_ref(),
            catalog: &self.catalog,
            recipes: &self.recipes,
            images: &self.images,
            provenance,
            time,
            released: names(released, provenance.is_some()),
        };
        let Followed {
            name,
            digest,
            container,
            stated,
        } = followed(plan, &known)?;
        let mut inputs = self.inputs(plan, kind, released).await?;
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
                    "says that it began on {}, but {what} on {since}",
                    record.started
                )));
            }
        }
        Ok(())
    }
}

/// Outputs that the record leaves out of the comparison must be those that the plan leaves out.
fn nothing_else_left_out(plan: &Plan, record: &Record) -> Result<(), SignerError> {
    let by_plan = |name: &String| {
        plan.not_compared
            .iter()
            .any(|pattern| pattern::fits(pattern, name))
    };
    match record.not_compared.iter().find(|name| !by_plan(name)) {
        Some(name) => Err(SignerError::Run(format!(
            "leaves {name} out of the comparison, but its plan does not"
        ))),
        None => Ok(()),
    }
}

/// Names of what was released: those of the artifacts, and those that the provenance gives, if it counts.
fn names(released: &Released, by_provenance: bool) -> Vec<String> {
    let own = released.artifacts.iter().map(|it| it.name.clone());
    let statement = released.judgement.statement.as_ref();
    let statement = statement.filter(|_| by_provenance).into_iter();
    let subjects = statement.flat_map(|statement| &statement.subject);
    own.chain(subjects.filter_map(|it| it.file_name().map(str::to_owned)))
        .collect()
}

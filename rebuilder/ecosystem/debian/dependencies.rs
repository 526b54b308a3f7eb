//! The build dependencies of a plan if no `.buildinfo` lists them: apt's choice, guided by the released packages.
//!
//! apt chooses from today's archive. If a released package names the version of something that took part in its build,
//! and the archive still has that version beside a newer one, that version is used. After a run that produced other
//! bytes, another state of the archive may be tried ([`ArchiveState`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use debversion::Version;

use super::lead::{Lead, Wanted, lead};
use super::registry::Found;
use super::traces;
use super::{Package, exact};
use crate::apt::{Binary, BinaryRow, Indexes};
use crate::artifact::PinnedFile;
use crate::container::Root;
use crate::container::apt_resolver::{AptResolver, Pin, ResolveError};
use crate::ecosystem::hints::ArchiveState;
use crate::ecosystem::{PlanError, Planner};
use crate::plan::{Assumption, Lock, Origin, assume};
use crate::store::Blob;
use crate::text::plural;

/// The build dependencies, and the assumptions behind them.
pub(super) struct Dependencies {
    pub packages: Vec<(PinnedFile, Binary)>,
    pub assumptions: Vec<Assumption>,
}

/// Name of the assumption with the number of packages.
pub(super) const DEPENDENCIES: &str = "build dependencies";
/// Name of the assumption with the packages that are newer than the point release.
pub(super) const UPDATES: &str = "updates since the point release";
/// Prefix of the names of assumptions about versions that a release names.
pub(super) const VERSION: &str = "version of ";
/// The value for versions that cannot be installed.
pub(super) const TODAYS: &str = "today's";
/// The value for versions that the archive no longer has.
pub(super) const GONE: &str = "today's, as the one that the release names is gone";
/// Maximum number of updates that an assumption names.
const NAMED: usize = 8;

/// Asks apt about today's archive, or about the state that a hint names.
pub(super) async fn choose(
    planner: &Planner<'_>,
    container: &str,
    subject: &Package,
    found: &Found,
    (lock, root): (&Lock, &Root),
    released: &[Blob],
) -> Result<Dependencies, PlanError> {
    let asking = Asking {
        planner,
        found,
        lock,
        root,
    };
    match &planner.hints.settings.archive {
        None => {
            let origin = Origin::Inferred(
                "Build-Depends of the .dsc, resolved by apt against today's archive; no .buildinfo was available"
                    .into(),
            );
            asking
                .todays(asking.lead(released)?, origin, &subject.distro)
                .await
        }
        Some((ArchiveState::Newest, origin)) => {
            let origin = origin.clone();
            asking.todays(Lead::default(), origin, &subject.distro).await
        }
        Some((ArchiveState::PointRelease, origin)) => {
            let indexes = found.indexes.of_suite(&subject.distro);
            let words = format!("in the versions of {} without updates", subject.distro);
            asking.moved(&indexes, &words, origin).await
        }
        Some((ArchiveState::OfTheDay, origin)) => {
            let day = released.iter().find_map(changelog_date);
            let day = day.and_then(|day| day.checked_add(jiff::SignedDuration::from_hours(24)).ok());
            let gone = |reason: &str| PlanError::NotRebuildable {
                subject: subject.purl(),
                reason: format!("the state of the archive on the day of its build is unknown: {reason}"),
                help: "the dated snapshot service has all of them; name its address in the container's \
                    definition"
                    .into(),
            };
            let day = day.ok_or_else(|| gone("the released package has no time"))?;
            let indexes = exact::of_the_day(planner, container, day).await?;
            let indexes = indexes.ok_or_else(|| gone("the container's archives have no snapshot service"))?;
            let words = format!("in the versions of {}", day.strftime("%Y-%m-%d"));
            asking.moved(&indexes, &words, origin).await
        }
    }
}

/// The question to apt.
struct Asking<'a> {
    planner: &'a Planner<'a>,
    found: &'a Found,
    lock: &'a Lock,
    root: &'a Root,
}

impl Asking<'_> {
    async fn apt(&self, indexes: &Indexes, pins: &[Pin]) -> Result<Vec<Binary>, ResolveError> {
        let resolver = AptResolver {
            root: self.root,
            indexes,
            sandbox: self.planner.workshop.sandbox,
            fetcher: self.planner.workshop.fetcher,
            progress: self.planner.workshop.progress,
        };
        let source = &self.found.source;
        let name = format!("{} {}", source.package, source.version);
        resolver.build_dependencies(&name, &self.found.dsc, pins).await
    }

    /// The versions that the released packages lead to.
    fn lead(&self, released: &[Blob]) -> Result<Lead, PlanError> {
        let indexes = &self.found.indexes;
        let traces = traces::read(self.planner.workshop.fetcher.store(), released);
        let named = traces::names(&traces);
        let candidates = indexes.binaries(|row| named.contains(row.package) || named.contains(row.source))?;
        Ok(lead(&candidates, &traces, &self.found.source.package))
    }

    /// Today's archive, except for the versions that the user or the released packages name.
    async fn todays(&self, mut lead: Lead, origin: Origin, distro: &str) -> Result<Dependencies, PlanError> {
        let indexes = &self.found.indexes;
        self.name(indexes, &mut lead)?;
        let pins = self.pins(indexes, &lead.wanted)?;
        let mut refused = None;
        let binaries = match self.apt(indexes, &pins).await {
            Err(ResolveError::Unsatisfied { reason, .. }) if !lead.wanted.iter().all(Wanted::is_declared) => {
                // Versions that cannot be installed together were not installed together.
                refused = Some(reason);
                let declared = lead.wanted.iter().filter(|it| it.is_declared()).cloned();
                let pins = self.pins(indexes, &declared.collect::<Vec<_>>())?;
                self.apt(indexes, &pins).await?
            }
            other => other?,
        };
        let mut chosen = chosen(indexes, binaries, "in today's versions", origin);
        let said = &mut chosen.assumptions;
        for wanted in lead.wanted {
            let (what, version) = (format!("{VERSION}{}", wanted.source), wanted.version.clone());
            said.push(match refused.as_ref().filter(|_| !wanted.is_declared()) {
                None => assume(&what, version, wanted.origin),
                Some(reason) => assume(
                    &what,
                    TODAYS,
                    Origin::Inferred(format!("apt cannot install {version}: {reason}")),
                ),
            });
        }
        for (name, version, seen) in lead.gone {
            let reason =
                format!("the archive no longer has {version}, which is what the release names ({seen})");
            said.push(assume(
                &format!("{VERSION}{name}"),
                GONE,
                Origin::Inferred(reason),
            ));
        }
        if let Some(updates) = self.updates(&chosen.packages, distro) {
            let origin =
                Origin::Inferred("the archive has them today; older versions may have been there".into());
            chosen.assumptions.push(assume(UPDATES, updates, origin));
        }
        Ok(chosen)
    }

    /// Another state of the archive, in which the container's packages have other versions too.
    async fn moved(
        &self,
        indexes: &Indexes,
        words: &str,
        origin: &Origin,
    ) -> Result<Dependencies, PlanError> {
        let mut lead = Lead::default();
        self.name(indexes, &mut lead)?;
        let mut pins = self.pins(indexes, &lead.wanted)?;
        let named: BTreeSet<_> = pins.iter().map(|pin| pin.package.clone()).collect();
        let newest = indexes.newest(&self.installed());
        let of_container: Vec<_> = self
            .lock
            .packages
            .iter()
            .filter(|package| !named.contains(&package.name))
            .filter_map(|package| {
                let version = newest.get(package.name.as_str())?.to_string();
                (version != package.version).then(|| Pin {
                    package: package.name.clone(),
                    version,
                    replaces: true,
                })
            })
            .collect();
        pins.extend(of_container);
        let binaries = self.apt(indexes, &pins).await?;
        let mut chosen = chosen(indexes, binaries, words, origin.clone());
        let by_user = lead.wanted.into_iter().map(|wanted| {
            assume(
                &format!("{VERSION}{}", wanted.source),
                wanted.version,
                wanted.origin,
            )
        });
        chosen.assumptions.extend(by_user);
        Ok(chosen)
    }

    /// Names of the packages that the container has.
    fn installed(&self) -> BTreeSet<&str> {
        let packages = self.lock.packages.iter();
        packages.map(|package| package.name.as_str()).collect()
    }

    /// Adds the versions that the user named with `--tool`, for binary or source packages; they take precedence over
    /// all others.
    fn name(&self, indexes: &Indexes, lead: &mut Lead) -> Result<(), PlanError> {
        for (name, hint) in &self.planner.hints.tools {
            let fits = |row: &BinaryRow<'_>| {
                (row.package == name && row.version == hint.value)
                    || (row.source == name && row.source_version == hint.value)
            };
            let Some(binary) = indexes.binaries(fits)?.into_iter().next() else {
                return Err(PlanError::NotRebuildable {
                    subject: format!("{} {}", self.found.source.package, self.found.source.version),
                    reason: format!("no index has {name} {}", hint.value),
                    help: "name a version that \"apt-cache policy\" lists, or use --provenance \
                    FILE.buildinfo for older versions from the dated snapshot"
                        .into(),
                });
            };
            lead.wanted.retain(|other| other.source != binary.source);
            lead.gone
                .retain(|(other, ..)| *other != binary.source && other != name);
            lead.wanted.push(Wanted {
                source: binary.source,
                version: binary.source_version.to_string(),
                origin: hint.origin.clone(),
            });
        }
        Ok(())
    }

    /// All binary packages of the wanted sources, so that they fit together.
    fn pins(&self, indexes: &Indexes, wanted: &[Wanted]) -> Result<Vec<Pin>, PlanError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let is_wanted = |row: &BinaryRow<'_>| {
            let mut all = wanted.iter();
            all.any(|it| it.source == row.source && it.version == row.source_version)
        };
        let binaries = indexes.binaries(is_wanted)?;
        let installed: BTreeMap<_, _> = self
            .lock
            .packages
            .iter()
            .map(|package| (package.name.as_str(), package.version.as_str()))
            .collect();
        // Of several builds of one source (binNMUs), the newest.
        let mut newest: BTreeMap<&str, &Version> = BTreeMap::new();
        for binary in &binaries {
            let version = newest.entry(&binary.package).or_insert(&binary.version);
            *version = (*version).max(&binary.version);
        }
        let pins = newest.into_iter().map(|(package, version)| {
            let version = version.to_string();
            let other = installed.get(package);
            Pin {
                replaces: other.is_some_and(|other| *other != version),
                package: package.to_owned(),
                version,
            }
        });
        Ok(pins.collect())
    }

    /// Sources of installed packages that are newer than in the suite `distro`, as `NAME VERSION`.
    fn updates(&self, packages: &[(PinnedFile, Binary)], distro: &str) -> Option<String> {
        let point_release = self.found.indexes.of_suite(distro);
        let mut names = self.installed();
        names.extend(packages.iter().map(|(_, binary)| binary.package.as_str()));
        let newest = point_release.newest(&names);
        let is_newer = |name: &str, version: &Version| newest.get(name).is_some_and(|older| older < version);
        let replaced: BTreeSet<_> = packages
            .iter()
            .map(|(_, binary)| binary.package.as_str())
            .collect();
        let of_container = self.lock.packages.iter().filter_map(|package| {
            let version: Version = package.version.parse().ok()?;
            let stays = !replaced.contains(package.name.as_str());
            (stays && is_newer(&package.name, &version)).then(|| format!("{} {version}", package.name))
        });
        let chosen = packages
            .iter()
            .filter(|(_, binary)| is_newer(&binary.package, &binary.version))
            .map(|(_, binary)| format!("{} {}", binary.package, binary.version));
        let all: BTreeSet<_> = of_container.chain(chosen).collect();
        if all.is_empty() {
            return None;
        }
        let more = all.len().saturating_sub(NAMED);
        let mut text = all.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        if more > 0 {
            text.push_str(&format!(", and {more} more"));
        }
        Some(text)
    }
}

fn chosen(indexes: &Indexes, binaries: Vec<Binary>, words: &str, origin: Origin) -> Dependencies {
    let packages: Vec<_> = binaries
        .into_iter()
        .map(|binary| (indexes.material(&binary), binary))
        .collect();
    let value = format!("{}, {words}", plural(packages.len(), "package"));
    Dependencies {
        assumptions: vec![assume(DEPENDENCIES, value, origin)],
        packages,
    }
}

/// The time in the archive's first header, in seconds; since dpkg 1.18.8 that is the date of the package's changelog.
fn changelog_date(blob: &Blob) -> Option<jiff::Timestamp> {
    let mut head = [0; 68];
    std::fs::File::open(&blob.path).ok()?.read_exact(&mut head).ok()?;
    let text = std::str::from_utf8(head.get(24..36)?).ok()?;
    let seconds = text.trim().parse().ok().filter(|seconds| *seconds > 0)?;
    jiff::Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_the_time_of_its_changelog() {
        let folder = tempfile::tempdir().unwrap();
        let at = |mtime: &str| {
            let path = folder.path().join("x.deb");
            let header = format!(
                "!<arch>\n{:<16}{mtime:<12}{:<6}{:<6}{:<8}{:<10}`\n2.0\n",
                "debian-binary", 0, 0, 100_644, 4
            );
            std::fs::write(&path, header).unwrap();
            let (sha256, size) = (crate::artifact::Sha256::of(mtime), 72);
            changelog_date(&Blob { path, sha256, size }).map(jiff::Timestamp::as_second)
        };
        assert_eq!(at("1686000000"), Some(1_686_000_000));
        for odd in ["0", "", "-1", "x"] {
            assert_eq!(at(odd), None, "{odd:?}");
        }
    }
}

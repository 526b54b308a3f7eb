//! The exact packages that a build had installed, by its `.buildinfo`: from today's archive if it still has them,
//! otherwise from the snapshot of the day of the build.

use std::collections::BTreeMap;

use crate::apt::{Binary, BinaryRow, Indexes, SourcePackage};
use crate::artifact::PinnedFile;
use crate::ecosystem::{PlanError, Planner};
use crate::evidence::assess::Artifact;
use crate::evidence::buildinfo::BuildInfo;
use crate::evidence::document::{Document, Kind};
use crate::evidence::release::Archive;
use crate::inspect;
use crate::plan::{Assumption, Lock, Origin, assume};
use crate::store::Blob;
use crate::text::plural;

use super::choose::Chosen;

/// The public archive of `.buildinfo` files.
const PUBLIC: &str = "https://buildinfos.debian.net/buildinfo-pool";
const LIMIT: u64 = 4 << 20;

/// The record of this build from the user's evidence or the public archive, and the documents that were fetched.
pub(super) async fn find(
    planner: &Planner<'_>,
    source: &SourcePackage,
    chosen: &Chosen,
    arch: &str,
) -> (Option<BuildInfo>, Vec<Document>) {
    let versions = [source.version.to_string(), chosen.named.version.to_string()];
    let of_this_build = |document: &Document| match &document.kind {
        Kind::BuildInfo(info) if info.source == source.package && versions.contains(&info.version) => {
            Some((**info).clone())
        }
        _ => None,
    };
    if let Some(info) = planner.case.documents.iter().find_map(of_this_build) {
        return (Some(info), Vec::new());
    }
    let url = address(source, &chosen.named.version, arch);
    // A plan can be made without the record, so do not wait for a host that did not answer lately.
    if planner.workshop.fetcher.is_unreachable(&url) {
        return (None, Vec::new());
    }
    let read = |blob: &Blob| inspect::read_documents(&url, blob);
    let received = planner
        .workshop
        .fetcher
        .get_unpinned("the .buildinfo", std::slice::from_ref(&url), LIMIT, read)
        .await;
    let documents = received.map(|(documents, _)| documents).unwrap_or_default();
    (documents.iter().find_map(of_this_build), documents)
}

/// `POOL/LETTER/SOURCE/SOURCE_VERSION_ARCH.buildinfo`, without the epoch, as in the pool of the archive.
fn address(source: &SourcePackage, version: &debversion::Version, arch: &str) -> String {
    let name = &source.package;
    let letters = if name.starts_with("lib") {
        name.get(..4)
    } else {
        name.get(..1)
    };
    let mut version = version.clone();
    version.epoch = None;
    let version = version.to_string().replace('+', "%2B");
    format!(
        "{PUBLIC}/{}/{name}/{name}_{version}_{arch}.buildinfo",
        letters.unwrap_or(name)
    )
}

/// Finds every package that was installed, except those that the container has.
pub(super) async fn packages(
    planner: &Planner<'_>,
    container: &str,
    today: &Indexes,
    lock: &Lock,
    info: &BuildInfo,
) -> Result<Vec<(PinnedFile, Binary)>, PlanError> {
    let there = |name: &str, version: &str| {
        lock.packages
            .iter()
            .any(|package| package.name == name && package.version == version)
    };
    let mut wanted: BTreeMap<&str, &str> = info
        .installed
        .iter()
        .map(|(name, version)| (name.as_str(), version.as_str()))
        .filter(|(name, version)| !there(name, version))
        .collect();
    let mut found = Vec::new();
    take(today, &mut wanted, &mut found)?;
    let day = info
        .build_date
        .as_deref()
        .and_then(crate::evidence::deb822::parse_date);
    if !wanted.is_empty()
        && let Some(day) = day
        && let Some(snapshot) = of_the_day(planner, container, day).await?
    {
        take(&snapshot, &mut wanted, &mut found)?;
    }
    if wanted.is_empty() {
        return Ok(found);
    }
    let missing: Vec<_> = wanted
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    Err(PlanError::NotRebuildable {
        subject: format!("{} {}", info.source, info.version),
        reason: format!(
            "{} of its .buildinfo cannot be found in today's archive or in the snapshot of the build's day: {}",
            plural(missing.len(), "package"),
            missing.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
        ),
        help: "the dated snapshot service has them; if it cannot be reached, map it to a mirror that has them with --mirror".into(),
    })
}

/// Moves the packages that an archive has from the wanted ones to the found ones.
fn take(
    indexes: &Indexes,
    wanted: &mut BTreeMap<&str, &str>,
    found: &mut Vec<(PinnedFile, Binary)>,
) -> Result<(), PlanError> {
    let is_wanted = |row: &BinaryRow<'_>| {
        wanted
            .get(row.package)
            .is_some_and(|version| *version == row.version)
    };
    for binary in indexes.binaries(is_wanted)? {
        if wanted.remove(binary.package.as_str()).is_some() {
            found.push((indexes.material(&binary), binary));
        }
    }
    Ok(())
}

/// The archives as of some time; `None` if they have no snapshot.
pub(super) async fn of_the_day(
    planner: &Planner<'_>,
    container: &str,
    day: jiff::Timestamp,
) -> Result<Option<Indexes>, PlanError> {
    let timestamp = day.strftime("%Y%m%dT%H%M%SZ").to_string();
    let definition = planner.workshop.catalog.definition(container)?.debian;
    let dated = |archive: &Archive| {
        let template = archive.snapshot.clone()?;
        Some(Archive {
            mirrors: vec![template.replace("{timestamp}", &timestamp)],
            ..archive.clone()
        })
    };
    let archives: Vec<_> = definition.archives.iter().filter_map(dated).collect();
    if archives.is_empty() {
        return Ok(None);
    }
    let keyring = planner.workshop.catalog.keyring(&definition)?;
    Ok(Some(
        Indexes::load(
            planner.workshop.fetcher,
            &archives,
            &keyring,
            &definition.arch,
            false,
        )
        .await?,
    ))
}

/// Words of `DEB_BUILD_OPTIONS` that do not change what a compiler makes, besides `parallel=N`.
const OPTION_WORDS: [&str; 6] = ["nocheck", "nodoc", "nobench", "noautodbgsym", "noddebs", "terse"];

/// Whether a build sets a variable as the record has it: make would run a command in its value, so only plain ones are
/// taken.
fn is_taken(name: &str, value: &str) -> bool {
    let plain = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.@:-".contains(c))
    };
    let is_option = |word: &str| {
        let number = word.strip_prefix("parallel=");
        OPTION_WORDS.contains(&word) || number.is_some_and(|number| number.parse::<u16>().is_ok())
    };
    match name {
        "DEB_BUILD_OPTIONS" => value.split_whitespace().all(is_option),
        "DEB_BUILD_PROFILES" => value
            .split_whitespace()
            .all(|word| ["nocheck", "nodoc"].contains(&word)),
        "SOURCE_DATE_EPOCH" => value.parse::<u32>().is_ok(),
        "LANG" | "LANGUAGE" => plain(value),
        name => name.starts_with("LC_") && plain(name) && plain(value),
    }
}

/// The variables of the recorded build that are set.
pub(super) fn environment(info: &BuildInfo) -> BTreeMap<String, String> {
    let set = info
        .environment
        .iter()
        .filter(|(name, value)| is_taken(name, value));
    set.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What is assumed about the other variables of the recorded build. They can change the code that a compiler makes
/// (`DEB_CFLAGS_APPEND`), or where tools are found, although the source says nothing of it.
pub(super) fn left_out(info: &BuildInfo) -> Option<Assumption> {
    let others = info
        .environment
        .iter()
        .filter(|(name, value)| !is_taken(name, value));
    let names: Vec<_> = others.map(|(name, _)| name.as_str()).collect();
    let from = "the .buildinfo has them; they may put into a build what its source does not have".to_owned();
    (!names.is_empty()).then(|| {
        assume(
            "variables of the recorded build",
            format!("not set: {}", names.join(", ")),
            Origin::Inferred(from),
        )
    })
}

/// The origin of what a record says: it declares the inputs of the released files only if it lists their digests.
pub(super) fn origin(info: &BuildInfo, released: &[Artifact]) -> Origin {
    let lists = |artifact: &Artifact| {
        let mut files = info.files.iter();
        files.any(|(name, digest, _)| *name == artifact.name && *digest == artifact.digests.sha256)
    };
    if released.iter().all(lists) {
        Origin::Declared("the .buildinfo".into())
    } else {
        Origin::Inferred(
            "a .buildinfo of another build, which lists other files than the released ones".into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Digests;

    #[test]
    fn only_plain_values_are_taken() {
        for (name, value, expected) in [
            ("DEB_BUILD_OPTIONS", "nocheck parallel=4", true),
            ("DEB_BUILD_OPTIONS", "", true),
            ("DEB_BUILD_OPTIONS", "nocheck a=$(shell id)", false),
            ("DEB_BUILD_OPTIONS", "hardening=-all", false),
            ("DEB_BUILD_OPTIONS", "parallel=x", false),
            ("DEB_BUILD_PROFILES", "nodoc", true),
            ("DEB_BUILD_PROFILES", "pkg.x.evil", false),
            ("LANG", "C.UTF-8", true),
            ("LANG", "$(shell id)", false),
            ("LC_ALL", "de_DE.UTF-8@euro", true),
            ("SOURCE_DATE_EPOCH", "1700000000", true),
            ("SOURCE_DATE_EPOCH", "$(x)", false),
            ("CC", "cc", false),
        ] {
            assert_eq!(is_taken(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn a_record_sets_no_variable_that_changes_code() {
        let text = "Format: 1.0\nSource: p\nVersion: 1\nChecksums-Sha256:\n \
                    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 p_1_all.deb\n\
                    Environment:\n DEB_BUILD_OPTIONS=\"parallel=4\"\n DEB_CFLAGS_APPEND=\"-DEVIL\"\n CC=\"cc\"\n LC_ALL=\"C\"\n";
        let info = BuildInfo::unsigned(text.as_bytes()).unwrap();
        let names: Vec<_> = environment(&info).into_keys().collect();
        assert_eq!(names, ["DEB_BUILD_OPTIONS", "LC_ALL"]);
        assert_eq!(left_out(&info).unwrap().value, "not set: CC, DEB_CFLAGS_APPEND");
        for (name, content, declares) in [
            ("p_1_all.deb", "", true),
            ("p_1_all.deb", "x", false),
            ("q.deb", "", false),
        ] {
            let digests = Digests::of_reader(content.as_bytes()).unwrap();
            let artifact = Artifact {
                name: name.into(),
                purl: None,
                path: None,
                digests,
            };
            let found = origin(&info, &[artifact]);
            assert_eq!(matches!(found, Origin::Declared(_)), declares, "{name} {content}");
        }
    }
}

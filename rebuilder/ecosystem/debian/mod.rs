//! Debian: a binary package of the archive, rebuilt from its source package.
//!
//! The archive's signature covers binaries and sources alike, so both ends of the rebuild are signed; what
//! nobody signs is that the one was made from the other, which is the question that the rebuild answers.

mod choose;
mod exact;
pub(super) mod next;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use debversion::Version;

use super::{Found, PlanError, Planner};
use crate::apt::AptError;
use crate::apt::{Binary, Indexes, Source};
use crate::artifact::PinnedFile;
use crate::artifact::{DebSubject, Digests, Ecosystem, Subject};
use crate::compare;
use crate::container::Catalog;
use crate::container::apt_resolver::AptResolver;
use crate::ecosystem::provenance::assume;
use crate::evidence::assess::Artifact;
use crate::evidence::deb822;
use crate::evidence::openpgp::{self, Keyring};
use crate::evidence::{Claim, Question, Standing};
use crate::plan::Limits;
use crate::plan::{
    Assumption, Expected, InlineFile, Origin, PinnedContainer, PinnedInput, Plan, Recipe, Role, VERSION,
};
use crate::store::{Blob, FetchError, Fetcher};
use choose::{Chosen, build_kind, choose, suffix};

/// Where Debian's builders unpack sources since 2016 or so; see reproducible-builds.org.
const BUILD_PATH: &str = "/build/reproducible-path";
/// Keys of Debian's developers, where this machine has them.
const DEVELOPER_KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-keyring.gpg",
    "/usr/share/keyrings/debian-maintainers.gpg",
];

/// What the signed archive has of a subject.
struct LookUp {
    indexes: Arc<Indexes>,
    chosen: Chosen,
    source: Source,
    dsc: Blob,
    claims: Vec<Claim>,
}

async fn look_up_in(
    fetcher: &Fetcher,
    catalog: &Catalog,
    container: &str,
    subject: &DebSubject,
) -> Result<LookUp, PlanError> {
    let unsuitable = |reason: String| PlanError::NotRebuildable {
        subject: Subject::Deb(subject.clone()).purl(),
        reason,
        help:
            "write a definition for that release with --containers, and a recipe that names it with --recipe"
                .into(),
    };
    let definition = catalog.definition(container)?.debian;
    let suites = definition
        .archives
        .first()
        .map_or(&[][..], |archive| &archive.suites);
    if definition.arch != subject.arch || !suites.contains(&subject.distro) {
        return Err(unsuitable(format!(
            "the container {container} is {} on {}",
            suites.first().map_or("of no suite", String::as_str),
            definition.arch
        )));
    }
    let indexes = catalog.indexes(fetcher, container, &definition).await?;
    let chosen = choose(&indexes, subject)?;
    let source = find_source(&indexes, subject, &chosen)?;
    let source_blobs = fetcher.get_all("fetching the source", &source.files).await;
    let source_blobs = source_blobs.map_err(|error| source_gone(subject, &chosen, &source, error))?;
    let dsc = source_blobs
        .into_iter()
        .next()
        .ok_or_else(|| unreadable(subject, "the source package", "it has no .dsc"))?;
    let dsc_claim = check_dsc(subject, &source, &dsc)?;
    let claims = claims(&indexes, &chosen, dsc_claim);
    Ok(LookUp {
        indexes,
        chosen,
        source,
        dsc,
        claims,
    })
}

/// The container that builds of a release start from.
fn container(subject: &DebSubject) -> String {
    format!("{}-build", subject.distro)
}

/// What is claimed of a subject, without planning anything.
pub(super) async fn look_up(
    fetcher: &Fetcher,
    catalog: &Catalog,
    subject: &DebSubject,
) -> Result<Found, PlanError> {
    let found = look_up_in(fetcher, catalog, &container(subject), subject).await?;
    let artifact = |binary: &Binary| Artifact {
        name: file_name(binary),
        purl: Some(purl(
            &binary.package,
            &binary.version,
            &binary.arch,
            &subject.distro,
        )),
        digests: Digests::known(binary.sha256),
        path: None,
    };
    Ok(Found {
        artifacts: found.chosen.outputs.iter().map(artifact).collect(),
        claims: found.claims,
        documents: Vec::new(),
        sources: found.source.files,
        published: None,
    })
}

/// Plans the rebuild of everything that the subject's source builds, or of the subject alone.
pub(super) async fn plan(planner: &Planner<'_>, subject: &DebSubject) -> Result<Plan, PlanError> {
    let mut recipe = planner.recipe.clone().map_or_else(Recipe::debian, Ok)?;
    if planner.recipe.is_none() {
        recipe.container = container(subject);
    }
    let bar = planner
        .workshop
        .progress
        .stage(format!("looking up {}", subject.name));
    let found = look_up_in(
        planner.workshop.fetcher,
        planner.workshop.catalog,
        &recipe.container,
        subject,
    )
    .await?;
    bar.finish_and_clear();
    let LookUp {
        indexes,
        chosen,
        source,
        dsc,
        claims,
    } = found;
    let mut expected: Vec<_> = chosen
        .outputs
        .iter()
        .map(|binary| expect(&indexes, subject, binary))
        .collect();
    let mut not_compared = recipe.unreleased.clone();
    if chosen.installer.is_empty() {
        // Not every archive has the installer's packages.
        not_compared.push("*.udeb".into());
    }
    if planner.only {
        let named = file_name(&chosen.named);
        // The build gives the other packages of the source all the same.
        not_compared.extend(chosen.outputs.iter().map(file_name).filter(|name| *name != named));
        not_compared.push("*.udeb".into());
        expected.retain(|expected| expected.file.name == named);
    }
    let released: Vec<_> = expected.iter().map(|expected| expected.file.clone()).collect();
    let released_blobs = planner
        .workshop
        .fetcher
        .get_all("fetching the released packages", &released)
        .await?;
    let artifacts = super::artifacts(&expected, &released_blobs)?;
    if !planner.only {
        for binary in &chosen.installer {
            expected.push(installer_package(planner.workshop.fetcher, &indexes, subject, binary).await);
        }
    }
    let (buildinfo, documents) = exact::find(planner, &source, &chosen, &subject.arch).await;
    let (claims, policy) = planner
        .judge(
            &Subject::Deb(subject.clone()).purl(),
            &artifacts,
            claims,
            &documents,
        )
        .await?;

    let (lock, root) = planner.container(&recipe.container).await?;
    let source_name = format!("{} {}", source.package, source.version);
    let dependencies = if let Some(info) = &buildinfo {
        exact::packages(planner, &recipe.container, &indexes, &lock, info).await?
    } else {
        let resolver = AptResolver {
            root: &root,
            indexes: &indexes,
            sandbox: planner.workshop.sandbox,
            fetcher: planner.workshop.fetcher,
            progress: planner.workshop.progress,
        };
        let binaries = resolver.build_dependencies(&source_name, &dsc).await?;
        let pinned = |binary: Binary| (indexes.material(&binary), binary);
        binaries.into_iter().map(pinned).collect()
    };
    let binnmu = binnmu_entry(subject, &chosen, &released_blobs)?;

    let mut inputs: Vec<PinnedInput> = source
        .files
        .iter()
        .map(|file| PinnedInput {
            role: Role::Source,
            purl: None,
            place: format!("source/{}", file.name),
            file: file.clone(),
        })
        .collect();
    inputs.extend(dependencies.iter().map(|(file, binary)| PinnedInput {
        role: Role::Dependency,
        purl: Some(purl(
            &binary.package,
            &binary.version,
            &binary.arch,
            &subject.distro,
        )),
        place: format!("dependencies/{}", file_name(binary)),
        file: file.clone(),
    }));

    let upstream = &source.version.upstream_version;
    let folder = format!("{}-{upstream}", source.package);
    let dsc_name = dsc_of(subject, &source)?.0.name.clone();
    let path = buildinfo.as_ref().and_then(|info| info.build_path.as_deref());
    let (build_path, folder) = match path.and_then(|path| path.trim_end_matches('/').rsplit_once('/')) {
        Some((above, folder)) if !above.is_empty() && !folder.is_empty() => {
            (above.to_owned(), folder.to_owned())
        }
        _ => (BUILD_PATH.to_owned(), folder),
    };
    let user = planner.hints.setting("user").unwrap_or("root");
    let values = [
        ("BUILD_PATH", build_path.as_str()),
        ("SOURCE_FOLDER", folder.as_str()),
        ("DSC", dsc_name.as_str()),
        ("BUILD_KIND", build_kind(&chosen)),
        ("BUILD_USER", user),
    ];
    let mut build = recipe.build.with(&values);
    if let Some(info) = &buildinfo {
        build.env.extend(exact::environment(info));
    }
    let options = build.env.entry("DEB_BUILD_OPTIONS".into()).or_default();
    if planner.hints.setting("tests") == Some("yes") {
        *options = options
            .split_whitespace()
            .filter(|word| *word != "nocheck")
            .collect::<Vec<_>>()
            .join(" ");
    } else if !options.split_whitespace().any(|word| word == "nocheck") {
        *options = if options.is_empty() {
            "nocheck".into()
        } else {
            format!("nocheck {options}")
        };
    }
    Ok(Plan {
        version: VERSION,
        subject: if chosen.named.package == subject.name {
            purl(
                &chosen.named.package,
                &chosen.named.version,
                &subject.arch,
                &subject.distro,
            )
        } else {
            purl(&source.package, &source.version, &subject.arch, &subject.distro)
        },
        ecosystem: Ecosystem::Debian,
        claims,
        policy,
        expected,
        not_compared,
        container: PinnedContainer::Packages {
            name: recipe.container.clone(),
            lock,
        },
        inputs,
        git: Vec::new(),
        assumptions: assumptions(
            planner,
            &format!("{build_path}/{folder}"),
            dependencies.len(),
            binnmu.as_deref(),
            &build.env,
            buildinfo.is_some(),
        ),
        files: binnmu
            .into_iter()
            .map(|text| InlineFile {
                place: "binnmu-changelog".into(),
                text,
            })
            .collect(),
        setup: recipe.setup.with(&[]),
        build,
        hostname: recipe.hostname.clone(),
        umask: 0o022,
        limits: Limits::default(),
    })
}

fn find_source(indexes: &Indexes, subject: &DebSubject, chosen: &Chosen) -> Result<Source, PlanError> {
    let (name, version) = (&chosen.named.source, &chosen.named.source_version);
    let source = indexes
        .sources(name)?
        .into_iter()
        .find(|source| source.version == *version);
    source.ok_or_else(|| PlanError::NotRebuildable {
        subject: Subject::Deb(subject.clone()).purl(),
        reason: format!("its source {name} {version} is in no suite"),
        help: "the archive dropped the source; the dated snapshot service has it".into(),
    })
}

/// Mirrors drop sources, those of security updates before others; an older version may still be whole.
fn source_gone(subject: &DebSubject, chosen: &Chosen, source: &Source, error: FetchError) -> PlanError {
    let others: Vec<_> = chosen
        .others
        .iter()
        .map(|version| format!("deb:{}={version}", subject.name))
        .collect();
    match error {
        FetchError::Unavailable { .. } if !others.is_empty() => PlanError::NotRebuildable {
            subject: format!("{} {}", subject.name, chosen.named.version),
            reason: format!(
                "the source {} {} is not to be had: {error}",
                source.package, source.version
            ),
            help: format!("the archive also lists {}", others.join(", ")),
        },
        other => other.into(),
    }
}

/// The .dsc of a source, and its other files.
fn dsc_of<'a>(
    subject: &DebSubject,
    source: &'a Source,
) -> Result<(&'a PinnedFile, &'a [PinnedFile]), PlanError> {
    let split = source.files.split_first();
    split.ok_or_else(|| unreadable(subject, "the source package", "it has no .dsc"))
}

/// The .dsc must list the very files that the signed index lists; its own signature is reported.
fn check_dsc(subject: &DebSubject, source: &Source, dsc: &Blob) -> Result<Claim, PlanError> {
    let (PinnedFile { name, .. }, others) = dsc_of(subject, source)?;
    let bytes = crate::bounded::read(&dsc.path, crate::bounded::DOCUMENT)
        .map_err(|error| unreadable(subject, name, &error.to_string()))?;
    let (text, issuers) =
        openpgp::read_unverified(name, &bytes).unwrap_or_else(|_| (bytes.clone(), Vec::new()));
    let paragraph = deb822::one_paragraph(name, &text).map_err(AptError::from)?;
    let listed = deb822::checksums(name, paragraph.get("Checksums-Sha256").unwrap_or_default())
        .map_err(AptError::from)?;
    for file in others {
        if !listed
            .iter()
            .any(|(other, sha256, size)| *other == file.name && *sha256 == file.sha256 && *size == file.size)
        {
            return Err(PlanError::Contradiction {
                subject: format!("{} {}", source.package, source.version),
                reason: format!("{name} and the signed Sources index disagree about {}", file.name),
            });
        }
    }
    let verified = DEVELOPER_KEYRINGS
        .iter()
        .filter(|path| Path::new(path).exists())
        .filter_map(|path| Keyring::read(Path::new(path)).ok())
        .find_map(|keyring| keyring.verify(name, &bytes).ok());
    let (by, standing, meaning) = match verified {
        Some(signed) => (
            Some(signed.signers.join(", ")),
            Standing::Verified,
            "a Debian developer signed this source; nothing about how the binary was built",
        ),
        None if issuers.is_empty() => (
            None,
            Standing::Absent,
            "the archive carries the source without its uploader's signature",
        ),
        None => (
            Some(issuers.join(", ")),
            Standing::Unchecked,
            "the uploader's key is in no keyring of this machine (Debian package debian-keyring has them); the archive's own signature covers the source",
        ),
    };
    Ok(Claim {
        question: Question::Provenance,
        claim: format!("{name} is the source of {} {}", source.package, source.version),
        by,
        standing,
        meaning: meaning.into(),
        document: Some(dsc.sha256),
    })
}

fn claims(indexes: &Indexes, chosen: &Chosen, dsc: Claim) -> Vec<Claim> {
    let release = indexes.release(chosen.named.release);
    let stale = release
        .valid_until
        .filter(|until| *until < jiff::Timestamp::now());
    let stale = stale
        .map(|until| format!("; the release file was valid until {until} and is stale"))
        .unwrap_or_default();
    vec![
        Claim {
            question: Question::Signature,
            claim: format!("the archive's suite {} of {} holds {}", release.suite, release.date, file_name(&chosen.named)),
            by: Some(release.signers.join(", ")),
            standing: Standing::Verified,
            meaning: format!(
                "the archive released these bytes, through InRelease, Packages and SHA-256; not that they come from the named source{stale}"
            ),
            document: Some(release.inrelease),
        },
        Claim {
            question: Question::Provenance,
            claim: format!("{} was built from the source {} {}", chosen.named.package, chosen.named.source, chosen.named.source_version),
            by: Some(release.signers.join(", ")),
            standing: Standing::Verified,
            meaning: "the signed index says so; nothing signed says with which tools, and the rebuild assumes today's".into(),
            document: Some(release.inrelease),
        },
        dsc,
    ]
}

/// The changelog entry of a binary-only rebuild, which no source package holds: it stands in the released
/// package, in `changelog.Debian.ARCH.gz`.
fn binnmu_entry(
    subject: &DebSubject,
    chosen: &Chosen,
    released: &[Blob],
) -> Result<Option<String>, PlanError> {
    let Some(suffix) = chosen.outputs.iter().find_map(suffix) else {
        return Ok(None);
    };
    for blob in released {
        let entry = compare::read_member(&blob.path, |path| {
            path.starts_with("data.tar/usr/share/doc/")
                && path.contains("/changelog.Debian.")
                && path.ends_with(&format!("{}.gz", subject.arch))
        });
        let Ok(Some(bytes)) = entry else { continue };
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(&bytes[..])
            .take(1 << 20)
            .read_to_string(&mut text)
            .map_err(|error| {
                unreadable(subject, "the changelog of the binary rebuild", &error.to_string())
            })?;
        // Only the first entry is the rebuild's own.
        let first = text.split_once("\n -- ").and_then(|(entry, rest)| {
            let (trailer, _) = rest.split_once('\n')?;
            Some(format!("{entry}\n -- {trailer}\n\n"))
        });
        return Ok(Some(first.unwrap_or_else(|| format!("{text}\n"))));
    }
    Err(PlanError::NotRebuildable {
        subject: Subject::Deb(subject.clone()).purl(),
        reason: format!(
            "it is the binary-only rebuild {suffix}, and no released package carries its changelog entry"
        ),
        help: "the entry stands in changelog.Debian.ARCH.gz, or in the .buildinfo".into(),
    })
}

fn expect(indexes: &Indexes, subject: &DebSubject, binary: &Binary) -> Expected {
    Expected {
        purl: purl(&binary.package, &binary.version, &binary.arch, &subject.distro),
        file: crate::artifact::PinnedFile {
            name: file_name(binary),
            ..indexes.material(binary)
        },
    }
}

/// The same for a package of the installer. Many mirrors do not carry these; their digests, from the signed index, are
/// compared all the same.
async fn installer_package(
    fetcher: &Fetcher,
    indexes: &Indexes,
    subject: &DebSubject,
    binary: &Binary,
) -> Expected {
    let mut expected = expect(indexes, subject, binary);
    let name = expected.file.name.trim_end_matches(".deb");
    expected.file.name = format!("{name}.udeb");
    if fetcher.get(&expected.file).await.is_err() {
        expected.file.urls.clear();
    }
    expected
}

/// `NAME_VERSION_ARCH.deb` as dpkg-deb names it: without the epoch, which the pool leaves out too.
fn file_name(binary: &Binary) -> String {
    let mut version = binary.version.clone();
    version.epoch = None;
    format!("{}_{version}_{}.deb", binary.package, binary.arch)
}

fn purl(package: &str, version: &Version, arch: &str, distro: &str) -> String {
    Subject::Deb(DebSubject {
        name: package.to_owned(),
        version: Some(version.to_string()),
        arch: arch.to_owned(),
        distro: distro.to_owned(),
    })
    .purl()
}

fn assumptions(
    planner: &Planner<'_>,
    path: &str,
    dependencies: usize,
    binnmu: Option<&str>,
    env: &BTreeMap<String, String>,
    recorded: bool,
) -> Vec<Assumption> {
    let by_record = || Origin::Declared("the .buildinfo".into());
    let mut all = vec![
        assume(
            "build path",
            path,
            if recorded {
                by_record()
            } else {
                Origin::Convention("Debian's builders".into())
            },
        ),
        assume(
            "DEB_BUILD_OPTIONS",
            env.get("DEB_BUILD_OPTIONS").cloned().unwrap_or_default(),
            Origin::Convention("tests do not change packages, as a rule; they are left out".into()),
        ),
        if recorded {
            assume(
                "build dependencies",
                format!(
                    "{dependencies} packages in the versions that were installed, besides those of the container"
                ),
                by_record(),
            )
        } else {
            assume(
                "build dependencies",
                format!("{dependencies} packages, in today's versions"),
                Origin::Inferred(
                    "Build-Depends of the .dsc, solved by apt against today's archive; no .buildinfo was to be had"
                        .into(),
                ),
            )
        },
        assume(
            "SOURCE_DATE_EPOCH",
            "date of the newest changelog entry",
            Origin::Declared("debian/changelog".into()),
        ),
    ];
    for (name, hint) in &planner.hints.settings {
        all.push(assume(name, hint.value.clone(), hint.origin.clone()));
    }
    if let Some(entry) = binnmu {
        let first = entry.lines().next().unwrap_or_default().to_owned();
        all.push(assume(
            "changelog entry of the binary rebuild",
            first,
            Origin::Inferred("the released package's own changelog".into()),
        ));
    }
    all
}

fn unreadable(subject: &DebSubject, document: &str, reason: &str) -> PlanError {
    PlanError::Document {
        subject: subject.name.clone(),
        document: document.to_owned(),
        reason: reason.to_owned(),
    }
}

//! The plan of a Debian build: the source package, the build dependencies, and the variables of the recipe.

use super::choose::build_kind;
use super::claims::dsc_of;
use super::dependencies::{self, DEPENDENCIES, Dependencies};
use super::registry::{self, Found};
use super::{Package, binnmu, exact, file_name, purl, purl_of};
use crate::apt::{Binary, Indexes, SourcePackage};
use crate::artifact::{Ecosystem, PinnedFile};
use crate::container::Root;
use crate::ecosystem::hints::Settings;
use crate::ecosystem::released::artifacts;
use crate::ecosystem::{PlanError, Planner};
use crate::evidence::assess::Artifact;
use crate::evidence::buildinfo::BuildInfo;
use crate::evidence::document::Document;
use crate::plan::{
    Assumption, Basis, Expected, InlineFile, Lock, Origin, Phase, PinnedContainer, PinnedInput, Plan, Recipe,
    Role, assume,
};
use crate::store::{Blob, Fetcher};
use crate::text::plural;

/// Where Debian's builders unpack sources since 2016 or so; see reproducible-builds.org.
const BUILD_PATH: &str = "/build/reproducible-path";
/// The ordinary user that builds if root cannot.
const ORDINARY_USER: &str = "builder";

/// Plans the rebuild of everything that the subject's source builds, or of the subject alone.
pub(super) async fn plan(planner: &Planner<'_>, subject: &Package) -> Result<Plan, PlanError> {
    let mut recipe = planner.recipe_or("debian")?;
    if planner.recipe.is_none() {
        recipe.container = subject.container();
    }
    let bar = planner
        .workshop
        .progress
        .stage(format!("looking up {}", subject.name));
    // A root that is made takes a while to be checked. One that is not is made once the policy has agreed.
    let container = async {
        if planner.is_made(&recipe.container) {
            Some(planner.container(&recipe.container).await)
        } else {
            None
        }
    };
    let (made, found) = futures_util::join!(
        container,
        registry::find(
            planner.workshop.fetcher,
            planner.workshop.catalog,
            &recipe.container,
            subject
        )
    );
    bar.finish_and_clear();
    let found = found?;
    let released = released(planner, &recipe, &found, subject).await?;
    let Released {
        expected,
        not_compared,
        blobs,
        buildinfo,
        documents,
        artifacts,
    } = released;
    let (claims, policy) = planner
        .judge(&subject.purl(), &artifacts, found.claims.clone(), &documents)
        .await?;

    let (lock, root) = match made {
        Some(made) => made?,
        None => planner.container(&recipe.container).await?,
    };
    let made = (&lock, &root);
    let dependencies = dependencies(
        planner,
        &recipe,
        subject,
        &found,
        made,
        &blobs,
        buildinfo.as_ref(),
    )
    .await?;
    let binnmu = binnmu::changelog_entry(subject, &found.chosen, &blobs)?;
    let place = Place::of(&found.source, buildinfo.as_ref());
    let build = build(planner, &recipe, subject, &found, &place, buildinfo.as_ref())?;
    let assumptions = assumptions(
        &planner.hints.settings,
        &place,
        dependencies.assumptions,
        binnmu.as_deref(),
        &build,
        buildinfo.is_some(),
    );
    let files = binnmu.into_iter().map(|text| InlineFile {
        place: "binnmu-changelog".into(),
        text,
    });
    Ok(Plan {
        not_compared,
        inputs: inputs(&found.source, &dependencies.packages, &subject.distro),
        files: files.collect(),
        build,
        assumptions,
        ..Plan::of(Basis {
            ecosystem: Ecosystem::Debian,
            subject: title(subject, &found),
            claims,
            policy,
            expected,
            recipe: &recipe,
            container: PinnedContainer::Packages {
                name: recipe.container.clone(),
                lock,
            },
        })
    })
}

/// Package URL of the named binary package or, if the subject is a source package, of that.
fn title(subject: &Package, found: &Found) -> String {
    let (named, source) = (&found.chosen.named, &found.source);
    let (package, version) = if named.package == subject.name {
        (&named.package, &named.version)
    } else {
        (&source.package, &source.version)
    };
    purl(package, version, &subject.arch, &subject.distro)
}

/// The released packages that are compared, and patterns of those that are not.
fn expected(only: bool, recipe: &Recipe, found: &Found, subject: &Package) -> (Vec<Expected>, Vec<String>) {
    let chosen = &found.chosen;
    let mut expected: Vec<_> = chosen
        .outputs
        .iter()
        .map(|binary| expect(&found.indexes, subject, binary))
        .collect();
    let mut not_compared = recipe.unreleased.clone();
    if chosen.installer.is_empty() {
        // Not every archive has the installer's packages.
        not_compared.push("*.udeb".into());
    }
    if only {
        let named = file_name(&chosen.named);
        // The build makes the other packages of the source all the same.
        not_compared.extend(chosen.outputs.iter().map(file_name).filter(|name| *name != named));
        not_compared.push("*.udeb".into());
        expected.retain(|expected| expected.file.name == named);
    }
    (expected, not_compared)
}

fn expect(indexes: &Indexes, subject: &Package, binary: &Binary) -> Expected {
    Expected {
        purl: purl_of(binary, &subject.distro),
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
    subject: &Package,
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

/// What was released, and what is said of it.
struct Released {
    expected: Vec<Expected>,
    not_compared: Vec<String>,
    /// The released packages, in the order of what is expected; without those of the installer.
    blobs: Vec<Blob>,
    buildinfo: Option<BuildInfo>,
    documents: Vec<Document>,
    artifacts: Vec<Artifact>,
}

/// Fetches what was released, and asks for its `.buildinfo`.
async fn released(
    planner: &Planner<'_>,
    recipe: &Recipe,
    found: &Found,
    subject: &Package,
) -> Result<Released, PlanError> {
    let fetcher = planner.workshop.fetcher;
    let (mut expected, not_compared) = expected(planner.only, recipe, found, subject);
    let files: Vec<_> = expected.iter().map(|expected| expected.file.clone()).collect();
    let installer = found.chosen.installer.iter().filter(|_| !planner.only);
    let installer = installer.map(|binary| installer_package(fetcher, &found.indexes, subject, binary));
    let (blobs, installer, (buildinfo, documents)) = futures_util::join!(
        fetcher.get_all("fetching the released packages", &files),
        futures_util::future::join_all(installer),
        exact::find(planner, &found.source, &found.chosen, &subject.arch)
    );
    let blobs = blobs?;
    let artifacts = artifacts(&expected, &blobs)?;
    expected.extend(installer);
    Ok(Released {
        expected,
        not_compared,
        blobs,
        buildinfo,
        documents,
        artifacts,
    })
}

/// The build dependencies: those that a `.buildinfo` records, or those that apt chooses.
async fn dependencies(
    planner: &Planner<'_>,
    recipe: &Recipe,
    subject: &Package,
    found: &Found,
    (lock, root): (&Lock, &Root),
    released: &[Blob],
    buildinfo: Option<&BuildInfo>,
) -> Result<Dependencies, PlanError> {
    let Some(info) = buildinfo else {
        return dependencies::choose(planner, &recipe.container, subject, found, (lock, root), released)
            .await;
    };
    let packages = exact::packages(planner, &recipe.container, &found.indexes, lock, info).await?;
    let value = format!(
        "{} in the versions that were installed, besides those of the container",
        plural(packages.len(), "package")
    );
    let origin = Origin::Declared("the .buildinfo".into());
    Ok(Dependencies {
        packages,
        assumptions: vec![assume(DEPENDENCIES, value, origin)],
    })
}

fn inputs(source: &SourcePackage, dependencies: &[(PinnedFile, Binary)], distro: &str) -> Vec<PinnedInput> {
    let source = source.files.iter().map(|file| PinnedInput {
        role: Role::Source,
        purl: None,
        place: format!("source/{}", file.name),
        file: file.clone(),
    });
    let dependencies = dependencies.iter().map(|(file, binary)| PinnedInput {
        role: Role::Dependency,
        purl: Some(purl_of(binary, distro)),
        place: format!("dependencies/{}", file_name(binary)),
        file: file.clone(),
    });
    source.chain(dependencies).collect()
}

/// Where the source is unpacked.
struct Place {
    above: String,
    folder: String,
}

impl Place {
    /// Where the recorded build had it, or where Debian's builders have it.
    fn of(source: &SourcePackage, buildinfo: Option<&BuildInfo>) -> Self {
        let path = buildinfo.and_then(|info| info.build_path.as_deref());
        match path.and_then(|path| path.trim_end_matches('/').rsplit_once('/')) {
            Some((above, folder)) if !above.is_empty() && !folder.is_empty() => Self {
                above: above.to_owned(),
                folder: folder.to_owned(),
            },
            _ => Self {
                above: BUILD_PATH.to_owned(),
                folder: format!("{}-{}", source.package, source.version.upstream_version),
            },
        }
    }
}

/// The recipe's build with the subject's values, in the environment that was recorded.
fn build(
    planner: &Planner<'_>,
    recipe: &Recipe,
    subject: &Package,
    found: &Found,
    place: &Place,
    buildinfo: Option<&BuildInfo>,
) -> Result<Phase, PlanError> {
    let settings = &planner.hints.settings;
    let (dsc, _) = dsc_of(subject, &found.source)?;
    let mut build = recipe.build.with(&[
        ("BUILD_PATH", place.above.as_str()),
        ("SOURCE_FOLDER", place.folder.as_str()),
        ("DSC", dsc.name.as_str()),
        ("BUILD_KIND", build_kind(&found.chosen)),
        (
            "BUILD_USER",
            if settings.ordinary_user.is_some() {
                ORDINARY_USER
            } else {
                "root"
            },
        ),
    ]);
    if let Some(info) = buildinfo {
        build.env.extend(exact::environment(info));
    }
    let options = build.env.entry(OPTIONS.into()).or_default();
    *options = build_options(options, settings.tests.is_some());
    Ok(build)
}

/// The variable that says how to build.
pub(super) const OPTIONS: &str = "DEB_BUILD_OPTIONS";

/// The options with or without `nocheck`, which switches tests off.
fn build_options(options: &str, tests: bool) -> String {
    let has_nocheck = options.split_whitespace().any(|word| word == "nocheck");
    if tests {
        let others = options.split_whitespace().filter(|word| *word != "nocheck");
        others.collect::<Vec<_>>().join(" ")
    } else if has_nocheck {
        options.to_owned()
    } else {
        format!("nocheck {options}").trim_end().to_owned()
    }
}

fn assumptions(
    settings: &Settings,
    place: &Place,
    dependencies: Vec<Assumption>,
    binnmu: Option<&str>,
    build: &Phase,
    recorded: bool,
) -> Vec<Assumption> {
    let by_record = || Origin::Declared("the .buildinfo".into());
    // Without the word, tests ran where the recorded build took place.
    let tests_ran = settings.tests.is_some();
    let mut all = vec![
        assume(
            "build path",
            format!("{}/{}", place.above, place.folder),
            if recorded {
                by_record()
            } else {
                Origin::Convention("Debian's builders".into())
            },
        ),
        assume(
            OPTIONS,
            build.env.get(OPTIONS).cloned().unwrap_or_default(),
            if recorded && tests_ran {
                by_record()
            } else {
                Origin::Convention("tests rarely affect the package, so they are skipped".into())
            },
        ),
    ];
    all.extend(dependencies);
    all.push(assume(
        "SOURCE_DATE_EPOCH",
        "date of the newest changelog entry",
        Origin::Declared("debian/changelog".into()),
    ));
    for (what, value, origin) in [
        ("tests", "yes", &settings.tests),
        ("user", ORDINARY_USER, &settings.ordinary_user),
    ] {
        all.extend(origin.iter().map(|origin| assume(what, value, origin.clone())));
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

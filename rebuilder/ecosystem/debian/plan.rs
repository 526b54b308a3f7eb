//! The plan for a Debian build: the source package, the build dependencies, and the variables of the recipe.

use super::choose::build_kind;
use super::claims::dsc_of;
use super::dependencies::{self, DEPENDENCIES, Dependencies};
use super::registry::{self, Found};
use super::{Package, binnmu, exact, file_name, purl, purl_of};
use crate::apt::{Binary, SourcePackage};
use crate::artifact::{Ecosystem, PinnedFile};
use crate::container::{ContainerError, Root, Workshop};
use crate::ecosystem::hints::Settings;
use crate::ecosystem::{PlanError, Planner};
use crate::evidence::buildinfo::BuildInfo;
use crate::plan::{
    Assumption, Basis, InlineFile, Lock, Origin, Phase, PinnedContainer, PinnedInput, Plan, Recipe, Role,
    assume, places,
};
use crate::store::Blob;
use crate::text::plural;

/// Debian's builders have unpacked sources here since about 2016; see reproducible-builds.org.
const BUILD_PATH: &str = "/build/reproducible-path";
/// The ordinary user that builds, if root cannot.
const ORDINARY_USER: &str = "builder";

/// Plans the rebuild of everything built from the subject's source, or of the subject alone.
pub(super) async fn plan(planner: &Planner<'_>, subject: &Package) -> Result<Plan, PlanError> {
    let recipe = recipe(planner, subject)?;
    let (made, found) = look_up(planner, &recipe, subject).await;
    let found = found?;
    let draft = Draft {
        planner,
        subject,
        recipe: &recipe,
        found: &found,
    };
    let released = draft.released().await?;
    let buildinfo = released.buildinfo.as_ref();
    let recorded = buildinfo.map(|info| exact::origin(info, &released.artifacts));
    let (about, claims) = (subject.purl(), found.claims.clone());
    let judged = planner.judge(&about, &released.artifacts, claims, &released.documents);
    let (claims, policy) = judged.await?;

    let (lock, root) = match made {
        Some(made) => made?,
        None => planner.container(&recipe.container).await?,
    };
    let dependencies = draft
        .dependencies((&lock, &root), &released.blobs, buildinfo.zip(recorded.as_ref()))
        .await?;
    let binnmu = binnmu::changelog_entry(subject, &found.chosen, &released.blobs)?;
    let place = Place::of(&found.source, buildinfo);
    let build = draft.build(&place, buildinfo)?;
    let mut assumptions = assumptions(
        &planner.hints.settings,
        &place,
        dependencies.assumptions,
        binnmu.as_deref(),
        &build,
        recorded.as_ref(),
    );
    assumptions.extend(buildinfo.and_then(exact::left_out));
    let files = binnmu.into_iter().map(|text| InlineFile {
        place: places::BINNMU_CHANGELOG.into(),
        text,
    });
    Ok(Plan {
        not_compared: released.not_compared,
        inputs: inputs(&found.source, &dependencies.packages, &subject.distro),
        files: files.collect(),
        build,
        assumptions,
        ..Plan::of(Basis {
            ecosystem: Ecosystem::Debian,
            subject: title(subject, &found),
            claims,
            policy,
            expected: released.expected,
            recipe: &recipe,
            container: PinnedContainer::Packages {
                name: recipe.container.clone(),
                lock,
            },
        })
    })
}

/// The recipe, with the container of the subject's release unless the user names one.
fn recipe(planner: &Planner<'_>, subject: &Package) -> Result<Recipe, PlanError> {
    let mut recipe = planner.recipe_or("debian")?;
    if planner.recipe.is_none() {
        recipe.container = subject.container();
    }
    Ok(recipe)
}

/// The state of planning: the recipe, and what the archive has.
pub(super) struct Draft<'a> {
    pub planner: &'a Planner<'a>,
    pub subject: &'a Package,
    pub recipe: &'a Recipe,
    pub found: &'a Found,
}

/// A container's lock and its root, or why there is none.
type Made = Result<(Lock, Root), ContainerError>;

/// Finds the subject in the archive. Checking an existing root takes a while, so it happens at the same time; a
/// missing root is built only when the policy has agreed.
async fn look_up(
    planner: &Planner<'_>,
    recipe: &Recipe,
    subject: &Package,
) -> (Option<Made>, Result<Found, PlanError>) {
    let Workshop {
        fetcher,
        catalog,
        progress,
        ..
    } = planner.workshop;
    let bar = progress.stage(format!("looking up {}", subject.name));
    let container = async {
        if planner.is_made(&recipe.container) {
            Some(planner.container(&recipe.container).await)
        } else {
            None
        }
    };
    let found = registry::find(fetcher, catalog, &recipe.container, subject);
    let both = futures_util::join!(container, found);
    bar.finish_and_clear();
    both
}

/// Package URL of the named binary package or, if the subject is a source package, of the source.
fn title(subject: &Package, found: &Found) -> String {
    let (named, source) = (&found.chosen.named, &found.source);
    let (package, version) = if named.package == subject.name {
        (&named.package, &named.version)
    } else {
        (&source.package, &source.version)
    };
    purl(package, version, &subject.arch, &subject.distro)
}

impl Draft<'_> {
    /// The build dependencies, as a `.buildinfo` records them or as apt chooses them.
    async fn dependencies(
        &self,
        (lock, root): (&Lock, &Root),
        released: &[Blob],
        recorded: Option<(&BuildInfo, &Origin)>,
    ) -> Result<Dependencies, PlanError> {
        let Draft {
            planner,
            subject,
            recipe,
            found,
        } = *self;
        let Some((info, origin)) = recorded else {
            return dependencies::choose(planner, &recipe.container, subject, found, (lock, root), released)
                .await;
        };
        let packages = exact::packages(planner, &recipe.container, &found.indexes, lock, info).await?;
        let value = format!(
            "{} in the versions that were installed, besides those of the container",
            plural(packages.len(), "package")
        );
        Ok(Dependencies {
            packages,
            assumptions: vec![assume(DEPENDENCIES, value, origin.clone())],
        })
    }

    /// The recipe's build with the subject's values, in the recorded environment.
    fn build(&self, place: &Place, buildinfo: Option<&BuildInfo>) -> Result<Phase, PlanError> {
        let settings = &self.planner.hints.settings;
        let (dsc, _) = dsc_of(self.subject, &self.found.source)?;
        let mut build = self.recipe.build.with(&[
            ("BUILD_PATH", place.above.as_str()),
            ("SOURCE_FOLDER", place.folder.as_str()),
            ("DSC", dsc.name.as_str()),
            ("BUILD_KIND", build_kind(&self.found.chosen)),
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

/// The folder that the source is unpacked into.
struct Place {
    above: String,
    folder: String,
}

impl Place {
    /// The folder of the recorded build, or that of Debian's builders.
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

/// The variable with the build options.
pub(super) const OPTIONS: &str = "DEB_BUILD_OPTIONS";

/// The options with or without `nocheck`, which disables tests.
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
    recorded: Option<&Origin>,
) -> Vec<Assumption> {
    // The recorded build had no `nocheck`, so its tests ran.
    let tests_ran = settings.tests.is_some();
    let mut all = vec![
        assume(
            "build path",
            format!("{}/{}", place.above, place.folder),
            recorded.map_or_else(|| Origin::Convention("Debian's builders".into()), Origin::clone),
        ),
        assume(
            OPTIONS,
            build.env.get(OPTIONS).cloned().unwrap_or_default(),
            recorded.filter(|_| tests_ran).map_or_else(
                || Origin::Convention("tests rarely affect the package, so they are skipped".into()),
                Origin::clone,
            ),
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
        all.push(assume(
            "changelog entry of the binary rebuild",
            entry.trim(),
            Origin::Inferred("the released package's own changelog".into()),
        ));
    }
    all
}

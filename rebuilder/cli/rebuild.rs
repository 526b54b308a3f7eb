//! `rebuilder rebuild` and `rebuilder plan`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::compare::NormaliseArgs;
use super::failure::{Code, Failure};
use super::{BackendChoice, Context, config_folder, exit_code, output};
use crate::artifact::git_source;
use crate::artifact::git_source::GitSource;
use crate::artifact::{Ecosystem, Subject};
use crate::attest::{KeyError, Reference};
use crate::cli::options::evidence;
use crate::cli::options::evidence::EvidenceArgs;
use crate::compare;
use crate::credentials::Searched;
use crate::deadline::Deadline;
use crate::ecosystem::hints::{Hints, SourceHint};
use crate::ecosystem::{Planner, oss_rebuild, provenance};
use crate::evidence::assess::Artifact;
use crate::execute::{CheckedPlan, Executor};
use crate::inspect::InspectionRequest;
use crate::plan::{Origin, PinnedContainer, Plan, Recipe};
use crate::rebuild::Rebuilder;
use crate::rebuild::search;
use crate::report;
use crate::run::{Cost, Evidence, Record, RunFolder, Verdict};
use crate::sandbox::embedded::Embedded;
use crate::store::{PendingRun, write_atomically};
use crate::text::{self, plain};

/// What to rebuild.
#[derive(Args)]
pub(crate) struct Target {
    /// Package URL, deb:NAME[=VERSION], pypi:NAME[==VERSION], npm:NAME[@VERSION], crate:NAME[@VERSION], or a released file
    subject: Option<String>,
    /// Package URL of SUBJECT, if SUBJECT is a file
    #[arg(long, value_name = "PURL")]
    purl: Option<String>,
    /// Compare only the named artifact, not everything built from its source
    #[arg(long)]
    only: bool,
    /// Recipe to use instead of the built-in one: a file, or c-make, go, npm-scripts, python-wheel or rust-cargo
    #[arg(long, value_name = "FILE|NAME", help_heading = "Plan")]
    recipe: Option<PathBuf>,
    /// Version of a build tool (npm packages: node, npm; crates: cargo; wheels: projects of PyPI, such as
    /// setuptools=58.0 or "setuptools=<58"), if you know better than the evidence; may be repeated
    #[arg(long, value_name = "NAME=VERSION", value_parser = tool, help_heading = "Plan")]
    tool: Vec<(String, String)>,
    /// Build from this commit instead of the released source archive [default: the commit that the
    /// package's own evidence names]
    #[arg(long, value_name = "URL@COMMIT[:FOLDER]", value_parser = source, help_heading = "Plan")]
    source: Option<SourceHint>,
    /// Take source and versions from a build definition of OSS Rebuild (build.yaml)
    #[arg(long, value_name = "FILE", help_heading = "Plan")]
    oss_rebuild: Option<PathBuf>,
    #[command(flatten)]
    evidence: EvidenceArgs,
}

fn source(text: &str) -> Result<SourceHint, String> {
    let (address, rest) = text
        .rsplit_once('@')
        .ok_or("write it as https://HOST/PATH@COMMIT")?;
    let (commit, folder) = match rest.split_once(':') {
        Some((commit, folder)) => {
            let inside = git_source::folder(folder);
            let inside = inside.ok_or_else(|| format!("{folder:?} is not a folder of a repository"))?;
            (commit, Some(inside.to_owned()))
        }
        None => (rest, None),
    };
    let git = GitSource::new(address, None, Some(commit)).map_err(|error| error.to_string())?;
    Ok(SourceHint {
        git: Some(git),
        folder,
        origin: named_by_the_user(),
    })
}

fn named_by_the_user() -> Origin {
    Origin::Convention("named by the user who asked for the rebuild".into())
}

fn tool(text: &str) -> Result<(String, String), String> {
    let (name, version) = text.split_once('=').ok_or("write it as NAME=VERSION")?;
    Ok((name.to_owned(), version.to_owned()))
}

#[derive(Args)]
pub(crate) struct PlanArgs {
    /// File to write the plan to [default: stdout]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Fetch everything that the plan names into the store, so that it can be replayed offline
    #[arg(long)]
    fetch: bool,
    #[command(flatten)]
    target: Target,
}

/// How a finished run is signed.
#[derive(Args)]
#[command(next_help_heading = "Signing")]
pub(super) struct SigningArgs {
    /// Signing key: a file, pkcs11:URI, command:PROGRAM, or sigstore [default: $XDG_CONFIG_HOME/rebuilder/key.pem, if it
    /// exists]
    #[arg(long, value_name = "KEY", env = "REBUILDER_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Let the service that listens on SOCKET check and sign the run
    #[arg(
        long,
        value_name = "SOCKET",
        env = "REBUILDER_SIGNER",
        hide_env_values = true,
        conflicts_with = "key"
    )]
    signer: Option<PathBuf>,
    /// builder.id in the attestations [default: urn:rebuilder:KEY-FINGERPRINT]
    #[arg(
        long,
        value_name = "URI",
        env = "REBUILDER_BUILDER_ID",
        hide_env_values = true
    )]
    builder_id: Option<String>,
}

impl SigningArgs {
    /// Makes sure that a key that is named is there: found out now rather than after an hour of building.
    pub(super) fn signer(self) -> Result<Signer, Failure> {
        let by = match self.signer {
            Some(socket) if socket.exists() => Some(["--signer".into(), socket.into_os_string()]),
            Some(path) => {
                let source = std::io::ErrorKind::NotFound.into();
                return Err(crate::signer::SignerError::Socket { path, source }.into());
            }
            None => signing_key(self.key)?.map(|key| ["--key".into(), key.into()]),
        };
        Ok(Signer {
            by,
            builder_id: self.builder_id,
        })
    }
}

/// Signs runs, where there is something to sign with.
pub(super) struct Signer {
    /// The option that names it to `rebuilder attest`.
    by: Option<[std::ffi::OsString; 2]>,
    builder_id: Option<String>,
}

impl Signer {
    /// Signs what is not inconclusive.
    pub(super) fn sign(&self, run: &RunFolder, record: &Record) -> Result<Signature, Failure> {
        match (&record.verdict, &self.by) {
            (Verdict::Inconclusive { .. }, _) => {
                Ok(Signature::No("an inconclusive run proves nothing".into()))
            }
            (_, None) => Ok(Signature::No(
                "no signing key found; create one with \"rebuilder key generate\"".into(),
            )),
            (_, Some(by)) => sign(run, by, self.builder_id.as_deref()),
        }
    }
}

/// What came of signing.
pub(super) enum Signature {
    /// The bundle.
    Bundle(PathBuf),
    /// The signer holds the run, and waits for other workers.
    Waits(String),
    /// Nothing is signed, and why.
    No(String),
}

/// How many plans are tried for one subject.
#[derive(Args)]
#[command(next_help_heading = "Search")]
pub(super) struct AttemptArgs {
    /// Maximum number of plans to try; the differences decide which assumption changes next
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=100))]
    attempts: u16,
}

impl AttemptArgs {
    pub(super) fn limit(&self) -> usize {
        usize::from(self.attempts)
    }
}

#[derive(Args)]
pub(crate) struct RebuildArgs {
    /// Replay a saved plan instead of making one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["subject", "purl", "only", "recipe", "provenance", "signature", "policy", "tool", "source", "oss_rebuild"])]
    plan: Option<PathBuf>,
    #[command(flatten)]
    attempts: AttemptArgs,
    /// Sandbox backend
    #[arg(long, value_enum, default_value_t = BackendChoice::Auto, help_heading = "Sandbox")]
    backend: BackendChoice,
    /// Folder for plan, log, outputs, report and attestation [default: a new one in the store's runs/]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    #[command(flatten)]
    signing: SigningArgs,
    #[command(flatten)]
    normalise: NormaliseArgs,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn plan(context: &Context, args: PlanArgs) -> Result<ExitCode, Failure> {
    let embedded = Embedded::new(&context.store)?;
    let plan = make_plan(context, &embedded, &args.target, &args.target.evidence.open()?).await?;
    let mut plan = CheckedPlan::check(plan)?;
    if args.fetch {
        context
            .fetcher
            .get_all("fetching what the plan names", &plan.materials())
            .await?;
        if let PinnedContainer::Image { image } = &plan.container {
            context.fetcher.image(image).await?;
        }
        let executor = Executor {
            workshop: context.workshop(&embedded),
            backend: &embedded,
        };
        plan = executor.pinned(plan).await?;
    }
    let plan = plan.into_inner();
    match args.out {
        Some(path) => {
            let text = text::json_pretty(&plan) + "\n";
            write_atomically(&path, text.as_bytes())?;
            if context.json {
                output::print_json(&json!({"plan": path, "digest": plan.digest(), "subject": plan.subject}))?;
            } else {
                let mut screen = output::screen();
                screen.say(format_args!(
                    "{}  sha256:{}  {}",
                    path.display(),
                    plan.digest(),
                    plan.subject
                ));
                output::print(&screen)?;
            }
        }
        None => output::print_json_pretty(&plan)?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn rebuild(context: &Context, args: RebuildArgs) -> Result<ExitCode, Failure> {
    let signer = args.signing.signer()?;
    let folder = pending(context, args.out.as_deref())?;
    let embedded = Embedded::new(&context.store)?;
    let backend = args.backend.open(context, &embedded).await?;
    let evidence = if args.plan.is_some() {
        Evidence::TakenFromPlan
    } else {
        Evidence::Verified
    };
    let rebuilder = Rebuilder {
        executor: Executor {
            workshop: context.workshop(&embedded),
            backend: backend.as_ref(),
        },
        evidence,
        compare: compare::Options {
            normalise: args.normalise.normalise,
            ..compare::Options::default()
        },
        searched: Searched::default(),
    };
    let case = args.target.evidence.open()?;
    let (plan, record) = match (args.plan, args.target.registry_subject()?) {
        (Some(path), _) => {
            let plan = Plan::read(&path)?;
            let record = rebuilder
                .rebuild(plan.clone(), &RunFolder::new(folder.path()))
                .await?;
            (plan, record)
        }
        (None, Some(subject)) => {
            let mut planner = args.target.planner(context, &embedded, &case)?;
            let limit = args.attempts.limit();
            search::search(&mut planner, &subject, &rebuilder, limit, folder.path()).await?
        }
        (None, None) => {
            let plan = make_plan(context, &embedded, &args.target, &case).await?;
            let record = rebuilder
                .rebuild(plan.clone(), &RunFolder::new(folder.path()))
                .await?;
            (plan, record)
        }
    };
    args.target.evidence.keep(&RunFolder::new(folder.path()))?;
    let place = args.out.unwrap_or_else(|| context.store.run_of(&plan.title()));
    write_page(&RunFolder::new(folder.path()), &plan, &record)?;
    let run = folder.keep(&place)?;
    let signed = signer.sign(&run, &record)?;
    show(context, &plan, &record, &run, &signed)?;
    Ok(exit_code(&record.verdict, args.normalise.allow_equivalent))
}

impl Target {
    /// The subject, where it is a name in a registry and no file.
    fn registry_subject(&self) -> Result<Option<Subject>, Failure> {
        match &self.subject {
            Some(text) if self.purl.is_none() && !Path::new(text).is_file() => Ok(Some(text.parse()?)),
            _ => Ok(None),
        }
    }

    fn planner<'a>(
        &self,
        context: &'a Context,
        embedded: &'a Embedded,
        case: &'a InspectionRequest,
    ) -> Result<Planner<'a>, Failure> {
        let mut hints = match &self.oss_rebuild {
            Some(path) => oss_rebuild::read(path)?,
            None => Hints::default(),
        };
        if let Some(git) = self.source.as_ref().and_then(|source| source.git.as_ref()) {
            context.fetcher.choose(&git.repository);
        }
        // What the user says counts more than what a definition does.
        hints.source = self.source.clone().or(hints.source);
        for (name, version) in &self.tool {
            hints = hints.with_tool(name, version, named_by_the_user());
        }
        Ok(Planner {
            workshop: context.workshop(embedded),
            recipe: self.recipe.as_deref().map(Recipe::read).transpose()?,
            only: self.only,
            case,
            released: Vec::new(),
            hints,
        })
    }
}

async fn make_plan(
    context: &Context,
    embedded: &Embedded,
    target: &Target,
    case: &InspectionRequest,
) -> Result<Plan, Failure> {
    let mut planner = target.planner(context, embedded, case)?;
    if let Some(subject) = target.registry_subject()? {
        return Ok(planner.plan(&subject).await?);
    }
    let Some(text) = &target.subject else {
        // A provenance alone names by digest what came out.
        let statements = case.documents.iter().filter_map(evidence::statement);
        let named = statements.flat_map(|statement| provenance::declared_artifacts(&statement.subject));
        planner.released = named.collect();
        if planner.released.is_empty() {
            return Err(Failure::usage(
                "no subject: name a package or a file, or give --provenance or --plan FILE".into(),
            ));
        }
        return Ok(planner.plan_from_provenance().await?);
    };
    let path = Path::new(text);
    let artifact = evidence::local(path, target.purl.as_deref(), &case.documents, &case.everyone())?;
    let subject = artifact.purl.as_deref().map(str::parse::<Subject>).transpose();
    let subject = match subject {
        // What the user names must be understood; what a statement names may be of any kind.
        Err(error) if target.purl.is_some() => return Err(error.into()),
        other => other.ok().flatten(),
    };
    match subject {
        Some(subject) if subject.ecosystem == Ecosystem::Npm => {
            planner.released = vec![artifact];
            Ok(planner.plan(&subject).await?)
        }
        Some(subject) => {
            planner.only = true;
            let plan = planner.plan(&subject).await?;
            check_local(&artifact, &plan)?;
            Ok(plan)
        }
        None => {
            planner.released = vec![artifact];
            Ok(planner.plan_from_provenance().await?)
        }
    }
}

/// A local file must be one of the released ones before anything is built for it.
fn check_local(artifact: &Artifact, plan: &Plan) -> Result<(), Failure> {
    let found = artifact.digests.sha256;
    if plan.expected.iter().any(|expected| expected.file.sha256 == found) {
        return Ok(());
    }
    let expected: Vec<_> = plan
        .expected
        .iter()
        .map(|expected| format!("{} sha256:{}", expected.file.name, expected.file.sha256))
        .collect();
    Err(Failure::refused(
        format!(
            "{} (sha256:{found}) is not what was released as {}",
            artifact.path.as_deref().unwrap_or(Path::new("")).display(),
            plan.subject
        ),
        format!("the signed index has {}", expected.join(", ")),
    ))
}

/// The key to sign with: the named one, or the default one where there is one.
fn signing_key(named: Option<String>) -> Result<Option<String>, Failure> {
    match named {
        None => {
            let default = config_folder()?.join("key.pem");
            Ok(default.exists().then(|| default.display().to_string()))
        }
        Some(text) => match text.parse()? {
            Reference::File(path) if !path.exists() => Err(KeyError::Missing { path }.into()),
            _ => Ok(Some(text)),
        },
    }
}

/// Signs in a process of its own, which reads the run again and checks it; this one never holds the key.
fn sign(
    run: &RunFolder,
    by: &[std::ffi::OsString; 2],
    builder_id: Option<&str>,
) -> Result<Signature, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::internal(error.to_string()))?;
    let mut command = std::process::Command::new(program);
    command.arg("attest").arg(run.path()).args(by).arg("--quiet");
    if let Some(id) = builder_id {
        command.args(["--builder-id", id]);
    }
    let output = to_its_end(&mut command)
        .map_err(|error| Failure::internal(format!("the signer does not start, or was ended: {error}")))?;
    if output.status.success() {
        return Ok(Signature::Bundle(run.bundle()));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim().replace("error: ", "");
    if output.status.code() == Some(i32::from(Code::Inconclusive as u8)) {
        return Ok(Signature::Waits(text));
    }
    Err(Failure::usage(format!(
        "the run ended, and signing it failed: {text}"
    )))
}

/// Runs a program, which says little, and ends it if this one is to end.
fn to_its_end(command: &mut std::process::Command) -> std::io::Result<std::process::Output> {
    use std::process::Stdio;
    let deadline = Deadline::default();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    while child.try_wait()?.is_none() {
        if let Err(over) = deadline.check() {
            child.kill()?;
            child.wait()?;
            return Err(over.into());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.wait_with_output()
}

fn show(
    context: &Context,
    plan: &Plan,
    record: &Record,
    run: &RunFolder,
    signed: &Signature,
) -> Result<(), Failure> {
    let cost = Cost::of(run, plan, record);
    if context.json {
        let mut document = serde_json::to_value(record).unwrap_or_default();
        document["run"] = json!(run.path());
        document["cost"] = json!(cost);
        document["attestation"] = match signed {
            Signature::Bundle(path) => json!(path),
            Signature::Waits(_) | Signature::No(_) => serde_json::Value::Null,
        };
        document["claims"] = json!(plan.claims);
        return output::print_json(&document);
    }
    let mut screen = report::terminal(plan, record, output::colour());
    screen.say(format_args!("run: {}", run.path().display()));
    match signed {
        Signature::Bundle(path) => screen.say(format_args!("signed: {}", path.display())),
        Signature::Waits(why) | Signature::No(why) => screen.paragraph(&plain("not signed:"), why),
    }
    screen.say(format_args!("cost: {}", cost.sentence()));
    output::print(&screen)
}

/// Writes the page for people beside the record that it shows.
pub(super) fn write_page(run: &RunFolder, plan: &Plan, record: &Record) -> Result<(), Failure> {
    let page = report::html(plan, record)?;
    Ok(write_atomically(&run.report(), page.as_bytes())?)
}

/// The folder of a run, before it has its name: beside the place that the user wants, or among the store's.
fn pending(context: &Context, wanted: Option<&Path>) -> Result<PendingRun, Failure> {
    let runs = context.store.runs();
    let Some(path) = wanted else {
        return Ok(PendingRun::new(&context.store)?);
    };
    if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::usage(format!(
            "{} exists and is not empty",
            path.display()
        )));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok(PendingRun::remembered(parent.unwrap_or(Path::new(".")), &runs)?)
}

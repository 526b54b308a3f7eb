//! `rebuilder rebuild`: one subject, from its name to a signed verdict.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use serde_json::json;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::failure::Failure;
use super::options::normalise::NormaliseArgs;
use super::options::sandbox::BackendChoice;
use super::options::search::AttemptArgs;
use super::options::signing::{SigningArgs, SigningChoice};
use super::options::target::Target;
use super::plan::make_plan;
use super::{Context, child, exit_code, output};
use crate::artifact::serialise;
use crate::attest::handover::{Handover, waiting};
use crate::compare;
use crate::credentials::Searched;
use crate::execute::Executor;
use crate::plan::Plan;
use crate::rebuild::{self, RebuildError, Rebuilder, search};
use crate::report;
use crate::run::{Cost, Evidence, Record, RunFolder, Verdict};
use crate::sandbox::embedded::Embedded;
use crate::store::{PendingRun, write_atomically};
use crate::telemetry::{self, TraceParent};
use crate::text::plain;

/// The result of signing.
pub(super) enum Signature {
    /// Signed; the bundle is here.
    Bundle(PathBuf),
    /// Not yet: the signer waits for other workers.
    Waits(String),
    /// Not signed, and why.
    No(String),
}

#[derive(Args)]
pub(crate) struct RebuildArgs {
    /// Replay a saved plan instead of making one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["subject", "purl", "only", "recipe", "provenance", "signature", "policy", "tool", "source", "oss_rebuild"])]
    plan: Option<PathBuf>,
    // First of those that have headings: a heading holds until the next one.
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    attempts: AttemptArgs,
    /// Sandbox backend
    #[arg(long, value_enum, default_value_t = BackendChoice::Auto, help_heading = "Sandbox")]
    backend: BackendChoice,
    #[command(flatten)]
    signing: SigningArgs,
    #[command(flatten)]
    normalise: NormaliseArgs,
    /// Folder for the plan, log, outputs, report and attestation [default: a new one in the store's runs/]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Exit when standard input is closed, which happens when the parent process exits
    #[arg(long, hide = true)]
    tied: bool,
}

pub(crate) async fn rebuild(context: &Context, args: RebuildArgs) -> Result<ExitCode, Failure> {
    // A worker says which attempt it is. No build fails for want of a collector.
    let parent = std::env::var("TRACEPARENT").ok();
    let parent = parent.as_deref().and_then(TraceParent::parse);
    let _telemetry = parent.and_then(|_| telemetry::start("rebuilder-rebuild", None).ok());
    let span = tracing::info_span!("rebuild", verdict = Empty);
    telemetry::adopt(&span, parent);
    work(context, args).instrument(span).await
}

async fn work(context: &Context, mut args: RebuildArgs) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    if args.tied {
        child::end_with_stdin();
    }
    let signer = args.signing.choose()?;
    let folder = pending(context, args.out.as_deref())?;
    let embedded = Embedded::new(&context.store)?;
    let backend = args.backend.open(context, &embedded).await?;
    let is_given = args.plan.is_some();
    let rebuilder = Rebuilder {
        executor: Executor {
            workshop: context.workshop(&embedded),
            backend: backend.as_ref(),
        },
        evidence: if is_given {
            Evidence::TakenFromPlan
        } else {
            Evidence::Verified
        },
        compare: compare::Options {
            normalise: args.normalise.normalise,
            ..compare::Options::default()
        },
        searched: Searched::default(),
    };
    args.target.evidence.fetch(&context.fetcher).await?;
    let case = args.target.evidence.open()?;
    let subject = if is_given {
        None
    } else {
        args.target.listed(context, &case).await?
    };
    let pending = RunFolder::new(folder.path());
    let (plan, mut record) = if let Some(subject) = subject {
        let mut planner = args.target.planner(context, &embedded, &case)?;
        let limit = args.attempts.limit();
        search::search(&mut planner, &subject, &rebuilder, limit, folder.path())
            .await
            .map_err(Failure::of_attempt)?
    } else {
        let plan = match &args.plan {
            Some(path) => Plan::read(path)?,
            None => make_plan(context, &embedded, &args.target, &case).await?,
        };
        rebuilder.rebuild(plan, &pending).await.map_err(broke)?
    };
    rebuild::finish(&pending, &mut record, begun)?;
    tracing::Span::current().record("verdict", record.verdict.word());
    args.target.evidence.keep(&pending)?;
    let place = args.out.unwrap_or_else(|| context.store.run_of(&plan.title()));
    write_page(&pending, &plan, &record)?;
    let run = folder.keep(&place)?;
    let signed = signer.sign(&run, &record)?;
    show(context, &plan, &record, &run, &signed)?;
    Ok(exit_code(&record.verdict, args.normalise.allow_equivalent))
}

/// A run of a given plan that failed.
fn broke(error: RebuildError) -> Failure {
    Failure::of_attempt(error.into())
}

impl SigningChoice {
    /// Signs a run, if its verdict says something.
    pub(super) fn sign(&self, run: &RunFolder, record: &Record) -> Result<Signature, Failure> {
        match (&record.verdict, &self.by) {
            (Verdict::Inconclusive { .. }, _) => {
                Ok(Signature::No("an inconclusive run proves nothing".into()))
            }
            (Verdict::NotReproduced, Some(_)) if !self.negatives => Ok(Signature::No(
                "no build was found that produces the released bytes, which is not evidence against them; \
                to sign this result, use --attest-negative"
                    .into(),
            )),
            (_, None) => Ok(Signature::No(
                "no signing key found; create one with \"rebuilder key generate\"".into(),
            )),
            (_, Some(by)) => self.sign_by(run, by),
        }
    }
}

impl SigningChoice {
    /// Signs an alarm about a run in a child process, which checks the run again. Gives the bundle.
    pub(super) fn sign_alarm(&self, run: &RunFolder, alarm: &str) -> Result<serde_json::Value, Failure> {
        let failed = |error: std::io::Error| Failure::internal(format!("cannot sign the alarm: {error}"));
        let by = self.by.as_deref().unwrap_or_default();
        if by.first().is_some_and(|option| option == "--signer") {
            return Err(Failure::usage(
                "a signing service signs runs, and no alarms".into(),
            ));
        }
        let file = tempfile::NamedTempFile::new().map_err(failed)?;
        fs::write(file.path(), alarm).map_err(failed)?;
        let mut command = child::command()?;
        command
            .arg("attest")
            .arg(run.path())
            .args(by)
            .arg("--alarm")
            .arg(file.path());
        command.args(["--json", "--quiet"]);
        if let Some(id) = &self.builder_id {
            command.args(["--builder-id", id]);
        }
        let reply = child::reply(&mut command).map_err(failed)?;
        match serde_json::from_slice(&reply) {
            Ok(Handover::Signed { bundle, .. }) => {
                let bytes = crate::bounded::read(&bundle, crate::bounded::PLAN).map_err(failed)?;
                serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))
            }
            Ok(Handover::Refused { reason, .. }) => Err(Failure::usage(reason)),
            Ok(Handover::Waits { .. }) | Err(_) => {
                Err(Failure::internal("the signer's reply cannot be read".into()))
            }
        }
    }

    /// Signs in a child process, which reads the run again and checks it. This process never holds the key.
    pub(super) fn sign_by(&self, run: &RunFolder, by: &[std::ffi::OsString]) -> Result<Signature, Failure> {
        let mut command = child::command()?;
        command.arg("attest").arg(run.path()).args(by).args(&self.forms);
        // How the run ended was not known when these forms were asked for.
        command.args(["--json", "--quiet", "--only-fitting"]);
        if let Some(id) = &self.builder_id {
            command.args(["--builder-id", id]);
        }
        if self.negatives {
            command.arg("--attest-negative");
        }
        let reply = child::reply(&mut command).map_err(|error| {
            Failure::internal(format!("cannot start the signer, or it was stopped: {error}"))
        })?;
        match serde_json::from_slice(&reply) {
            Ok(Handover::Signed { bundle, left_out, .. }) => {
                for reason in left_out {
                    output::note(&reason);
                }
                Ok(Signature::Bundle(bundle))
            }
            Ok(Handover::Waits {
                agree,
                needed,
                otherwise,
            }) => Ok(Signature::Waits(waiting(agree, needed, otherwise))),
            Ok(Handover::Refused { reason, help }) => Err({
                let failure = Failure::usage(format!("the run is complete, but cannot be signed: {reason}"));
                match help {
                    Some(help) => failure.with_help(help),
                    None => failure,
                }
            }),
            Err(error) => Err(Failure::internal(format!(
                "the run is complete, but the signer's reply cannot be read: {error}"
            ))),
        }
    }
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
        let attestation = match signed {
            Signature::Bundle(path) => Some(path),
            Signature::Waits(_) | Signature::No(_) => None,
        };
        let more = [
            ("run", json!(run.path())),
            ("cost", json!(cost)),
            ("attestation", json!(attestation)),
            ("claims", json!(plan.claims)),
        ];
        return output::print_json(&output::with(serialise::tree("the record", record)?, more));
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

/// Writes the HTML report next to the record that it shows.
pub(super) fn write_page(run: &RunFolder, plan: &Plan, record: &Record) -> Result<(), Failure> {
    let page = report::html(plan, record)?;
    Ok(write_atomically(&run.report(), page.as_bytes())?)
}

/// The folder of a run before it is complete: next to the folder that the user wants, or in the store.
fn pending(context: &Context, wanted: Option<&Path>) -> Result<PendingRun, Failure> {
    let runs = context.store.runs();
    let Some(path) = wanted else {
        return Ok(PendingRun::new(&context.store)?);
    };
    if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::usage(format!(
            "cannot write the run to {}: it exists and is not empty",
            path.display()
        ))
        .with_help("name another folder with --out, or empty this one"));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok(PendingRun::remembered(parent.unwrap_or(Path::new(".")), &runs)?)
}

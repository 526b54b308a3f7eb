//! `rebuilder plan`, and the plan that `rebuilder rebuild` follows.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::options::evidence;
use super::options::released::{is_source, not_released};
use super::options::target::Target;
use super::{Context, output};
use crate::artifact::{Ecosystem, Subject};
use crate::ecosystem::provenance;
use crate::evidence::assess::Artifact;
use crate::execute::{CheckedPlan, Executor};
use crate::inspect::InspectionRequest;
use crate::plan::{PinnedContainer, Plan, Role};
use crate::sandbox::embedded::Embedded;
use crate::store::write_atomically;
use crate::text;

#[derive(Args)]
pub(crate) struct PlanArgs {
    /// Fetch everything that the plan names into the store, so that it can be replayed offline
    #[arg(long)]
    fetch: bool,
    #[command(flatten)]
    target: Target,
    /// File to write the plan to [default: stdout]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    out: Option<PathBuf>,
}

pub(crate) async fn plan(context: &Context, mut args: PlanArgs) -> Result<ExitCode, Failure> {
    let embedded = Embedded::new(&context.store)?;
    args.target.evidence.fetch(&context.fetcher).await?;
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
            let digest = plan.digest()?;
            write_atomically(&path, text.as_bytes())?;
            if context.json {
                output::print_json(&json!({"plan": path, "digest": digest, "subject": plan.subject}))?;
            } else {
                let mut screen = output::screen();
                screen.say(format_args!(
                    "{}  sha256:{}  {}",
                    path.display(),
                    digest,
                    plan.subject
                ));
                output::print(&screen)?;
            }
        }
        None => output::print_json_pretty(&plan)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a plan for the target, without trying others.
pub(super) async fn make_plan(
    context: &Context,
    embedded: &Embedded,
    target: &Target,
    case: &InspectionRequest,
) -> Result<Plan, Failure> {
    let mut planner = target.planner(context, embedded, case)?;
    if let Some(subject) = target.listed(context, case).await? {
        return Ok(planner.plan(&subject).await?);
    }
    let Some(text) = &target.subject else {
        // Without a subject, the provenance names the outputs by their digests.
        let statements = case.documents.iter().filter_map(evidence::statement);
        let named = statements.flat_map(|statement| provenance::declared_artifacts(&statement.subject));
        planner.released = named.collect();
        if planner.released.is_empty() {
            return Err(Failure::usage(
                "no subject: name a package or a file, or use --provenance FILE or --plan FILE".into(),
            ));
        }
        return Ok(planner.plan_from_provenance().await?);
    };
    let path = Path::new(text);
    let artifact = evidence::local(path, target.purl.as_deref(), &case.documents, &case.everyone())?;
    let subject = artifact.purl.as_deref().map(str::parse::<Subject>).transpose();
    let subject = match subject {
        // A package URL from the user must be supported; one from a statement may be of any kind.
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
            check_local(&artifact, &subject, &plan)?;
            Ok(plan)
        }
        None => {
            planner.released = vec![artifact];
            Ok(planner.plan_from_provenance().await?)
        }
    }
}

/// A local file must be one of the released files; otherwise nothing is built for it.
fn check_local(artifact: &Artifact, subject: &Subject, plan: &Plan) -> Result<(), Failure> {
    let found = artifact.digests.sha256;
    if plan.expected.iter().any(|expected| expected.file.sha256 == found) {
        return Ok(());
    }
    let expected: Vec<_> = plan
        .expected
        .iter()
        .map(|expected| format!("{} sha256:{}", expected.file.name, expected.file.sha256))
        .collect();
    let path = artifact.path.as_deref().unwrap_or(Path::new(""));
    let mut sources = plan.inputs.iter().filter(|input| input.role == Role::Source);
    if sources.any(|input| input.file.sha256 == found) {
        return Err(is_source(path, subject));
    }
    Err(not_released(path, &format!("sha256:{found}"), subject, &expected))
}

//! `rebuilder prove`: what the build of the user's own project depends on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::failure::Failure;
use super::options::sandbox::BackendChoice;
use super::options::signing::{SigningArgs, SigningChoice};
use super::rebuild::Signature;
use super::{Context, output};
use crate::container::Workshop;
use crate::ecosystem::Planner;
use crate::ecosystem::hints::Hints;
use crate::evidence::sigstore::Sigstore;
use crate::evidence::trust::Trust;
use crate::execute::Executor;
use crate::inspect::InspectionRequest;
use crate::policy::Policy;
use crate::progress::Progress;
use crate::prove::input::{Project, SETTINGS, template};
use crate::prove::{
    Answer, Builds, Effort, Knob, Place, Proof, Question, against, explain_all, keep, prove_project,
};
use crate::report::{self, ReportError};
use crate::run::RunFolder;
use crate::sandbox::embedded::Embedded;
use crate::store::write_atomically;
use crate::text;

#[derive(Args)]
pub(crate) struct ProveArgs {
    /// Folder of the project; uncommitted changes are included
    #[arg(default_value = ".")]
    project: PathBuf,
    /// Write a commented rebuilder.toml to the project, and build nothing
    #[arg(long)]
    init: bool,
    /// Vary only these; --list-variations prints the names
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = knob, help_heading = "Variations")]
    vary: Vec<Knob>,
    /// Do not vary these
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = knob, conflicts_with = "vary", help_heading = "Variations")]
    except: Vec<Knob>,
    /// Print what can be varied, with both values
    #[arg(long, help_heading = "Variations")]
    list_variations: bool,
    /// Stop after the first culprit
    #[arg(long, help_heading = "Search")]
    first: bool,
    /// Number of builds from which to estimate the odds of a random difference
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=1000), help_heading = "Search")]
    repeats: u16,
    /// Also compare the outputs with FILE, which is about to be published; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Search")]
    against: Vec<PathBuf>,
    /// Maximum number of patches to try for each culprit, with two builds each; 0 for none
    #[arg(long, value_name = "N", default_value_t = 4, help_heading = "Search")]
    patches: u16,
    /// Write the patches that helped to FILE as a unified diff; the project is not changed
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    fix: Option<PathBuf>,
    /// Sandbox backend
    #[arg(long, value_enum, default_value_t = BackendChoice::Auto, help_heading = "Sandbox")]
    backend: BackendChoice,
    #[command(flatten)]
    signing: SigningArgs,
    /// New folder for the proof, its plan with the source, and all builds; a certificate can be signed from it
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Print annotations for continuous integration instead of a report and progress
    #[arg(long, conflicts_with = "json", help_heading = "Output")]
    ci: bool,
    /// Also write the result to FILE: .html, .json, .md, .sarif, .xml (JUnit) or .svg (a badge); may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    write: Vec<PathBuf>,
    /// Also write FILE for a badge service (the endpoint format of shields.io)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    badge_endpoint: Option<PathBuf>,
}

fn knob(name: &str) -> Result<Knob, String> {
    let known = || {
        Knob::ALL
            .iter()
            .map(|knob| knob.name())
            .collect::<Vec<_>>()
            .join(", ")
    };
    Knob::named(name).ok_or_else(|| format!("it is not one of {}", known()))
}

type Render = fn(&Proof) -> Result<String, ReportError>;

pub(crate) async fn run(context: &Context, args: ProveArgs) -> Result<ExitCode, Failure> {
    if args.list_variations {
        return list(context.json);
    }
    if args.init {
        return init(&args.project);
    }
    let writers = writers(&args.write, args.out.as_deref())?;
    let question = question(&args);
    let signer = args.signing.choose()?;
    let project = Project::find(&args.project)?;
    let embedded = Embedded::new(&context.store)?;
    let backend = args.backend.open(context, &embedded).await?;
    let case = without_evidence()?;
    let planner = Planner {
        workshop: context.workshop(&embedded),
        recipe: None,
        only: false,
        case: &case,
        released: Vec::new(),
        hints: Hints::default(),
    };
    // What is varied is told; that each build fetches and builds the same again is not.
    let silent = Progress::silent();
    let fetcher = context
        .fetcher
        .for_job(silent.clone(), context.fetcher.ledger().clone());
    let executor = Executor {
        workshop: Workshop {
            fetcher: &fetcher,
            progress: &silent,
            ..context.workshop(&embedded)
        },
        backend: backend.as_ref(),
    };
    let progress = if args.ci {
        Progress::silent()
    } else {
        context.progress.clone()
    };
    let place = Place {
        tree: &args.project,
        out: args.out.as_deref(),
    };
    let (builds, mut answer) =
        prove_project(&planner, executor, project, &place, &question, &progress).await?;
    let patches = usize::from(args.patches);
    let effort = Effort { patches };
    explain_all(&builds, &mut answer, effort, &progress).await?;
    answer.proof.against = against(&answer, &args.against)?;
    let proof = &answer.proof;
    write_files(
        args.fix.as_deref(),
        args.badge_endpoint.as_deref(),
        writers,
        proof,
    )?;
    let signed = match &args.out {
        Some(out) => keep_and_sign(builds, &answer, out, &signer)?,
        None => None,
    };
    show(context, proof, args.ci, args.out.as_deref(), signed.as_ref())?;
    Ok(ExitCode::from(u8::from(!proof.is_good())))
}

/// A project of one's own has no evidence.
fn without_evidence() -> Result<InspectionRequest, Failure> {
    Ok(InspectionRequest {
        documents: Vec::new(),
        trust: Trust {
            sigstore: Arc::new(Sigstore::public_good()?),
            keys: Vec::new(),
            threshold: 1,
            identities: Vec::new(),
            policy_identities: Vec::new(),
        },
        policy: Policy::named(None)?,
    })
}

/// What is varied, and how thoroughly.
fn question(args: &ProveArgs) -> Question {
    let asked =
        |knob: &Knob| (args.vary.is_empty() || args.vary.contains(knob)) && !args.except.contains(knob);
    Question {
        knobs: Knob::ALL.iter().copied().filter(asked).collect(),
        first_only: args.first,
        repeats: usize::from(args.repeats),
    }
}

/// Writes the patch, the reports and the badge that are asked for.
fn write_files(
    fix: Option<&Path>,
    badge: Option<&Path>,
    reports: Vec<(&Path, Render)>,
    proof: &Proof,
) -> Result<(), Failure> {
    if let Some(path) = fix {
        write_atomically(path, proof.patch().as_bytes())?;
    }
    for (path, render) in reports {
        write_atomically(path, render(proof)?.as_bytes())?;
    }
    if let Some(path) = badge {
        let badge = text::json_pretty(&report::prove::endpoint(proof));
        write_atomically(path, badge.as_bytes())?;
    }
    Ok(())
}

/// Keeps the builds and the proof, and signs the proof if the project is reproducible and there is a key.
fn keep_and_sign(
    builds: Builds<'_>,
    answer: &Answer,
    out: &Path,
    signer: &SigningChoice,
) -> Result<Option<Signature>, Failure> {
    keep(builds, answer, out)?;
    let by = signer.by.as_deref().filter(|_| answer.proof.reproducible);
    by.map(|by| signer.sign_by(&RunFolder::new(out), by)).transpose()
}

/// What writes the files that are asked for. Nothing is built if one of them, or the proof, could not be written.
fn writers<'a>(files: &'a [PathBuf], proof: Option<&Path>) -> Result<Vec<(&'a Path, Render)>, Failure> {
    let taken = |out: &&Path| fs::symlink_metadata(out).is_ok();
    if let Some(out) = proof.filter(taken) {
        return Err(
            Failure::usage(format!("cannot write the proof to {}: it exists", out.display()))
                .with_help("name another folder with --out"),
        );
    }
    let paths = files.iter().map(PathBuf::as_path);
    paths.map(|path| Ok((path, renderer(path)?))).collect()
}

fn show(
    context: &Context,
    proof: &Proof,
    ci: bool,
    kept: Option<&Path>,
    signed: Option<&Signature>,
) -> Result<(), Failure> {
    if context.json {
        return output::print_json(proof);
    }
    if ci {
        let on_github = std::env::var_os("GITHUB_ACTIONS").is_some();
        return output::print(&report::prove::annotations(proof, on_github));
    }
    let mut screen = report::prove::terminal(proof, output::colour());
    if let Some(out) = kept {
        screen.say(format_args!("kept: {}", out.display()));
    }
    match signed {
        Some(Signature::Bundle(path)) => screen.say(format_args!("certificate: {}", path.display())),
        Some(Signature::Waits(why) | Signature::No(why)) => screen.say(format_args!("not signed: {why}")),
        None => {}
    }
    output::print(&screen)
}

fn renderer(path: &Path) -> Result<Render, Failure> {
    let ending = path
        .extension()
        .and_then(std::ffi::OsStr::to_str)
        .unwrap_or_default();
    Ok(match ending {
        "html" => report::prove::html,
        "json" => |proof| Ok(text::json_pretty(proof)),
        "md" => |proof| Ok(report::prove::markdown(proof)),
        "sarif" => |proof| Ok(text::json_pretty(&report::prove::sarif(proof))),
        "svg" => |proof| Ok(report::prove::badge(proof)),
        "xml" => |proof| Ok(report::prove::junit(proof)),
        _ => {
            return Err(Failure::usage(format!(
                "cannot write {}: its extension is not .html, .json, .md, .sarif, .svg or .xml",
                path.display()
            )));
        }
    })
}

fn init(folder: &Path) -> Result<ExitCode, Failure> {
    let path = folder.join(SETTINGS);
    if fs::symlink_metadata(&path).is_ok() {
        return Err(
            Failure::usage(format!("cannot write {}: it exists", path.display()))
                .with_help("edit it; docs/prove.md describes the file"),
        );
    }
    // A kind that cannot be told is the reason to write one.
    let kind = Project::find(folder).map_or_else(|_| "make".to_owned(), |project| project.kind);
    write_atomically(&path, template(&kind).as_bytes())?;
    let mut screen = output::screen();
    screen.say(path.display());
    output::print(&screen)?;
    Ok(ExitCode::SUCCESS)
}

fn list(json: bool) -> Result<ExitCode, Failure> {
    if json {
        let all: Vec<_> = Knob::ALL
            .iter()
            .map(|knob| crate::prove::Varied::of(*knob))
            .collect();
        output::print_json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut screen = output::screen();
    for knob in Knob::ALL {
        let name = text::column(knob.name(), 16);
        screen.say(format_args!("{name}  {} → {}", knob.baseline(), knob.varied()));
    }
    output::print(&screen)?;
    Ok(ExitCode::SUCCESS)
}

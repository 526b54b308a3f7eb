//! `rebuilder verify`: whether the attestations of several parties satisfy a quorum.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::failure::{Code, Failure};
use super::options::discovery::{self, Discovery};
use super::options::evidence::{self, TrustArgs};
use super::options::logged::LoggedArgs;
use super::options::signing::{KeyArgs, SummaryArgs};
use super::{Common, Context, output, suggest};
use crate::agreement::{self, Agreement, Conclusion};
use crate::artifact::Digests;
use crate::attest;
use crate::ecosystem;
use crate::evidence::assess::Artifact;
use crate::evidence::json::SIZE_LIMIT;
use crate::evidence::trust::Trust;
use crate::inspect;
use crate::policy::Refusal;
use crate::report::agreement as report;
use crate::store::Blob;

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// Released files, the digest of one as sha256:HEX, or packages as for "rebuilder rebuild"
    #[arg(required = true)]
    artifact: Vec<String>,
    /// Package URL of ARTIFACT
    #[arg(long, value_name = "PURL")]
    purl: Option<String>,
    /// File name of ARTIFACT, if it is given by digest
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// File, folder or URL with attestations; may be repeated [default: the files next to ARTIFACT]
    #[arg(long, value_name = "FILE|DIR|URL")]
    attestation: Vec<String>,
    /// Also ask the policy's sources for attestations
    #[arg(long)]
    discover: bool,
    /// Count parties that report only equivalence, if there are not enough others
    #[arg(long)]
    allow_equivalent: bool,
    /// Write the conclusion as a signed SLSA verification summary (VSA) to FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    summary: Option<PathBuf>,
    #[command(flatten)]
    form: SummaryArgs,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    logged: LoggedArgs,
}

pub(crate) async fn verify(common: Common, args: VerifyArgs) -> Result<ExitCode, Failure> {
    let json = common.json;
    if args.summary.is_some() && args.artifact.len() > 1 {
        return Err(Failure::usage(
            "cannot write one --summary for several artifacts; verify them one by one".into(),
        ));
    }
    let (trust, policy) = args.trust.open_with_keys()?;
    let artifacts = artifacts(&common, &args, &trust).await?;
    let mut discovered = if args.discover {
        Some(Discovery::ask(common.clone(), &artifacts, &policy).await?)
    } else {
        None
    };
    let mut places = places(common, &args, &artifacts).await?;
    places.extend(discovered.iter().flat_map(Discovery::places));
    if let Some(discovered) = &mut discovered {
        places = discovered.with_log_entries(places, &artifacts, &policy).await?;
    }
    let places = args.logged.only_logged(places)?;
    // Asks for the key before the attestations are read.
    let signer = match &args.summary {
        Some(_) => Some(args.key.open()?),
        None => None,
    };
    let (tallies, cost) = agreement::gather(&places, &artifacts, &trust)?;
    let now = Timestamp::now();
    let mut agreements: Vec<Agreement> = artifacts
        .iter()
        .zip(&tallies)
        .map(|(artifact, tally)| agreement::conclude(artifact, tally, &trust, &policy, now, cost))
        .collect::<Result<_, _>>()
        .map_err(|refusal| no_quorum(&refusal))?;
    if let Some(discovered) = &discovered {
        for agreement in &mut agreements {
            discovered.name_origins(agreement);
        }
    }
    if let (Some(path), Some(signer), [only]) = (&args.summary, &signer, agreements.as_slice()) {
        let version = args.form.slsa_version;
        let levels = agreement::dependency_levels(only, &places, &trust, &policy, version, now)?;
        match agreement::summary(only, &args.key.builder_id(signer.as_ref()), version, levels)? {
            Some(statement) => attest::write_signed(path, &statement, signer.as_ref(), args.form.format)?,
            None => output::note("no summary was written: the parties neither agree nor disagree"),
        }
    }
    show(json, &agreements, discovered.as_ref())?;
    Ok(exit_code(&agreements, args.allow_equivalent))
}

/// Exit code for all artifacts together.
fn exit_code(agreements: &[Agreement], allow_equivalent: bool) -> ExitCode {
    let code = |agreement: &Agreement| match agreement.verdict {
        Conclusion::Agreed => 0,
        Conclusion::Equivalent if allow_equivalent => 0,
        Conclusion::Equivalent | Conclusion::Disagreed => 1,
        Conclusion::NotEnough => Code::Inconclusive as u8,
    };
    let codes: Vec<u8> = agreements.iter().map(code).collect();
    // A disagreement matters more than too few attestations.
    ExitCode::from(if codes.contains(&1) {
        1
    } else {
        codes.into_iter().max().unwrap_or(0)
    })
}

/// The artifacts that the user names by files, digests, or releases of a registry.
async fn artifacts(common: &Common, args: &VerifyArgs, trust: &Trust) -> Result<Vec<Artifact>, Failure> {
    let mut artifacts: Vec<Artifact> = Vec::new();
    for text in &args.artifact {
        if Path::new(text).is_file() || text.starts_with("sha256:") {
            artifacts.push(artifact(text, args, trust)?);
            continue;
        }
        // Only here the store is opened, so that an install hook with local files does not wait for it.
        let context = Context::open(common.clone())?;
        let subject = suggest::subject(text)?;
        let release = ecosystem::lookup(&context.fetcher, &context.catalog, &subject).await?;
        artifacts.extend(release.artifacts);
    }
    Ok(artifacts)
}

fn show(json: bool, agreements: &[Agreement], discovered: Option<&Discovery>) -> Result<(), Failure> {
    if json {
        return match discovery::told(agreements, discovered).as_slice() {
            [only] => output::print_json(only),
            all => output::print_json(all),
        };
    }
    let mut screen = output::screen();
    for (number, agreement) in agreements.iter().enumerate() {
        if number > 0 {
            screen.gap();
        }
        screen.append(&report::terminal(agreement, output::colour()));
        if let Some(discovered) = discovered {
            discovered.show(number, &mut screen);
        }
    }
    output::print(&screen)
}

/// A policy without a quorum for the artifact. The advice differs from that of commands which build.
fn no_quorum(refusal: &Refusal) -> Failure {
    let file = &refusal.policy;
    Failure::refused(
        format!("cannot verify {}: {file}: {}", refusal.subject, refusal.finding),
        format!(
            "add to {file} a [[quorums]] entry whose subject matches, or name another policy with --policy"
        ),
    )
}

fn artifact(text: &str, args: &VerifyArgs, trust: &Trust) -> Result<Artifact, Failure> {
    if !text.starts_with("sha256:") {
        let path = Path::new(text);
        if !path.is_file() {
            return Err(Failure::usage(format!(
                "{text} is not a file; use sha256:HEX for a file that you do not have"
            )));
        }
        return evidence::local(path, args.purl.as_deref(), &[], trust);
    }
    let sha256 = evidence::digest(text)?;
    Ok(Artifact {
        name: args.name.clone().unwrap_or_else(|| text.to_owned()),
        purl: args.purl.clone(),
        digests: Digests::known(sha256),
        path: None,
    })
}

/// The files and folders with attestations. Those at a URL are fetched first.
async fn places(common: Common, args: &VerifyArgs, artifacts: &[Artifact]) -> Result<Vec<PathBuf>, Failure> {
    if args.attestation.is_empty() {
        let beside = artifacts.iter().filter_map(|artifact| artifact.path.as_deref());
        return Ok(beside.flat_map(evidence::siblings).collect());
    }
    let is_url = |text: &String| text.starts_with("https://") || text.starts_with("http://");
    let (urls, files): (Vec<_>, Vec<_>) = args.attestation.iter().cloned().partition(is_url);
    let mut places: Vec<PathBuf> = files.into_iter().map(PathBuf::from).collect();
    if !urls.is_empty() {
        // The store is opened only here, so that an install hook with local files does not wait for it.
        let context = Context::open(common)?;
        for url in urls {
            context.fetcher.choose(&url);
            let read = |blob: &Blob| inspect::read_documents(&url, blob);
            let (_, received) = context
                .fetcher
                .get_unpinned(&url, std::slice::from_ref(&url), SIZE_LIMIT, read)
                .await?;
            places.push(received.blob.path);
        }
    }
    Ok(places)
}

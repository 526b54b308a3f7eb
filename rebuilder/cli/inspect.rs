//! `rebuilder inspect`: verifies and explains the evidence for released files, and builds nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::failure::{Code, Failure};
use super::options::evidence::{self, EvidenceArgs};
use super::options::released;
use super::{Context, output, suggest};
use crate::artifact::Digests;
use crate::evidence::assess::Artifact;
use crate::evidence::document::Document;
use crate::evidence::{Claim, Standing};
use crate::inspect::{ImagePlace, ImagePlaceError, InspectionRequest};
use crate::report::inspection as report;
use crate::store::write_atomically;

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// Released files or their digests (sha256:HEX), a package URL or short form of one package, or one image (oci:FOLDER, docker://NAME@sha256:…)
    #[arg(required = true)]
    subject: Vec<String>,
    /// Package URL of SUBJECT, if SUBJECT is a file
    #[arg(long, value_name = "PURL")]
    purl: Option<String>,
    /// Also write the findings as an HTML page
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    html: Option<PathBuf>,
    #[command(flatten)]
    evidence: EvidenceArgs,
}

/// The image, if the user names one.
fn image(args: &InspectArgs) -> Result<Option<ImagePlace>, Failure> {
    let [subject] = args.subject.as_slice() else {
        return Ok(None);
    };
    ImagePlace::named(subject).transpose().map_err(no_image)
}

fn no_image(error: ImagePlaceError) -> Failure {
    match error {
        ImagePlaceError::Name { .. } => Failure::usage(error.to_string())
            .with_help("name an image by its digest: docker://REGISTRY/NAME@sha256:DIGEST, or oci:FOLDER for an OCI layout"),
        ImagePlaceError::Layout(error) => error.into(),
        ImagePlaceError::Fetch(error) => error.into(),
    }
}

pub(crate) async fn inspect(context: &Context, mut args: InspectArgs) -> Result<ExitCode, Failure> {
    args.evidence.fetch(&context.fetcher).await?;
    let mut case = args.evidence.open()?;
    let Looked {
        artifacts,
        claims,
        documents,
    } = look(context, &args, &mut case).await?;
    let judgement = case
        .inspect(&artifacts, claims, &documents, &context.fetcher)
        .await;
    if let Some(path) = &args.html {
        write_atomically(path, report::html(&judgement)?.as_bytes())?;
    }
    if context.json {
        output::print_json(&judgement)?;
    } else {
        output::print(&report::terminal(&judgement, output::colour()))?;
    }
    let inspection = &judgement.inspection;
    let verified = |standing| standing == Standing::Verified;
    Ok(
        if judgement.policy.refusal().is_some() || !inspection.against().is_empty() {
            ExitCode::from(Code::Refused as u8)
        } else if verified(inspection.signature.standing) || verified(inspection.provenance.standing) {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(Code::Inconclusive as u8)
        },
    )
}

/// A subject, and the findings about it.
#[derive(Default)]
struct Looked {
    artifacts: Vec<Artifact>,
    claims: Vec<Claim>,
    documents: Vec<Document>,
}

/// Finds the subjects that the arguments name: an image, files, digests of files, or a release of a registry.
async fn look(
    context: &Context,
    args: &InspectArgs,
    case: &mut InspectionRequest,
) -> Result<Looked, Failure> {
    let files: Vec<PathBuf> = args.subject.iter().map(PathBuf::from).collect();
    if let Some(place) = image(args)? {
        let (artifact, documents) = place.look(&context.fetcher).await.map_err(no_image)?;
        return Ok(Looked {
            artifacts: vec![artifact],
            documents,
            ..Looked::default()
        });
    }
    let missing = files.iter().find(|path| !path.is_file());
    if missing.is_some() && args.subject.iter().all(|text| text.starts_with("sha256:")) {
        let known = args.subject.iter().map(|text| {
            let sha256 = evidence::digest(text)?;
            Ok(Artifact {
                name: text.clone(),
                purl: args.purl.clone(),
                digests: Digests::known(sha256),
                path: None,
            })
        });
        return Ok(Looked {
            artifacts: known.collect::<Result<_, Failure>>()?,
            ..Looked::default()
        });
    }
    match (missing, args.subject.as_slice(), &args.purl) {
        (None, ..) => look_at_files(context, args, case, &files).await,
        (Some(_), [subject], None) => {
            let subject = suggest::subject(subject)?;
            let found = crate::ecosystem::lookup(&context.fetcher, &context.catalog, &subject).await?;
            Ok(Looked {
                artifacts: found.artifacts,
                claims: found.claims,
                documents: found.documents,
            })
        }
        (Some(missing), ..) => Err(suggest::missing_file(missing)),
    }
}

/// Reads local files, the evidence beside them, and the answer of a registry that lists them.
async fn look_at_files(
    context: &Context,
    args: &InspectArgs,
    case: &mut InspectionRequest,
    files: &[PathBuf],
) -> Result<Looked, Failure> {
    if args.evidence.is_empty() {
        for path in files {
            let found = args.evidence.beside(path, &context.fetcher).await?;
            case.documents.extend(found);
        }
    }
    let mut looked = Looked::default();
    for path in files {
        let mut artifact = evidence::local(path, args.purl.as_deref(), &case.documents, &case.everyone())?;
        // Without evidence of the user, what the registry says is all that there is.
        let silent = args.evidence.is_empty() && case.documents.is_empty() && args.purl.is_none();
        if silent && let Some(listed) = released::listed(context, &artifact, path).await? {
            artifact.purl = Some(listed.subject.purl());
            if let Some(name) = listed.name {
                output::note(&format!("{} has the bytes of {name}", path.display()));
            }
            looked.claims.extend(listed.claims);
            looked.documents.extend(listed.documents);
        }
        looked.artifacts.push(artifact);
    }
    Ok(looked)
}

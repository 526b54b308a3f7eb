//! `rebuilder attest` and `rebuilder signer`, and the check of a signer's log.

mod service;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::failure::{Code, Failure};
use super::key::{own_log, signer_log};
use super::options::evidence::statement;
use super::options::signing::{FormArgs, KeyArgs};
use super::output;
use crate::artifact::serialise;
use crate::attest::handover::{Handover, waiting};
use crate::attest::log::Log;
use crate::attest::predicate::OwnPredicate;
use crate::attest::{self, Attestor, Signed, Wanted};
use crate::bounded;
use crate::evidence::document;
use crate::report;
use crate::run::RunFolder;
use crate::signer::{self, Reply};
use crate::text::plural;
pub(crate) use service::{SignerArgs, sign};

#[derive(Args)]
pub(crate) struct AttestArgs {
    /// Folder of the run
    run: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    /// Have the service that listens on SOCKET check and sign the run
    #[arg(
        long,
        help_heading = "Signing",
        value_name = "SOCKET",
        env = "REBUILDER_SIGNER",
        hide_env_values = true,
        conflicts_with = "key"
    )]
    signer: Option<PathBuf>,
    /// Also sign a run that did not find a build that produces the released bytes; this is evidence neither for nor
    /// against them
    #[arg(long, help_heading = "Signing")]
    attest_negative: bool,
    #[command(flatten)]
    form: FormArgs,
    /// Sign again if this key already signed a statement about the run
    #[arg(long, help_heading = "Signing", conflicts_with = "signer")]
    again: bool,
    /// Leave out forms that cannot express the result, rather than sign nothing
    #[arg(long, hide = true)]
    only_fitting: bool,
    /// Sign this alarm of an audit about the run, and not the run
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "signer")]
    alarm: Option<PathBuf>,
    /// Log of signatures to append to [default: $XDG_CONFIG_HOME/rebuilder/signatures.jsonl]
    #[arg(long, value_name = "FILE", help_heading = "Signing")]
    log: Option<PathBuf>,
}

pub(crate) async fn attest(args: &AttestArgs, json: bool) -> Result<ExitCode, Failure> {
    let (reply, failure) = match hand_over(args).await {
        Ok(reply) => {
            let failure = not_signed(&reply);
            (reply, failure)
        }
        Err(failure) => {
            let (reason, help) = (failure.message(), failure.help());
            (Handover::Refused { reason, help }, Some(failure))
        }
    };
    if json {
        let document = serialise::tree("the reply", &reply)?;
        let error = failure.as_ref().map(|failure| ("error", failure.document()));
        output::print_json(&output::with(document, error))?;
        return Ok(failure.map_or(ExitCode::SUCCESS, |failure| failure.report(false)));
    }
    match (reply, failure) {
        (_, Some(failure)) => Err(failure),
        (Handover::Signed { bundle, left_out, .. }, None) => {
            for reason in left_out {
                output::note(&reason);
            }
            let mut screen = output::screen();
            screen.say(bundle.display());
            output::print(&screen)?;
            Ok(ExitCode::SUCCESS)
        }
        (_, None) => Err(Failure::internal(
            "a reply without a signature or an error".into(),
        )),
    }
}

/// Hands a run to the key, or to the service that holds it.
async fn hand_over(args: &AttestArgs) -> Result<Handover, Failure> {
    let signed = match &args.signer {
        Some(socket) => match signer::ask(socket, &args.run, args.form.extras()).await? {
            Reply::Signed(signed) => *signed,
            Reply::Waiting {
                agree,
                needed,
                otherwise,
            } => {
                return Ok(Handover::Waits {
                    agree,
                    needed,
                    otherwise,
                });
            }
            Reply::Refused { reason } => {
                return Ok(Handover::Refused {
                    reason: format!("the signer refuses the run: {reason}"),
                    help: Some("nothing was signed; the signer's log says the same".into()),
                });
            }
        },
        None => return sign_here(args),
    };
    write(args, signed)
}

/// Signs a run, or an alarm about it, with the key that this process has.
fn sign_here(args: &AttestArgs) -> Result<Handover, Failure> {
    service::folder_exists(&args.run)?;
    let signer = args.key.open()?;
    let log = args.log.clone().map_or_else(own_log, Ok)?;
    let attestor = Attestor {
        signer: signer.as_ref(),
        builder_id: args.key.named_builder(),
        host: None,
        log: &log,
        negatives: args.attest_negative,
        wanted: Wanted {
            extras: args.form.extras(),
            only_fitting: args.only_fitting,
        },
        again: args.again,
    };
    args.form.format().check(signer.as_ref())?;
    if let Some(path) = &args.alarm {
        let alarm = bounded::read(path, bounded::PLAN)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
        let (signed, bundle) = tokio::task::block_in_place(|| {
            attest::sign_regression(&args.run, &alarm, &attestor, report::page)
        })?;
        return Ok(Handover::Signed {
            bundle,
            statement: signed.statement,
            left_out: Vec::new(),
        });
    }
    let signed = tokio::task::block_in_place(|| {
        if attest::is_certificate(&args.run) {
            attest::certify(&args.run, &attestor)
        } else {
            attest::attest(&args.run, &attestor, report::page)
        }
    })?;
    write(args, signed)
}

/// Writes what was signed to the folder of the run.
fn write(args: &AttestArgs, signed: Signed) -> Result<Handover, Failure> {
    Ok(Handover::Signed {
        bundle: signed.write(&RunFolder::new(&args.run), args.form.format())?,
        statement: signed.statement,
        left_out: signed.extras.left_out,
    })
}

/// The failure for the user if the reply has no signature.
fn not_signed(reply: &Handover) -> Option<Failure> {
    match reply {
        Handover::Signed { .. } => None,
        Handover::Waits {
            agree,
            needed,
            otherwise,
        } => Some(Failure::inconclusive(waiting(*agree, *needed, *otherwise))),
        Handover::Refused { reason, help } => {
            Some(Failure::refused(reason.clone(), help.clone().unwrap_or_default()))
        }
    }
}

/// Checks the log of a signer.
pub(super) fn verify_log(
    log: Option<PathBuf>,
    attestation: &[PathBuf],
    json: bool,
) -> Result<ExitCode, Failure> {
    let path = log.map_or_else(signer_log, Ok)?;
    let mut wanted = Vec::new();
    for file in attestation {
        let documents = document::read_file(file)?;
        for statement in documents.iter().filter_map(statement) {
            let name = file.display().to_string();
            let own = OwnPredicate::read(&statement)
                .map_err(|error| Failure::usage(format!("cannot read the attestation {name}: {error}")))?;
            wanted.push((statement.digest, own.and_then(|own| own.signing_log()), name));
        }
    }
    let checked = Log::verify(&path, &wanted)?;
    if json {
        output::print_json(&checked)?;
    } else {
        let mut screen = output::screen();
        let events: Vec<_> = checked
            .events
            .iter()
            .map(|(event, count)| format!("{count} {event}"))
            .collect();
        if checked.lines == 0 {
            screen.say("the log is empty: nothing was checked");
        } else {
            screen.say(format_args!(
                "log intact: {} ({}); head sha256:{}",
                plural(checked.lines, "entry"),
                events.join(", "),
                checked.head
            ));
        }
        if !wanted.is_empty() {
            screen.say(format_args!(
                "matched with the log: {}",
                plural(checked.attestations, "attestation")
            ));
        }
        output::print(&screen)?;
    }
    Ok(ExitCode::from(if checked.lines == 0 {
        Code::Inconclusive as u8
    } else {
        0
    }))
}

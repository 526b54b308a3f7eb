//! `rebuilder compare`: where and why two files or folders differ.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::failure::Failure;
use super::options::normalise::NormaliseArgs;
use super::output;
use crate::compare::{self, Comparison, Limits, Normalisation, Options, Outcome};
use crate::deadline::Deadline;
use crate::progress::Progress;
use crate::report::comparison;
use crate::store::write_atomically;
use crate::text;

const COMPARE_HELP: &str = "\
Examples:
  rebuilder compare released.deb rebuilt.deb                 show where and why, on the terminal
  rebuilder compare a.whl b.whl --write report.html          also write a page without scripts
  rebuilder compare a b --write report.md --write out.sarif  write Markdown and SARIF reports
  rebuilder compare a.tgz b.tgz --normalise none             set nothing aside

Exit codes:
  0 identical, or equivalent with --allow-equivalent   1 equivalent or different   2 usage";

#[derive(Args)]
#[command(after_help = COMPARE_HELP)]
pub(crate) struct CompareArgs {
    /// Released file or folder
    #[arg(required_unless_present = "list_normalisations")]
    released: Option<PathBuf>,
    /// Rebuilt file or folder
    #[arg(required_unless_present = "list_normalisations")]
    rebuilt: Option<PathBuf>,
    /// Also write a report, in the format of its extension: .html, .md, .json or .sarif; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    write: Vec<PathBuf>,
    #[command(flatten)]
    normalise: NormaliseArgs,
    /// SOURCE_DATE_EPOCH used by the rebuild
    #[arg(
        long,
        help_heading = "Comparison",
        value_name = "SECONDS",
        env = "SOURCE_DATE_EPOCH",
        hide_env_values = true
    )]
    source_date_epoch: Option<i64>,
    /// Hash both files even if they are large and certain to differ
    #[arg(long, help_heading = "Comparison")]
    digests: bool,
    /// Stop comparing after this time, and report the files that are left
    #[arg(long, value_name = "SECONDS", help_heading = "Limits")]
    time_limit: Option<u64>,
    /// Open at most this many levels of archives inside archives
    #[arg(long, value_name = "N", help_heading = "Limits", default_value_t = Limits::default().depth)]
    depth: u32,
    /// Unpack at most this many bytes, both sides together
    #[arg(long, value_name = "BYTES", help_heading = "Limits", default_value_t = Limits::default().unpacked)]
    unpack_limit: u64,
    /// Print all normalisations, what each sets aside, and why that is safe
    #[arg(long, help_heading = "Comparison")]
    list_normalisations: bool,
}

pub(crate) fn run(args: &CompareArgs, json: bool, progress: &Progress) -> Result<ExitCode, Failure> {
    if args.list_normalisations {
        return list(json);
    }
    let (Some(released), Some(rebuilt)) = (&args.released, &args.rebuilt) else {
        return Err(Failure::usage(
            "cannot compare a file with a folder: name two files or two folders".into(),
        ));
    };
    let mut writers: Vec<(&Path, Render)> = Vec::new();
    for path in &args.write {
        writers.push((path, renderer(path)?));
    }
    let options = Options {
        normalise: args.normalise.normalise.clone(),
        limits: Limits {
            depth: args.depth,
            unpacked: args.unpack_limit,
            time: args.time_limit.map(Duration::from_secs),
            ..Limits::default()
        },
        source_date_epoch: args.source_date_epoch,
        digests: args.digests,
        deadline: Deadline::default(),
    };
    // In a pipe, a line for one short stage would only be noise.
    let bar = progress.is_live().then(|| progress.stage("comparing"));
    let found = compare::compare(released, rebuilt, &options)?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    for (path, render) in writers {
        write_atomically(path, &render(&found)?)?;
    }
    if json {
        output::print_json(&found)?;
    } else {
        output::print(&comparison::terminal(&found, output::colour()))?;
    }
    Ok(match found.outcome {
        Outcome::Identical => ExitCode::SUCCESS,
        Outcome::Equivalent if args.normalise.allow_equivalent => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    })
}

type Render = fn(&Comparison) -> Result<Vec<u8>, Failure>;

fn renderer(path: &Path) -> Result<Render, Failure> {
    let ending = path
        .extension()
        .and_then(std::ffi::OsStr::to_str)
        .unwrap_or_default();
    Ok(match ending {
        "html" => |found| Ok(comparison::html(found)?.into_bytes()),
        "md" => |found| Ok(comparison::markdown(found).into_bytes()),
        "json" => |found| Ok(text::json_pretty(found).into_bytes()),
        "sarif" => |found| Ok(text::json_pretty(&comparison::sarif(found)).into_bytes()),
        _ => {
            return Err(Failure::usage(format!(
                "cannot write {}: its extension is not .html, .md, .json or .sarif",
                path.display()
            )));
        }
    })
}

fn list(json: bool) -> Result<ExitCode, Failure> {
    if json {
        let list: Vec<_> = Normalisation::ALL
            .iter()
            .map(|known| {
                serde_json::json!({
                    "name": known.name(), "version": known.version(), "default": known.is_default(),
                    "formats": known.formats(), "sets_aside": known.sets_aside(), "safe_because": known.safe_because()
                })
            })
            .collect();
        output::print_json(&list)?;
    } else {
        let mut screen = output::screen();
        for known in Normalisation::ALL {
            let default = if known.is_default() {
                ""
            } else {
                ", not by default"
            };
            screen.say(format_args!(
                "{} v{} ({}{default})",
                known.name(),
                known.version(),
                known.formats()
            ));
            screen.say(format_args!("    sets aside: {}", known.sets_aside()));
            screen.say(format_args!("    safe because: {}", known.safe_because()));
        }
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

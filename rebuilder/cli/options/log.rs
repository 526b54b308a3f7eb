//! The log of a long-running command.

use std::sync::Arc;

use clap::Args;

use crate::cli::failure::Failure;
use crate::progress::Progress;
use crate::telemetry::{self, Format, Level, Log, Telemetry};

/// What is logged, and how.
#[derive(Args, Clone)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// Form of the log on stderr
    #[arg(
        long,
        value_name = "FORM",
        value_enum,
        default_value_t = Format::Text,
        env = "REBUILDER_LOG_FORMAT",
        hide_env_values = true
    )]
    log_format: Format,
    /// Least important events that are logged [default: info; with --quiet, warn]
    #[arg(
        long,
        value_name = "LEVEL",
        value_enum,
        env = "REBUILDER_LOG_LEVEL",
        hide_env_values = true
    )]
    log_level: Option<Level>,
}

impl LogArgs {
    /// Starts the log, and the export of traces if the environment names a collector.
    pub(crate) fn start(
        &self,
        service: &'static str,
        quiet: bool,
        progress: &Progress,
    ) -> Result<Telemetry, Failure> {
        let usual = if quiet { Level::Warn } else { Level::Info };
        let progress = progress.clone();
        let log = Log {
            format: self.log_format,
            level: self.log_level.unwrap_or(usual),
            write: Arc::new(move |line: &str| progress.log_line(line)),
        };
        Ok(telemetry::start(service, Some(log))?)
    }

    /// The same options for a process that is started beside this one.
    pub(crate) fn options(&self) -> Vec<std::ffi::OsString> {
        use clap::ValueEnum as _;
        let mut options = Vec::new();
        let mut add = |name: &str, value: Option<clap::builder::PossibleValue>| {
            if let Some(value) = value {
                options.extend([name.into(), value.get_name().into()]);
            }
        };
        add("--log-format", self.log_format.to_possible_value());
        add(
            "--log-level",
            self.log_level.and_then(|level| level.to_possible_value()),
        );
        options
    }
}

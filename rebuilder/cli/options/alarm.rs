//! When alarms are raised, and where they are sent.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use crate::audit::{Route, Watch};
use crate::bounded;
use crate::cli::failure::Failure;

/// Alarms of an audit.
#[derive(Args)]
#[command(next_help_heading = "Alarms")]
pub(crate) struct AlarmArgs {
    /// Raise an alarm if a package is not reproduced, but its COUNT previous versions were, or the same version was
    /// before; 0 raises none. First the package is rebuilt once more, with a good version as a control
    #[arg(
        id = "alarm_after",
        long = "alarm-after",
        value_name = "COUNT",
        default_value_t = 3
    )]
    after: usize,
    /// Run PROGRAM for each alarm, with the alarm as JSON on its standard input; may be repeated
    #[arg(id = "alarm_command", long = "alarm-command", value_name = "PROGRAM")]
    command: Vec<PathBuf>,
    /// Send each alarm as JSON to URL by POST; may be repeated
    #[arg(
        id = "alarm_webhook",
        long = "alarm-webhook",
        value_name = "URL",
        env = "REBUILDER_ALARM_WEBHOOK",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    webhook: Vec<Url>,
    /// File with the secret that webhook requests are signed with (HMAC-SHA-256)
    #[arg(
        id = "alarm_secret_file",
        long = "alarm-secret-file",
        value_name = "FILE",
        requires = "alarm_webhook"
    )]
    secret_file: Option<PathBuf>,
    /// Keep an Atom feed of the audit's alarms in FILE
    #[arg(id = "alarm_feed", long = "alarm-feed", value_name = "FILE")]
    pub(crate) feed: Option<PathBuf>,
}

impl AlarmArgs {
    pub(crate) fn watch(&self) -> Result<Watch, Failure> {
        let secret = match &self.secret_file {
            Some(path) => {
                let text = bounded::read_text(path, bounded::SHORT)
                    .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
                Some(text.trim_end().as_bytes().to_vec())
            }
            None => None,
        };
        let commands = self.command.iter().cloned().map(Route::Command);
        let webhooks = self.webhook.iter().cloned().map(|url| Route::Webhook {
            url,
            secret: secret.clone(),
        });
        Ok(Watch {
            nearest: self.after,
            routes: commands.chain(webhooks).collect(),
        })
    }
}

//! When alarms are raised, and where they are sent.

use std::path::{Path, PathBuf};

use clap::Args;
use lettre::message::Mailbox;
use url::Url;

use crate::audit::{Mail, Relay, Route, Watch};
use crate::bounded;
use crate::cli::failure::Failure;

/// Alarms of an audit.
#[derive(Args)]
#[command(next_help_heading = "Alarms")]
pub(crate) struct AlarmArgs {
    /// Raise an alarm if a package is not reproduced, but its COUNT previous versions were, or the same version was
    /// before; 0 raises none. First, a good version is rebuilt as a control, and then the package again
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
    /// Send each alarm by mail to ADDRESS; may be repeated
    #[arg(
        id = "alarm_mail",
        long = "alarm-mail",
        value_name = "ADDRESS",
        requires_all = ["alarm_smtp", "alarm_mail_from"]
    )]
    mail: Vec<Mailbox>,
    /// Sender of the mail
    #[arg(
        id = "alarm_mail_from",
        long = "alarm-mail-from",
        value_name = "ADDRESS",
        requires = "alarm_mail"
    )]
    from: Option<Mailbox>,
    /// Server that takes the mail: smtps://[USER@]HOST[:PORT], or smtp:// for STARTTLS. Without a USER, a server on
    /// this machine is reached without TLS
    #[arg(
        id = "alarm_smtp",
        long = "alarm-smtp",
        value_name = "URL",
        env = "REBUILDER_ALARM_SMTP",
        hide_env_values = true
    )]
    smtp: Option<Url>,
    /// File with the password of the user in --alarm-smtp [default: the variable REBUILDER_ALARM_SMTP_PASSWORD]
    #[arg(
        id = "alarm_smtp_password_file",
        long = "alarm-smtp-password-file",
        value_name = "FILE",
        requires = "alarm_smtp"
    )]
    password_file: Option<PathBuf>,
    /// Keep an Atom feed of the audit's alarms in FILE
    #[arg(id = "alarm_feed", long = "alarm-feed", value_name = "FILE")]
    pub(crate) feed: Option<PathBuf>,
}

impl AlarmArgs {
    pub(crate) fn watch(&self) -> Result<Watch, Failure> {
        let secret = self.secret_file.as_deref().map(secret).transpose()?;
        let secret = secret.map(String::into_bytes);
        let commands = self.command.iter().cloned().map(Route::Command);
        let webhooks = self.webhook.iter().cloned().map(|url| Route::Webhook {
            url,
            secret: secret.clone(),
        });
        let mut routes: Vec<Route> = commands.chain(webhooks).collect();
        if let (Some(url), Some(from)) = (&self.smtp, &self.from) {
            let relay = Relay::new(url, self.password(url)?).map_err(|reason| {
                let host = url.host_str().unwrap_or_default();
                Failure::usage(format!(
                    "cannot use the address of the mail server {host}: {reason}"
                ))
            })?;
            routes.extend(self.mail.iter().cloned().map(|to| {
                Route::Mail(Box::new(Mail {
                    to,
                    from: from.clone(),
                    relay: relay.clone(),
                }))
            }));
        }
        Ok(Watch {
            nearest: self.after,
            routes,
            sign: None,
        })
    }

    /// The password of the user whom the address names.
    fn password(&self, url: &Url) -> Result<Option<String>, Failure> {
        if let Some(path) = &self.password_file {
            return secret(path).map(Some);
        }
        let is_wanted = !url.username().is_empty();
        Ok(std::env::var("REBUILDER_ALARM_SMTP_PASSWORD")
            .ok()
            .filter(|_| is_wanted))
    }
}

/// A secret in a file, without the end of its line.
fn secret(path: &Path) -> Result<String, Failure> {
    let text = bounded::read_text(path, bounded::SHORT)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    Ok(text.trim_end().to_owned())
}

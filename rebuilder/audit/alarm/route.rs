//! Who is told of an alarm: a command, a webhook, a mailbox or a feed. A delivery that fails is tried again, with longer
//! and longer waits.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use url::Url;

use super::mail::Mail;
use crate::memory::{Audit, Memory, MemoryError, StoredAlarm};
use crate::run::failure::Fault;

/// Maximum time that a receiver may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A receiver of alarms.
#[derive(Debug, Clone)]
pub enum Route {
    /// A program that reads the alarm from its standard input, as JSON.
    Command(PathBuf),
    /// An address that takes the alarm by POST, as JSON; with a secret, the request is signed.
    Webhook {
        /// The address.
        url: Url,
        /// Key of the HMAC-SHA-256, if requests are signed.
        secret: Option<Vec<u8>>,
    },
    /// Somebody who gets mail, with the alarm attached.
    Mail(Box<Mail>),
}

/// Why a receiver was not told.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    #[error("cannot run {program}: {reason}")]
    Program { program: String, reason: String },
    #[error("cannot notify {host}: {reason}")]
    Webhook { host: String, reason: String },
    #[error("cannot send mail by {host}: {reason}")]
    Mail { host: String, reason: String },
}

impl Route {
    /// The name by which the memory knows the route; without a user, a password or a query.
    fn name(&self) -> String {
        match self {
            Self::Command(program) => format!("command {}", program.display()),
            Self::Webhook { url, .. } => {
                format!("webhook {}{}", url.host_str().unwrap_or_default(), url.path())
            }
            Self::Mail(mail) => format!("mail {} by {}", mail.to.email, mail.relay.host()),
        }
    }

    async fn tell(&self, alarm: &StoredAlarm) -> Result<(), RouteError> {
        match self {
            Self::Command(program) => {
                let (program, document) = (program.clone(), alarm.document.clone());
                let ran = tokio::task::spawn_blocking(move || run(&program, &document)).await;
                ran.unwrap_or_else(|error| {
                    Err(RouteError::Program {
                        program: self.name(),
                        reason: error.to_string(),
                    })
                })
            }
            Self::Webhook { url, secret } => post(url, secret.as_deref(), alarm).await,
            Self::Mail(mail) => {
                let sent = mail.send(alarm, PATIENCE).await;
                sent.map_err(|reason| RouteError::Mail {
                    host: mail.relay.host().to_owned(),
                    reason,
                })
            }
        }
    }
}

/// Tells each route the alarms that it was not told yet. Returns the failures, in words.
pub(super) async fn tell(
    memory: &Memory,
    audit: &Audit,
    routes: &[Route],
) -> Result<Vec<String>, MemoryError> {
    let mut failures = Vec::new();
    for route in routes {
        let name = route.name();
        let now = Timestamp::now().as_millisecond();
        for (alarm, tries) in memory.untold(audit, &name, now).await? {
            let tries = tries.saturating_add(1);
            let outcome = match route.tell(&alarm).await {
                Ok(()) => Ok(Timestamp::now().as_millisecond()),
                Err(error) => {
                    failures.push(error.to_string());
                    let wait = Fault::Infrastructure.again_after(u32::try_from(tries).unwrap_or(u32::MAX));
                    let wait = i64::try_from(wait.unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
                    Err((error.to_string(), now.saturating_add(wait)))
                }
            };
            memory.told(alarm.id, &name, tries, outcome).await?;
        }
    }
    Ok(failures)
}

/// Runs a program with the alarm on its standard input. The program must end by itself in time.
fn run(program: &Path, document: &str) -> Result<(), RouteError> {
    let failed = |reason: String| RouteError::Program {
        program: program.display().to_string(),
        reason,
    };
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its standard input may still do its work.
        let _ = stdin.write_all(document.as_bytes());
    }
    let begun = std::time::Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(failed(status.to_string())),
            Ok(None) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("it did not end within {} s", PATIENCE.as_secs())));
            }
            Err(error) => return Err(failed(error.to_string())),
        }
    }
}

async fn post(url: &Url, secret: Option<&[u8]>, alarm: &StoredAlarm) -> Result<(), RouteError> {
    let failed = |reason: String| RouteError::Webhook {
        host: url.host_str().unwrap_or_default().to_owned(),
        reason,
    };
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| failed(error.without_url().to_string()))?;
    let time = Timestamp::now().as_second().to_string();
    let mut request = client
        .post(url.clone())
        .header("Content-Type", "application/json")
        .header("X-Rebuilder-Alarm", alarm.id.to_string())
        .header("X-Rebuilder-Time", &time);
    if let Some(secret) = secret {
        request = request.header("X-Rebuilder-Signature", signature(secret, &time, &alarm.document));
    }
    let sent = request.body(alarm.document.clone()).send().await;
    let answer = sent.map_err(|error| failed(error.without_url().to_string()))?;
    if answer.status().is_success() {
        return Ok(());
    }
    Err(failed(format!("it answered {}", answer.status())))
}

/// HMAC-SHA-256 of the time, a full stop and the body. The time is signed so that the request cannot be
/// replayed later.
fn signature(secret: &[u8], time: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    let mut text = "sha256=".to_owned();
    for byte in tag.as_ref() {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_signed_as_the_page_says() {
        // printf '1.{}' | openssl dgst -sha256 -hmac key
        let expected = "sha256=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224";
        assert_eq!(signature(b"key", "1", "{}"), expected);
    }
}

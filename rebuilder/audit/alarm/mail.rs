//! Alarms by mail (SMTP, RFC 5321). Nothing in a header comes from outside as it is.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::{Host, Url};

use crate::error::with_causes;
use crate::memory::StoredAlarm;
use crate::text::visible;

/// Longest subject, in characters.
const SUBJECT: usize = 200;

/// How a connection to the server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    /// TLS from the first byte.
    Wrapped,
    /// TLS after STARTTLS, without which nothing is sent.
    Required,
    /// None: the server is on this machine, and needs no password.
    Local,
}

/// A server that takes mail.
#[derive(Clone)]
pub struct Relay {
    host: String,
    port: u16,
    security: Security,
    user: Option<(String, String)>,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the password.
        write!(f, "{}:{} ({:?})", self.host, self.port, self.security)
    }
}

impl Relay {
    /// Reads `smtps://[USER@]HOST[:PORT]` or `smtp://…`, which is STARTTLS except on this machine and without a
    /// password. The error says what is
    /// wrong.
    pub fn new(url: &Url, password: Option<String>) -> Result<Self, String> {
        if url.password().is_some() {
            return Err("a password must not be in it; use --alarm-smtp-password-file".into());
        }
        // The scheme is not one that has hosts for the parser: what it gives as a domain may be an address.
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err("it names no host".into()),
        };
        let address = host.parse::<IpAddr>();
        let is_near = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        let (security, usual) = match url.scheme() {
            "smtps" => (Security::Wrapped, 465),
            "smtp" if is_near && url.username().is_empty() => (Security::Local, 25),
            "smtp" => (Security::Required, 587),
            _ => return Err("write smtps://HOST or smtp://HOST".into()),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("it has more than a host and a port".into());
        }
        let user = percent_decode_str(url.username()).decode_utf8();
        let user = user.map_err(|_| "the user is not UTF-8".to_owned())?.into_owned();
        let user = match (user.is_empty(), password) {
            (true, None) => None,
            (false, Some(password)) => Some((user, password)),
            (true, Some(_)) => return Err("there is a password, but no user".into()),
            (false, None) => {
                return Err(
                    "there is a user, but no password; use --alarm-smtp-password-file or \
                    REBUILDER_ALARM_SMTP_PASSWORD"
                        .into(),
                );
            }
        };
        Ok(Self {
            host,
            port: url.port().unwrap_or(usual),
            security,
            user,
        })
    }

    /// For people.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    fn transport(
        &self,
        patience: Duration,
    ) -> Result<AsyncSmtpTransport<Tokio1Executor>, lettre::transport::smtp::Error> {
        let parameters = || TlsParameters::new_rustls(self.host.clone());
        let tls = match self.security {
            Security::Wrapped => Tls::Wrapper(parameters()?),
            Security::Required => Tls::Required(parameters()?),
            Security::Local => Tls::None,
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host);
        let mut builder = builder.port(self.port).tls(tls).timeout(Some(patience));
        if let Some((user, password)) = &self.user {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(builder.build())
    }
}

/// Somebody who gets mail.
#[derive(Debug, Clone)]
pub struct Mail {
    pub to: Mailbox,
    pub from: Mailbox,
    pub relay: Relay,
}

impl Mail {
    /// Sends an alarm; the error is a reason.
    pub(super) async fn send(&self, alarm: &StoredAlarm, patience: Duration) -> Result<(), String> {
        let message = self.message(alarm)?;
        let transport = self
            .relay
            .transport(patience)
            .map_err(|error| with_causes(&error))?;
        let sent = tokio::time::timeout(patience, transport.send(message)).await;
        match sent {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(with_causes(&error)),
            Err(_) => Err(format!(
                "it did not take the mail within {} s",
                patience.as_secs()
            )),
        }
    }

    fn message(&self, alarm: &StoredAlarm) -> Result<Message, String> {
        let document: Value = serde_json::from_str(&alarm.document).unwrap_or_default();
        let word = |name: &str| {
            let text = document.get(name).and_then(Value::as_str);
            visible(text.unwrap_or("?")).into_owned()
        };
        let about = format!("{} {} is {}", word("package"), word("version"), word("verdict"));
        let subject: String = format!("Regression: {about}").chars().take(SUBJECT).collect();
        let domain = self.from.email.domain();
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(self.to.clone())
            .subject(subject)
            // The same alarm that arrives twice can be told.
            .message_id(Some(format!(
                "<rebuilder-alarm-{}-{}@{domain}>",
                alarm.id, alarm.made
            )));
        let mut parts = MultiPart::mixed().singlepart(SinglePart::plain(text(&about, &document)));
        let json = || ContentType::parse("application/json").map_err(|error| error.to_string());
        parts = parts.singlepart(Attachment::new("alarm.json".into()).body(alarm.document.clone(), json()?));
        if let Some(bundle) = document.get("attestation") {
            let bundle = crate::text::json(bundle);
            parts =
                parts.singlepart(Attachment::new("regression.sigstore.json".into()).body(bundle, json()?));
        }
        for (name, value) in [
            // Nobody answers, and no program should (RFC 3834).
            ("Auto-Submitted", "auto-generated".to_owned()),
            ("X-Rebuilder-Alarm", alarm.id.to_string()),
        ] {
            let name = HeaderName::new_from_ascii(name.into()).map_err(|error| error.to_string())?;
            message = message.raw_header(HeaderValue::new(name, value));
        }
        message.multipart(parts).map_err(|error| with_causes(&error))
    }
}

/// What the mail says.
fn text(about: &str, document: &Value) -> String {
    let word = |value: &Value| visible(value.as_str().unwrap_or("?")).into_owned();
    let good = &document["last_good"];
    let mut lines = vec![
        format!("{about}."),
        String::new(),
        format!("Worth: {}", word(&document["worth"])),
        format!(
            "Last good: {} was {} on {}",
            word(&good["version"]),
            word(&good["verdict"]),
            word(&good["at"])
        ),
    ];
    if let Some(control) = document.get("control") {
        lines.push(format!(
            "Control: {} is {} today",
            word(&control["subject"]),
            word(&control["verdict"])
        ));
    }
    lines.push(format!(
        "Audit: {}, run {}",
        word(&document["audit"]),
        document["run"]
    ));
    let changed = &document["changed"];
    for (name, label) in [("causes", "Causes"), ("files", "Files")] {
        let all = changed[name].as_array().into_iter().flatten();
        let all: Vec<String> = all.map(word).collect();
        if !all.is_empty() {
            lines.push(format!("{label}: {}", all.join(", ")));
        }
    }
    lines.push(String::new());
    lines.push("alarm.json has all that is known of it.".into());
    if document.get("attestation").is_some() {
        lines.push("regression.sigstore.json is the same, signed.".into());
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn passwords_are_sent_over_tls_and_are_never_in_an_address() {
        for (url, password, expected) in [
            ("smtps://u@mail.example", true, Some((465, Security::Wrapped))),
            (
                "smtps://mail.example:1465/",
                false,
                Some((1465, Security::Wrapped)),
            ),
            ("smtp://u%40h@mail.example", true, Some((587, Security::Required))),
            ("smtp://u@127.0.0.1", true, Some((587, Security::Required))),
            ("smtp://127.0.0.1", false, Some((25, Security::Local))),
            ("smtp://[::1]:2525", false, Some((2525, Security::Local))),
            ("smtp://localhost:2525", false, Some((2525, Security::Local))),
            (
                "smtp://localhost.example.org",
                false,
                Some((587, Security::Required)),
            ),
            ("smtps://u:p@mail.example", false, None),
            ("smtps://u@mail.example", false, None),
            ("smtps://mail.example", true, None),
            ("smtps://mail.example/?tls=none", false, None),
            ("http://mail.example", false, None),
        ] {
            let relay = Relay::new(&url.parse().unwrap(), password.then(|| "secret".to_owned()));
            let found = relay.as_ref().ok().map(|relay| (relay.port, relay.security));
            assert_eq!(found, expected, "{url}");
            assert!(!format!("{relay:?}").contains("secret"), "{url}");
        }
        let relay = Relay::new(&"smtp://u%40h@mail.example".parse().unwrap(), Some("p".into())).unwrap();
        assert_eq!(relay.user.unwrap().0, "u@h");
    }

    #[test]
    fn no_text_from_outside_begins_a_header() {
        let relay = Relay::new(&"smtp://127.0.0.1".parse().unwrap(), None).unwrap();
        let mail = Mail {
            to: "them@example.org".parse().unwrap(),
            from: "us@example.org".parse().unwrap(),
            relay,
        };
        let evil = "x\r\nBcc: victim@example.org\r\n\r\n<html>\u{202e}";
        let document = serde_json::json!({
            "package": evil, "version": evil, "verdict": evil, "worth": evil, "audit": evil, "run": 1,
            "last_good": {"version": evil, "verdict": evil, "at": evil}, "changed": {"causes": [evil], "files": [evil]}
        });
        let message = mail.message(&StoredAlarm {
            id: 3,
            made: 5,
            document: document.to_string(),
        });
        let sent = String::from_utf8(message.unwrap().formatted()).unwrap();
        let (head, _) = sent.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
            .filter_map(|line| Some(line.split_once(':')?.0))
            .collect();
        assert!(!names.contains(&"Bcc"), "{head}");
        assert!(
            head.contains("Message-ID: <rebuilder-alarm-3-5@example.org>"),
            "{head}"
        );
        assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
    }
}

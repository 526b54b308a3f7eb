//! Alarms by mail: a mail server of others (aiosmtpd), with TLS and a password, and what it was sent.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rebuilder::memory::Memory;
use rebuilder::store::Store;
use serde_json::{Value, json};

use crate::common::{code, json as document, rebuilder_in, text, third_party_python};

/// The server, and the documents that it prints.
struct MailServer {
    child: Child,
    said: Receiver<Value>,
    port: u16,
    root: PathBuf,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl MailServer {
    fn start(python: &Path, folder: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = folder.join("root.pem");
        fs::write(&root, params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let (at, private) = (folder.join("mail.pem"), folder.join("mail.key"));
        fs::write(&at, certificate.pem()).unwrap();
        fs::write(&private, key.serialize_pem()).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/third-party/smtp.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(port.to_string())
            .args([&at, &private])
            .args(["tester", "pass word"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, said) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).unwrap());
            }
        });
        let server = Self {
            child,
            said,
            port,
            root,
        };
        assert_eq!(server.next(), Some(json!("listening")));
        server
    }

    fn next(&self) -> Option<Value> {
        self.said.recv_timeout(Duration::from_secs(20)).ok()
    }
}

/// What the name of a package may try.
const EVIL: &str = "pkg:pypi/x\r\nBcc: victim@example.org\r\n\r\n<html>\u{202e}";

/// An alarm that was raised before, as the memory keeps it.
fn alarm() -> Value {
    json!({
        "subject": "pypi:idna==3.4", "package": EVIL, "version": "3.4", "verdict": "mismatch",
        "at": "2026-11-26T12:00:00Z", "audit": "list", "run": 1, "worth": "confirmed",
        "basis": {"rule": "same-version", "times": 2},
        "last_good": {"version": "3.4", "verdict": "reproduced", "at": "2026-11-25T12:00:00Z"},
        "repeats": [{"subject": "pypi:idna==3.4", "verdict": "mismatch"}],
        "control": {"subject": "pypi:idna==3.3", "verdict": "reproduced"},
        "attestation": {"dsseEnvelope": {"payload": "e30=", "signatures": []}}
    })
}

struct Audit {
    folder: tempfile::TempDir,
}

impl Audit {
    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs an audit that finds nothing new, because there is no network.
    fn run(&self, server: &MailServer, more: &[&str]) -> Output {
        let mut command = rebuilder_in(self.folder.path());
        command.env("SSL_CERT_FILE", &server.root);
        command.args([
            "--json",
            "--offline",
            "audit",
            "run",
            &self.at("list.txt"),
            "--unsigned",
        ]);
        command.args(["--memory", &format!("sqlite:{}", self.at("memory.sqlite"))]);
        command.args(more).output().unwrap()
    }

    fn mail(&self, server: &MailServer, password: &str) -> Output {
        fs::write(self.at("password"), format!("{password}\n")).unwrap();
        let url = format!("smtp://tester@127.0.0.1:{}", server.port);
        let password = self.at("password");
        let more = [
            "--alarm-mail",
            "Someone <them@example.org>",
            "--alarm-mail-from",
            "us@example.org",
            "--alarm-smtp",
            &url,
            "--alarm-smtp-password-file",
            &password,
        ];
        let output = self.run(server, &more);
        assert!(!text(&output).contains("pass word"), "{}", text(&output));
        output
    }

    async fn memory(&self) -> Memory {
        let url = format!("sqlite:{}", self.at("memory.sqlite"));
        let store = Store::open(Some(self.folder.path().to_owned())).unwrap();
        Memory::open(Some(&url), &store).await.unwrap()
    }
}

#[apply(test)]
fn an_alarm_arrives_by_mail_once_and_no_text_of_it_is_a_header() {
    let Some(python) = third_party_python() else {
        return;
    };
    let audit = Audit {
        folder: tempfile::tempdir().unwrap(),
    };
    fs::write(audit.at("list.txt"), "pypi:idna==3.4\n").unwrap();
    let server = MailServer::start(&python, audit.folder.path());
    assert_eq!(code(&audit.run(&server, &[])), 4);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let memory = audit.memory().await;
        let audits = memory.audits().await.unwrap();
        let (attempt,): (i64,) = sqlx::query_as("SELECT id FROM attempts")
            .fetch_one(memory.read())
            .await
            .unwrap();
        let text = alarm().to_string();
        let kept = memory.keep_alarm(&audits[0], attempt, "confirmed", 1_764_158_400_000, &text);
        kept.await.unwrap();
        memory.close().await;
    });

    // With a wrong password nothing is sent, and it is said who was not told.
    let summary = document(&audit.mail(&server, "wrong"));
    let not_told = summary["not_told"].to_string();
    assert!(not_told.contains("cannot send mail by 127.0.0.1"), "{not_told}");
    assert!(not_told.contains("535"), "{not_told}");
    // The next run is too early, and says nothing.
    assert_eq!(
        document(&audit.mail(&server, "pass word"))["not_told"],
        Value::Null
    );
    runtime.block_on(async {
        let memory = audit.memory().await;
        let done = sqlx::query("UPDATE deliveries SET again_at = 0")
            .execute(memory.write())
            .await;
        assert_eq!(done.unwrap().rows_affected(), 1);
        memory.close().await;
    });
    assert_eq!(
        document(&audit.mail(&server, "pass word"))["not_told"],
        Value::Null
    );
    let mail = server.next().expect("no mail came");
    assert_eq!(
        (&mail["from"], &mail["to"]),
        (&json!("us@example.org"), &json!(["them@example.org"]))
    );
    assert_eq!(
        (&mail["tls"], &mail["authenticated"]),
        (&json!(true), &json!(true))
    );
    let headers = mail["headers"].as_array().unwrap();
    let header = |name: &str| {
        let mut found = headers.iter().filter(|header| header[0] == name);
        let value = found.next().map(|header| header[1].as_str().unwrap().to_owned());
        assert!(found.next().is_none(), "{name} is there twice");
        value
    };
    assert_eq!(header("Bcc"), None, "{headers:?}");
    assert_eq!(header("To").unwrap(), "Someone <them@example.org>");
    assert_eq!(header("Auto-Submitted").unwrap(), "auto-generated");
    let subject = header("Subject").unwrap();
    assert!(
        subject.starts_with("Regression: pkg:pypi/x<U+000D><U+000A>Bcc: victim"),
        "{subject}"
    );
    let said = mail["text"].as_str().unwrap();
    assert!(
        said.contains("Last good: 3.4 was reproduced on 2026-11-25"),
        "{said}"
    );
    assert!(
        said.contains("Control: pypi:idna==3.3 is reproduced today"),
        "{said}"
    );
    assert!(!said.contains('\u{202e}'), "{said}");
    let attached =
        |name: &str| -> Value { serde_json::from_str(mail["attachments"][name].as_str().unwrap()).unwrap() };
    assert_eq!(attached("alarm.json"), alarm());
    assert_eq!(attached("regression.sigstore.json"), alarm()["attestation"]);

    // It is told once.
    assert_eq!(
        document(&audit.mail(&server, "pass word"))["not_told"],
        Value::Null
    );
    assert!(server.said.recv_timeout(Duration::from_secs(1)).is_err());
    let memory = fs::read(audit.at("memory.sqlite")).unwrap();
    assert!(!memory.windows(9).any(|window| window == b"pass word"));

    // A password in an address is not accepted, nor shown.
    let wrong = [
        "--alarm-mail",
        "them@example.org",
        "--alarm-mail-from",
        "us@example.org",
        "--alarm-smtp",
        "smtps://tester:shown@127.0.0.1",
    ];
    let output = audit.run(&server, &wrong);
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(!text(&output).contains("shown"), "{}", text(&output));
    let output = audit.run(
        &server,
        &[
            "--alarm-mail",
            "a@b\r\nBcc: c@d",
            "--alarm-mail-from",
            "us@example.org",
        ],
    );
    assert_eq!(code(&output), 2, "{}", text(&output));
}

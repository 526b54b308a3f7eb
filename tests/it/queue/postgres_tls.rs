//! PostgreSQL over TLS: a server of our own, with a certificate that one authority signed and another one did not.

use std::time::Duration;

use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::service::{Service, end};
use crate::common::postgres::{Identity, POSTGRES, Postgres};
use crate::common::{code, needs, rebuilder, text};

/// An authority, and the PEM of its root.
fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let root = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), root)
}

#[apply(test)]
fn a_database_is_reached_over_tls_if_it_is_the_right_one() {
    needs(&[POSTGRES]);
    let folder = tempfile::tempdir().unwrap();
    let (issuer, root) = authority("the right one");
    let (_, other) = authority("another one");
    let place = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let (root, other) = (place("root.pem", &root), place("other.pem", &other));
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let (_server, port) = Postgres::start_with_tls(&Identity {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    });
    let status = |url: &str| {
        let mut command = rebuilder();
        let output = command
            .args(["--json", "queue", "status", "--memory", url])
            .output()
            .unwrap();
        (code(&output), text(&output))
    };
    let at = |host: &str, mode: &str| format!("postgres://tests@{host}:{port}/postgres?sslmode={mode}");
    for (url, expected, reason) in [
        (
            format!("{}&sslrootcert={root}", at("localhost", "verify-full")),
            0,
            "",
        ),
        (
            format!("{}&sslrootcert={root}", at("127.0.0.1", "verify-ca")),
            0,
            "",
        ),
        (at("localhost", "require"), 0, ""),
        (
            format!("{}&sslrootcert={other}", at("localhost", "verify-full")),
            4,
            "certificate",
        ),
        // What every browser trusts did not sign it.
        (at("localhost", "verify-full"), 4, "certificate"),
        // It is not a certificate for this name.
        (
            format!("{}&sslrootcert={root}", at("127.0.0.1", "verify-full")),
            4,
            "certificate",
        ),
        (
            format!("{}&sslrootcert={root}.gone", at("localhost", "verify-full")),
            4,
            "No such file",
        ),
        // The server does not speak without TLS, so what was accepted above was encrypted.
        (at("localhost", "disable"), 4, "no encryption"),
    ] {
        let (code, said) = status(&url);
        assert_eq!(code, expected, "{url}: {said}");
        assert!(said.contains(reason), "{url}: {said}");
    }
    // A server and a worker do their work over it.
    let url = format!("{}&sslrootcert={root}", at("localhost", "verify-full"));
    let mut service = Service::start(Some(url), &[]);
    service.operator(&["queue", "probe", "--count", "20"]);
    let worker = service.worker("one", None, &["--jobs", "4"]);
    assert!(
        service.drained(Duration::from_mins(1)),
        "{}",
        service.server_log()
    );
    assert_eq!(service.jobs("done"), 20);
    end(worker, Signal::SIGTERM);
    service.end(Signal::SIGTERM);
}

//! What the service signs is public at once.

use std::fs;

use super::{Office, WORKERS, runs};
use crate::common::{NETWORK, ROOT, SANDBOX, code, json, needs, rebuilder, text};

#[apply(test)]
fn what_is_signed_is_public_at_once() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("public").to_str().unwrap().to_owned();
    let options = [
        "--public-log",
        &folder,
        "--public-log-origin",
        "example.com/verdicts",
    ];
    let office = Office::open(&options);
    let key = fs::read_to_string(outside.path().join("public/checkpoint")).unwrap();
    assert!(key.starts_with("example.com/verdicts\n0\n"), "{key}");
    let command = |arguments: &[&str]| {
        let mut command = rebuilder();
        command.env("XDG_CONFIG_HOME", office.folder.path().join("keys"));
        command.arg("log").args(arguments).output().unwrap()
    };
    let (own, passphrase) = ("keys/key.pem", "keys/passphrase");
    let [own, passphrase] =
        [own, passphrase].map(|name| office.folder.path().join(name).display().to_string());
    let output = command(&[
        "key",
        "--origin",
        "example.com/verdicts",
        "--key",
        &own,
        "--passphrase-file",
        &passphrase,
    ]);
    let key = String::from_utf8(output.stdout).unwrap().trim().to_owned();

    let first = office.run("first", &runs()[0], WORKERS[0]);
    let second = office.run("second", &runs()[1], WORKERS[1]);
    assert_eq!(code(&office.ask(&first, WORKERS[0])), 4);
    for (count, run, worker) in [(1, &second, WORKERS[1]), (2, &first, WORKERS[0])] {
        let signed = office.ask(run, worker);
        assert_eq!(code(&signed), 0, "{}", text(&signed));
        // The service runs under its own umask, and a web server can read what it shows.
        let bundle = run.join("attestation.sigstore.json").display().to_string();
        let verify = [
            "verify",
            &folder,
            "--log-key",
            &key,
            "--attestation",
            &bundle,
            "--json",
        ];
        let output = command(&verify);
        assert_eq!(code(&output), 0, "{}", text(&output));
        let whole = json(&output);
        assert_eq!(
            (&whole["size"], &whole["entries"]["reproduced"]),
            (&count.into(), &count.into())
        );
    }
    for (path, mode) in [
        ("", 0o755),
        ("checkpoint", 0o644),
        ("tile/entries/000.p", 0o755),
        ("tile/0/000.p/2", 0o644),
    ] {
        use std::os::unix::fs::PermissionsExt as _;
        let found = fs::metadata(outside.path().join("public").join(path)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, mode, "{path}");
    }
}

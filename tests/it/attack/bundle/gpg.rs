//! A key ring of OpenPGP for one case.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use crate::attack::ground::Ground;
use crate::common::text;

/// OpenPGP, as far as this machine has it.
pub(super) struct Gpg<'a>(&'a Ground);

impl<'a> Gpg<'a> {
    pub(super) fn new(ground: &'a Ground) -> Option<Self> {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
        let home = ground.folder().join("gnupg");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let owner = fs::metadata(ground.folder()).unwrap();
        chown(&home, Some(owner.uid()), Some(owner.gid())).unwrap();
        let gpg = Self(ground);
        let made = gpg.run(&["--quick-generate-key", "release", "ed25519", "sign", "never"]);
        if !made.is_some_and(|output| output.status.success()) {
            crate::common::skip_part("gpg");
            return None;
        }
        ground.write("pgp.asc", gpg.run(&["--armor", "--export"]).unwrap().stdout);
        Some(gpg)
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Option<Output> {
        let mut command = self.0.command("gpg");
        command.env("GNUPGHOME", self.0.folder().join("gnupg"));
        command.args([
            "--batch",
            "--yes",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]);
        command.args(arguments).output().ok()
    }

    /// The text, clear-signed.
    pub(super) fn sign(&self, content: &str) -> PathBuf {
        let plain = self.0.write("plain.txt", content);
        let output = self
            .run(&["--output", "-", "--clearsign", plain.to_str().unwrap()])
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        self.0.write("signed.asc", output.stdout)
    }
}

impl Drop for Gpg<'_> {
    fn drop(&mut self) {
        let mut command = self.0.command("gpgconf");
        command.env("GNUPGHOME", self.0.folder().join("gnupg"));
        let _ = command.args(["--kill", "all"]).output();
    }
}

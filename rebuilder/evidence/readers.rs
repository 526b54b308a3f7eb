//! Readers of evidence in other forms than the documents of [`super::document`].

use std::sync::LazyLock;

use super::layout::Layout;
use super::openpgp::{self, Keyring};
use super::trust::{Trust, TrustedKey};
use super::{deb822, git_signature, oci, trusted_publisher};
use crate::artifact::Sha256;
use crate::reader::{Reader, as_file};

/// Any keyring will do here.
const KEYRING: &[u8] = include_bytes!("../../containers/keyrings/debian-archive.gpg");

static TRUST: LazyLock<Option<Trust>> = LazyLock::new(|| {
    let key = TrustedKey::parse("archive", KEYRING).ok()?;
    Some(Trust::public_good().ok()?.with(&[key]))
});

/// Entry points for fuzzing.
pub const READERS: &[Reader] = &[
    ("archive-release", |bytes| {
        if let Ok(release) = deb822::one_paragraph("x", bytes) {
            let field = |name| release.get(name).unwrap_or_default();
            deb822::parse_date(field("Date"));
            drop(deb822::checksums("x", field("SHA256")));
        }
    }),
    ("clear-signed", |bytes| {
        drop(openpgp::read_unverified("x", bytes));
        if let Ok(keyring) = Keyring::parse("x", KEYRING) {
            drop(keyring.verify("x", bytes));
        }
    }),
    ("openpgp-signature", |bytes| {
        drop(openpgp::issuers("x", bytes));
        if let Ok(keyring) = Keyring::parse("x", KEYRING) {
            drop(keyring.verify_detached("x", bytes, &b"x"[..]));
        }
    }),
    ("git-commit", |bytes| {
        if let Some(trust) = &*TRUST {
            git_signature::of_commit(bytes, trust);
        }
    }),
    ("git-tag", |bytes| {
        if let Some(trust) = &*TRUST {
            git_signature::of_tag(bytes, trust);
        }
    }),
    ("trusted-publisher", |bytes| {
        trusted_publisher::claim(bytes, "x", "1", Sha256::of("x"), None);
    }),
    ("oci-layout", |bytes| {
        as_file(bytes, |path| drop(oci::images(path)));
    }),
    ("oci-manifest", |bytes| drop(oci::Manifest::parse(bytes))),
    ("layout", |bytes| drop(Layout::parse(bytes))),
    ("key", |bytes| drop(TrustedKey::parse("x", bytes))),
];

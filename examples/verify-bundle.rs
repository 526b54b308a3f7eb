//! Verifies a Sigstore bundle with the command line of the Sigstore clients' conformance suite
//! (github.com/sigstore/sigstore-conformance, docs/cli_protocol.md). To run the suite against it:
//!
//! ```sh
//! cargo build --release --example verify-bundle
//! pytest test --entrypoint=$PWD/target/release/examples/verify-bundle --skip-signing
//! ```
//!
//! ```text
//! verify-bundle verify-bundle [--staging] --bundle FILE
//!     (--certificate-identity IDENTITY --certificate-oidc-issuer URL | --key FILE)
//!     [--trusted-root FILE] FILE_OR_DIGEST
//! ```

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rebuilder::evidence::sigstore::{Sigstore, Unverified};
use sigstore_verify::types::{Artifact, DerPublicKey, Sha256Hash};
use sigstore_verify::{Policy, PublicKeyVerificationPolicy, VerificationPolicy};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Verify a bundle
    VerifyBundle(Options),
}

#[derive(clap::Args)]
struct Options {
    /// Use Sigstore's staging instance
    #[arg(long)]
    staging: bool,
    /// File with the bundle
    #[arg(long)]
    bundle: PathBuf,
    /// Identity that must have signed
    #[arg(long, required_unless_present = "key")]
    certificate_identity: Option<String>,
    /// OpenID Connect issuer that must have confirmed the identity
    #[arg(long, required_unless_present = "key")]
    certificate_oidc_issuer: Option<String>,
    /// Public key to verify with, instead of an identity
    #[arg(long, conflicts_with_all = ["certificate_identity", "certificate_oidc_issuer"])]
    key: Option<PathBuf>,
    /// Trusted root to use instead of the public-good instance's
    #[arg(long)]
    trusted_root: Option<PathBuf>,
    /// Artifact, or its digest as sha256:HEX
    artifact: String,
}

fn main() -> ExitCode {
    let Command::VerifyBundle(options) = Cli::parse().command;
    match verify(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn verify(options: &Options) -> anyhow::Result<()> {
    let sigstore = match (&options.trusted_root, options.staging) {
        (Some(path), _) => Sigstore::read(path)?,
        (None, true) => Sigstore::staging()?,
        (None, false) => Sigstore::public_good()?,
    };
    let bundle = Unverified::parse(&std::fs::read(&options.bundle)?)?;
    let policy: Box<dyn Policy> = match (
        &options.key,
        &options.certificate_identity,
        &options.certificate_oidc_issuer,
    ) {
        (Some(key), ..) => {
            let key = DerPublicKey::from_pem(&std::fs::read_to_string(key)?)?;
            Box::new(PublicKeyVerificationPolicy::new(key))
        }
        (None, Some(identity), Some(issuer)) => Box::new(VerificationPolicy::new(identity, issuer)),
        _ => anyhow::bail!("name an identity and its issuer, or a key"),
    };
    let digest = options.artifact.strip_prefix("sha256:");
    let digest = digest.and_then(|digits| Sha256Hash::from_hex(digits).ok());
    if let Some(digest) = digest.filter(|_| !std::path::Path::new(&options.artifact).exists()) {
        sigstore.verify_artifact(&bundle, digest, policy.as_ref())?
    } else {
        let bytes = std::fs::read(&options.artifact)?;
        sigstore.verify_artifact(&bundle, Artifact::from_blob(&bytes), policy.as_ref())?
    };
    Ok(())
}

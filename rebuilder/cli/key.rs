//! `rebuilder key …` and `rebuilder attest`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::config_folder;
use super::failure::Failure;
use crate::attest::{self, Algorithm, SigningKey};
use crate::rebuild::RunFolder;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a signing key
    Generate {
        /// Kind of key
        #[arg(long, value_enum, default_value_t = Algorithm::Ed25519)]
        algorithm: Algorithm,
        /// File for the private key; the public one goes to FILE.pub [default: $XDG_CONFIG_HOME/rebuilder/key.pem]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Print the public key, for those who verify
    Public {
        /// Signing key [default: $XDG_CONFIG_HOME/rebuilder/key.pem]
        #[arg(long, value_name = "FILE", env = "REBUILDER_KEY")]
        key: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct AttestArgs {
    /// Folder of a run
    run: PathBuf,
    /// Signing key [default: $XDG_CONFIG_HOME/rebuilder/key.pem]
    #[arg(long, value_name = "FILE", env = "REBUILDER_KEY")]
    key: Option<PathBuf>,
    /// Our builder.id [default: urn:rebuilder:KEY-FINGERPRINT]
    #[arg(long, value_name = "URI", env = "REBUILDER_BUILDER_ID")]
    builder_id: Option<String>,
}

pub(crate) fn run(command: &Command, json: bool) -> Result<ExitCode, Failure> {
    match command {
        Command::Generate { algorithm, to } => {
            let path = key_path(to.clone())?;
            let key = SigningKey::generate(*algorithm, &path)?;
            if json {
                println!(
                    "{}",
                    json!({"key": path, "fingerprint": key.fingerprint(), "public": key.public_pem()})
                );
            } else {
                println!("{}  sha256:{}", path.display(), key.fingerprint());
            }
        }
        Command::Public { key } => {
            let key = SigningKey::read(&key_path(key.clone())?)?;
            if json {
                println!(
                    "{}",
                    json!({"fingerprint": key.fingerprint(), "public": key.public_pem()})
                );
            } else {
                print!("{}", key.public_pem());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn attest(args: &AttestArgs, json: bool) -> Result<ExitCode, Failure> {
    let key = SigningKey::read(&key_path(args.key.clone())?)?;
    let statement = attest::attest(&args.run, &key, args.builder_id.as_deref())?;
    let bundle = RunFolder::new(&args.run).bundle();
    if json {
        println!("{}", json!({"attestation": bundle, "statement": statement}));
    } else {
        println!("{}", bundle.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn key_path(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    named.map_or_else(|| Ok(config_folder()?.join("key.pem")), Ok)
}

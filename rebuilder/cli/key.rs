//! `rebuilder key …`: creates, lists, rotates and revokes signing keys.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::failure::Failure;
use super::options::signing::{KeyArgs, PassphraseArgs};
use super::{Common, config_folder, output};
use crate::artifact::Sha256;
use crate::attest::key::{KeyState, ListedKey};
use crate::attest::log::{Log, Uses};
use crate::attest::{Algorithm, FileKey, Inventory, KeyError, Public, Reference, Signer};
use crate::store::StoreError;
use crate::text::{self, Screen, plural};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create a signing key
    Generate {
        /// Kind of key
        #[arg(long, value_enum, default_value_t = Algorithm::Ed25519)]
        algorithm: Algorithm,
        /// File for the private key; the public one goes to FILE.pub [default: $XDG_CONFIG_HOME/rebuilder/key.pem]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Encrypt the key with a passphrase, which --passphrase-file gives or a prompt asks for
        #[arg(long)]
        encrypt: bool,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Print the public key, for verifiers
    Public {
        /// Print it in the form that readers of in-toto links expect (Ed25519 with a NULL parameter)
        #[arg(long)]
        in_toto: bool,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Add an existing key, such as one on a token, to the inventory
    Add {
        #[command(flatten)]
        key: KeyArgs,
    },
    /// List the keys: age, uses, projects, and storage problems
    List {
        /// Log of signatures to count uses in; may be repeated [default: the user's own logs]
        #[arg(long, value_name = "FILE")]
        log: Vec<PathBuf>,
    },
    /// Replace a key; both are valid during an overlap
    Rotate {
        /// New key; the file is created if it does not exist [default: key.pem; the old one is renamed]
        #[arg(long, value_name = "KEY")]
        to: Option<String>,
        /// Kind of the new key
        #[arg(long, value_enum, default_value_t = Algorithm::Ed25519)]
        algorithm: Algorithm,
        /// Encrypt the new key with the same passphrase
        #[arg(long)]
        encrypt: bool,
        /// Days for which the old key may still sign
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        overlap: u16,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Revoke a key: it can no longer sign; policies can record the date
    Revoke {
        /// Start of its fingerprint
        fingerprint: String,
        /// Reason
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
}

/// The inventory of keys.
pub(super) fn inventory() -> Result<PathBuf, Failure> {
    Ok(config_folder()?.join("keys.json"))
}

/// The log of the signing service.
pub(super) fn signer_log() -> Result<PathBuf, Failure> {
    Ok(config_folder()?.join("signer.jsonl"))
}

/// The log of signatures made without a signing service.
pub(super) fn own_log() -> Result<PathBuf, Failure> {
    Ok(config_folder()?.join("signatures.jsonl"))
}

pub(crate) fn run(common: &Common, command: &Command) -> Result<ExitCode, Failure> {
    let json = common.json;
    match command {
        Command::Generate {
            algorithm,
            to,
            encrypt,
            passphrase,
        } => generate(json, *algorithm, to.as_deref(), *encrypt, passphrase)?,
        Command::Public { key, in_toto } => show_public(json, key, *in_toto)?,
        Command::Add { key } => {
            let signer = key.open_any()?;
            let (public, reference) = (public(signer.as_ref())?, key.reference()?);
            Inventory::read(&inventory()?)?.add(public.fingerprint(), &reference, Timestamp::now())?;
            show_key(json, &reference, public)?;
        }
        Command::List { log } => list(common, log)?,
        Command::Rotate {
            key,
            to,
            algorithm,
            encrypt,
            overlap,
        } => rotate(json, key, to.as_deref(), *algorithm, *encrypt, *overlap)?,
        Command::Revoke { fingerprint, because } => revoke(json, fingerprint, because)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show_public(json: bool, key: &KeyArgs, in_toto: bool) -> Result<(), Failure> {
    let signer = key.open_any()?;
    let public = public(signer.as_ref())?;
    let text = if in_toto {
        let name = signer.name();
        public.in_toto_pem().ok_or(KeyError::NotEd25519 { name })?
    } else {
        public.pem()
    };
    if json {
        return output::print_json(&json!({"fingerprint": public.fingerprint(), "public": text}));
    }
    let mut screen = output::screen();
    pem(&mut screen, &text);
    output::print(&screen)
}

fn revoke(json: bool, fingerprint: &str, because: &str) -> Result<(), Failure> {
    let entry = Inventory::read(&inventory()?)?.revoke(fingerprint, because, Timestamp::now())?;
    if json {
        return output::print_json(&entry);
    }
    let (at, _) = entry.revoked.clone().unwrap_or_default();
    let mut screen = output::screen();
    screen.say(format_args!(
        "revoked sha256:{}; add to policies that name it:",
        entry.fingerprint
    ));
    screen.gap();
    screen.say(format_args!("    revoked = \"{at}\""));
    // As a string of TOML, which has the escapes of JSON.
    screen.say(format_args!("    revoked-because = {}", text::json(because)));
    output::print(&screen)
}

fn generate(
    json: bool,
    algorithm: Algorithm,
    to: Option<&Path>,
    encrypt: bool,
    passphrase: &PassphraseArgs,
) -> Result<(), Failure> {
    let path = match to {
        Some(path) => path.to_owned(),
        None => config_folder()?.join("key.pem"),
    };
    let secret = new_passphrase(encrypt, passphrase, &path)?;
    let key = FileKey::generate(algorithm, &path, secret.as_deref())?;
    let fingerprint = key.public_key().fingerprint();
    let real = path.canonicalize().unwrap_or(path);
    Inventory::read(&inventory()?)?.add(fingerprint, &real.display().to_string(), Timestamp::now())?;
    show_key(json, &real.display().to_string(), key.public_key())
}

fn new_passphrase(encrypt: bool, args: &PassphraseArgs, path: &Path) -> Result<Option<String>, Failure> {
    if !encrypt {
        return Ok(None);
    }
    let locked = || KeyError::Locked {
        path: path.to_owned(),
    };
    let secret = args.read("New passphrase: ")?.filter(|secret| !secret.is_empty());
    Ok(Some(secret.ok_or_else(locked)?))
}

fn public(signer: &dyn Signer) -> Result<&Public, Failure> {
    let none = || Failure::usage("cannot show a key: keyless signing does not have one".into());
    signer.public().ok_or_else(none)
}

fn show_key(json: bool, reference: &str, public: &Public) -> Result<(), Failure> {
    if json {
        output::print_json(
            &json!({"key": reference, "fingerprint": public.fingerprint(), "public": public.pem()}),
        )
    } else {
        let mut screen = output::screen();
        screen.say(format_args!("{reference}  sha256:{}", public.fingerprint()));
        output::print(&screen)
    }
}

fn pem(screen: &mut Screen, text: &str) {
    for line in text.lines() {
        screen.say(line);
    }
}

fn list(common: &Common, logs: &[PathBuf]) -> Result<(), Failure> {
    let logs = if logs.is_empty() {
        vec![own_log()?, signer_log()?]
    } else {
        logs.to_vec()
    };
    let mut uses = Vec::new();
    for log in logs.iter().filter(|log| log.exists()) {
        uses.push(Log::uses(log)?);
    }
    let of = |fingerprint: Sha256| {
        let mut all = Uses::default();
        for more in uses.iter().filter_map(|uses| uses.get(&fingerprint.to_hex())) {
            all.count = all.count.saturating_add(more.count);
            all.last = all.last.max(more.last);
            all.projects.extend(more.projects.iter().cloned());
        }
        all
    };
    // A machine has run builds if its store has roots, layers or runs.
    let store = crate::store::Store::open(common.store.clone())?;
    let keys = Inventory::read(&inventory()?)?.list(of, store.has_builds(), Timestamp::now());
    if common.json {
        return output::print_json(&json!({"version": 1, "keys": keys}));
    }
    let mut screen = output::screen();
    if keys.is_empty() {
        screen.say(
            "the inventory has no keys; create one with \"rebuilder key generate\", or add one with \"rebuilder key add\"",
        );
    }
    for key in &keys {
        describe(&mut screen, key);
    }
    output::print(&screen)
}

fn describe(screen: &mut Screen, key: &ListedKey) {
    let state = match key.state {
        KeyState::Active => "active",
        KeyState::Overlapping => "overlapping",
        KeyState::Retired => "retired",
        KeyState::Revoked => "revoked",
    };
    let last = key
        .uses
        .last
        .map_or_else(|| "never".to_owned(), |last| last.to_string());
    screen.say(format_args!("sha256:{}  {state}", key.entry.fingerprint));
    screen.say(format_args!("    {}", key.entry.reference));
    screen.say(format_args!(
        "    {} old, {}, last used {last}, {}",
        plural(key.age, "day"),
        plural(key.uses.count, "signature"),
        plural(key.uses.projects.len(), "project")
    ));
    for finding in &key.findings {
        screen.say(format_args!("    ! {}: {}", finding.finding, finding.meaning));
    }
}

fn rotate(
    json: bool,
    key: &KeyArgs,
    to: Option<&str>,
    algorithm: Algorithm,
    encrypt: bool,
    overlap: u16,
) -> Result<(), Failure> {
    let mut old_reference = key.reference()?;
    let old = key.open()?;
    let old_public = public(old.as_ref())?.clone();
    let now = Timestamp::now();
    let secret = new_passphrase(encrypt, &key.passphrase, Path::new(&old_reference))?;
    let to = if let Some(to) = to {
        to.to_owned()
    } else {
        let to = old_reference;
        old_reference = move_aside(&to, &old_public)?;
        to
    };
    let reference: Reference = to.parse()?;
    let new: Box<dyn Signer> = match &reference {
        Reference::File(path) if !path.exists() => {
            Box::new(FileKey::generate(algorithm, path, secret.as_deref())?)
        }
        other => other.open(&|| key.passphrase.read("Passphrase of the new key: "))?,
    };
    let new_public = public(new.as_ref())?;
    let until = now
        .checked_add(SignedDuration::from_hours(i64::from(overlap).saturating_mul(24)))
        .map_err(|error| Failure::usage(error.to_string()))?;
    Inventory::read(&inventory()?)?.replace(
        (old_public.fingerprint(), &old_reference),
        (new_public.fingerprint(), &to),
        until,
        now,
    )?;
    if json {
        return output::print_json(
            &json!({"old": old_public.fingerprint(), "old_key": old_reference, "until": until, "new": new_public.fingerprint(), "key": to, "public": new_public.pem()}),
        );
    }
    let mut screen = output::screen();
    screen.say(format_args!(
        "{to}  sha256:{}  replaces",
        new_public.fingerprint()
    ));
    screen.say(format_args!(
        "{old_reference}  sha256:{}",
        old_public.fingerprint()
    ));
    for_policies(&mut screen, until, now, new_public);
    output::print(&screen)
}

/// Renames a key's file after its fingerprint, because the new key takes its name. Returns the new reference.
fn move_aside(reference: &str, public: &Public) -> Result<String, Failure> {
    let path = PathBuf::from(reference);
    if !path.is_file() {
        return Err(KeyError::NotMade {
            reference: reference.to_owned(),
        }
        .into());
    }
    let aside = path.with_file_name(format!("key-{}.pem", public.fingerprint().short()));
    let public_path = |path: &Path| PathBuf::from(format!("{}.pub", path.display()));
    std::fs::rename(&path, &aside).map_err(StoreError::io("move", &path))?;
    // The public half can be made again from the private one at any time.
    let _ = std::fs::rename(public_path(&path), public_path(&aside));
    Ok(aside.display().to_string())
}

/// Prints the lines that policies which name the old key need.
fn for_policies(screen: &mut Screen, until: Timestamp, now: Timestamp, new: &Public) {
    screen.say("in policies that name the old key, limit it and add the new one:");
    screen.gap();
    screen.say(format_args!("    valid-until = \"{until}\""));
    screen.gap();
    screen.say("    [[keys]]");
    screen.say("    name = \"…\"");
    screen.say(format_args!("    valid-from = \"{now}\""));
    screen.say("    text = \"\"\"");
    pem(screen, &new.pem());
    screen.say("\"\"\"");
}

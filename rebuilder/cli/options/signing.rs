//! Keys, and who signs with them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::agreement::SlsaVersion;
use crate::attest::{Extra, Format, Inventory, KeyError, Reference, Signer};
use crate::cli::failure::Failure;
use crate::cli::key::inventory;
use crate::cli::{child, config_folder};
use crate::signer::SignerError;

/// The key to sign with.
#[derive(Args, Clone)]
#[command(next_help_heading = "Signing")]
pub(crate) struct KeyArgs {
    /// Signing key: a file, pkcs11:URI, command:PROGRAM, or sigstore [default: $XDG_CONFIG_HOME/rebuilder/key.pem]
    #[arg(long, value_name = "KEY", env = "REBUILDER_KEY", hide_env_values = true)]
    key: Option<String>,
    /// builder.id in the attestations [default: urn:rebuilder:KEY-FINGERPRINT]
    #[arg(
        long,
        value_name = "URI",
        env = "REBUILDER_BUILDER_ID",
        hide_env_values = true
    )]
    builder_id: Option<String>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

/// The passphrase of a key.
#[derive(Args, Clone)]
#[command(next_help_heading = "Signing")]
pub(crate) struct PassphraseArgs {
    /// File with the passphrase of an encrypted key [default: systemd's credential "passphrase"; commands that
    /// run no build ask for it]
    #[arg(
        long,
        value_name = "FILE",
        env = "REBUILDER_PASSPHRASE_FILE",
        hide_env_values = true
    )]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The file with the passphrase, if there is one.
    fn file(&self) -> Option<PathBuf> {
        let credential =
            std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join("passphrase"));
        self.passphrase_file
            .clone()
            .or(credential.filter(|path| path.is_file()))
    }

    /// Reads the passphrase from its file, or asks for it on a terminal.
    pub(crate) fn read(&self, question: &str) -> Result<Option<String>, KeyError> {
        if let Some(path) = self.file() {
            let text = crate::bounded::read_text(&path, crate::bounded::SHORT)
                .map_err(|source| KeyError::Passphrase { path, source })?;
            return Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()));
        }
        let person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Ok(person
            .then(|| rpassword::prompt_password(question).ok())
            .flatten())
    }
}

impl KeyArgs {
    /// The reference to the key.
    pub(crate) fn reference(&self) -> Result<String, Failure> {
        match &self.key {
            Some(reference) => Ok(reference.clone()),
            None => Ok(config_folder()?.join("key.pem").display().to_string()),
        }
    }

    /// Opens the key, unless the inventory says that it may no longer sign.
    pub(crate) fn open(&self) -> Result<Box<dyn Signer>, Failure> {
        let signer = self.open_any()?;
        Inventory::check_signer(&inventory()?, signer.as_ref(), Timestamp::now())?;
        Ok(signer)
    }

    pub(crate) fn open_any(&self) -> Result<Box<dyn Signer>, Failure> {
        let reference: Reference = self.reference()?.parse()?;
        if let Reference::File(path) = &reference {
            check_private(path)?;
        }
        Ok(reference.open(&|| self.passphrase.read("Passphrase: "))?)
    }

    /// The `builder.id` that the user chose.
    pub(crate) fn named_builder(&self) -> Option<String> {
        self.builder_id.clone()
    }

    /// The `builder.id` for attestations.
    pub(crate) fn builder_id(&self, signer: &dyn Signer) -> String {
        let own = || format!("urn:rebuilder:{}", signer.name());
        self.builder_id.clone().unwrap_or_else(own)
    }
}

/// A form in which a run can be signed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormName {
    /// A Sigstore bundle
    Bundle,
    /// Only a DSSE envelope
    Dsse,
    /// A bundle, and its envelope beside it
    Both,
    /// An in-toto link for each released file, as rebuilderd signs them; Ed25519 keys only
    Link,
}

/// A predicate in which a run can be stated, in addition to our own.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PredicateName {
    /// The result of a rebuild, positive or not (docs/rebuild-predicate.md)
    #[value(name = "rebuild/v0.1")]
    Rebuild,
    /// OSS Rebuild's Rebuild@v0.1 and ArtifactEquivalence@v0.1
    OssRebuild,
}

/// The forms of the signed documents.
#[derive(Args, Clone)]
#[command(next_help_heading = "Signing")]
pub(crate) struct FormArgs {
    /// Form to write; separate several with commas [default: bundle]
    #[arg(long, value_name = "FORM", value_delimiter = ',')]
    format: Vec<FormName>,
    /// Also sign the result in another predicate; separate several with commas
    #[arg(long, value_name = "PREDICATE", value_delimiter = ',')]
    predicate: Vec<PredicateName>,
}

impl FormArgs {
    /// The forms in which the statement is written.
    pub(crate) fn format(&self) -> Format {
        let has = |name: FormName| self.format.contains(&name);
        match (has(FormName::Bundle), has(FormName::Dsse)) {
            _ if has(FormName::Both) => Format::Both,
            (true, true) => Format::Both,
            (false, true) => Format::Dsse,
            (_, false) => Format::Bundle,
        }
    }

    /// The predicates that are signed in addition.
    pub(crate) fn extras(&self) -> BTreeSet<Extra> {
        let link = self.format.contains(&FormName::Link).then_some(Extra::Link);
        let predicates = self.predicate.iter().map(|name| match name {
            PredicateName::Rebuild => Extra::Rebuild,
            PredicateName::OssRebuild => Extra::OssRebuild,
        });
        link.into_iter().chain(predicates).collect()
    }

    /// The same options for the process that signs.
    fn options(&self) -> Vec<OsString> {
        fn options<T: ValueEnum>(name: &'static str, values: &[T]) -> impl Iterator<Item = OsString> {
            let values = values.iter().filter_map(ValueEnum::to_possible_value);
            let values = values.flat_map(move |value| [name.into(), value.get_name().into()]);
            values.collect::<Vec<_>>().into_iter()
        }
        let formats = options("--format", &self.format);
        formats.chain(options("--predicate", &self.predicate)).collect()
    }
}

/// The form of a verification summary.
#[derive(Args, Clone)]
#[command(next_help_heading = "Output")]
pub(crate) struct SummaryArgs {
    /// Write the summary as a Sigstore bundle, as a DSSE envelope, or as both
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Format::Bundle, requires = "summary")]
    pub(crate) format: Format,
    /// Version of SLSA whose levels the summary names; slsa-verifier does not support the terms that are new in 1.2
    #[arg(long, value_name = "VERSION", value_enum, default_value_t = SlsaVersion::V1_2, requires = "summary")]
    pub(crate) slsa_version: SlsaVersion,
}

/// How a finished run is signed.
#[derive(Args, Clone)]
#[command(next_help_heading = "Signing")]
pub(crate) struct SigningArgs {
    /// Signing key: a file, pkcs11:URI, command:PROGRAM, or sigstore [default: $XDG_CONFIG_HOME/rebuilder/key.pem, if it
    /// exists]
    #[arg(long, value_name = "KEY", env = "REBUILDER_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Have the service that listens on SOCKET check and sign the run
    #[arg(
        long,
        value_name = "SOCKET",
        env = "REBUILDER_SIGNER",
        hide_env_values = true,
        conflicts_with = "key"
    )]
    signer: Option<PathBuf>,
    /// Do not sign, even if there is a key
    #[arg(long)]
    unsigned: bool,
    /// builder.id in the attestations [default: urn:rebuilder:KEY-FINGERPRINT]
    #[arg(
        long,
        value_name = "URI",
        env = "REBUILDER_BUILDER_ID",
        hide_env_values = true
    )]
    builder_id: Option<String>,
    /// Also sign a run that did not find a build that produces the released bytes; this is evidence neither for nor
    /// against them
    #[arg(long)]
    attest_negative: bool,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl SigningArgs {
    /// Checks that the named signer exists and can sign, before the build rather than after an hour of it.
    pub(crate) fn choose(self) -> Result<SigningChoice, Failure> {
        let by = match self.signer {
            _ if self.unsigned => None,
            Some(socket) if socket.exists() => Some(vec!["--signer".into(), socket.into_os_string()]),
            Some(path) => {
                let source = std::io::ErrorKind::NotFound.into();
                return Err(SignerError::Socket { path, source }.into());
            }
            None => signing_key(self.key, &self.passphrase)?,
        };
        Ok(SigningChoice {
            by,
            forms: self.form.options(),
            builder_id: self.builder_id,
            negatives: self.attest_negative,
        })
    }
}

/// The signer of finished runs, if there is one.
#[derive(Clone)]
pub(crate) struct SigningChoice {
    /// The options that name the signer to `rebuilder attest`.
    pub by: Option<Vec<OsString>>,
    /// The options for the forms to sign in.
    pub forms: Vec<OsString>,
    pub builder_id: Option<String>,
    /// Whether a run that found no build is signed too.
    pub negatives: bool,
}

/// Options for the signing key: the named one, or the default one if it exists.
fn signing_key(named: Option<String>, passphrase: &PassphraseArgs) -> Result<Option<Vec<OsString>>, Failure> {
    let key = match named {
        None => {
            let default = config_folder()?.join("key.pem");
            if !default.exists() {
                return Ok(None);
            }
            default.display().to_string()
        }
        Some(text) => text,
    };
    let mut options: Vec<OsString> = vec!["--key".into(), key.clone().into()];
    if let Reference::File(path) = key.parse()? {
        if !path.exists() {
            return Err(KeyError::Missing { path }.into());
        }
        check_private(&path)?;
        if let Some(file) = passphrase.file() {
            options.extend(["--passphrase-file".into(), file.into()]);
            try_to_open(&options)?;
        } else if pem_label(&path).as_deref() == Some("ENCRYPTED PRIVATE KEY") {
            // The signing process has no terminal to ask on, and the build may take hours until then.
            let message = "it is encrypted, but a rebuild does not ask for the passphrase";
            return Err(
                Failure::usage(format!("cannot sign with {}: {message}", path.display()))
                    .with_help("name a file that holds the passphrase with --passphrase-file"),
            );
        }
    }
    Ok(Some(options))
}

/// Has a child process open the key, so that a wrong passphrase is found before the build.
fn try_to_open(options: &[OsString]) -> Result<(), Failure> {
    #[derive(serde::Deserialize)]
    struct Reply {
        error: Option<Refusal>,
    }
    #[derive(serde::Deserialize)]
    struct Refusal {
        message: String,
        help: Option<String>,
    }
    let mut command = child::command()?;
    command.args(["key", "public", "--json", "--quiet"]).args(options);
    let reply = child::reply(&mut command)
        .map_err(|error| Failure::internal(format!("cannot open the signing key: {error}")))?;
    match serde_json::from_slice::<Reply>(&reply) {
        Ok(Reply { error: None }) => Ok(()),
        Ok(Reply { error: Some(refusal) }) => Err({
            let failure = Failure::usage(format!("cannot sign: {}", refusal.message));
            match refusal.help {
                Some(help) => failure.with_help(help),
                None => failure,
            }
        }),
        Err(error) => Err(Failure::internal(format!("cannot open the signing key: {error}"))),
    }
}

/// Refuses a file that is certainly not a private key, before its permissions are checked.
fn check_private(path: &Path) -> Result<(), Failure> {
    // The key itself says what else is wrong with it.
    let label = pem_label(path);
    if !path.is_file() || label.as_ref().is_some_and(|label| label.ends_with("PRIVATE KEY")) {
        return Ok(());
    }
    let shown = path.display();
    Err(if label.is_some_and(|label| label.ends_with("PUBLIC KEY")) {
        Failure::usage(format!(
            "cannot sign with {shown}: it is a public key, not a private key"
        ))
        .with_help("name the private key, whose file name does not end in .pub")
    } else {
        Failure::usage(format!("cannot sign with {shown}: it is not a private key"))
            .with_help("create a key with \"rebuilder key generate\", or name another file with --key")
    })
}

/// The label of the first PEM block of a file, such as `PRIVATE KEY`. No byte of the block itself is read, because this
/// process may have to stay without the key.
#[expect(clippy::unbuffered_bytes, reason = "a buffer would be filled with the key")]
pub(crate) fn pem_label(path: &Path) -> Option<String> {
    const MOST: u64 = 4096;
    let file = File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(path)
        .ok()?;
    let mut line = Vec::new();
    for byte in file.take(MOST).bytes() {
        match byte.ok()? {
            b'\n' => line.clear(),
            byte => line.push(byte),
        }
        let label = line
            .strip_prefix(b"-----BEGIN ")
            .and_then(|rest| rest.strip_suffix(b"-----"));
        if let Some(label) = label {
            return Some(String::from_utf8_lossy(label).into_owned());
        }
    }
    None
}

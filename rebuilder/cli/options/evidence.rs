//! Options about evidence, shared by the commands that judge it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::artifact::{Digests, Sha256};
use crate::cli::failure::Failure;
use crate::cli::options::signing::pem_label;
use crate::cli::{output, suggest};
use crate::discover::{self, Subject};
use crate::evidence::assess::{self, Artifact, Stated};
use crate::evidence::document::{self, Document};
use crate::evidence::json::SIZE_LIMIT;
use crate::evidence::sigstore::Sigstore;
use crate::evidence::statement::Statement;
use crate::evidence::trust::{ExpectedIdentity, Trust, TrustedKey};
use crate::inspect::{self, InspectionRequest};
use crate::policy::{Policy, StatementSource};
use crate::run::RunFolder;
use crate::store::{Blob, Fetcher, StoreError, write_atomically};

/// The evidence, and the options by which it is judged.
#[derive(Args, Clone)]
#[command(next_help_heading = "Evidence")]
pub(crate) struct EvidenceArgs {
    /// File with provenance or other attestations of SUBJECT; may be repeated
    #[arg(long, value_name = "FILE")]
    pub provenance: Vec<PathBuf>,
    /// File with a signature of SUBJECT (Sigstore, OpenPGP, minisign, SSH); may be repeated
    #[arg(long, value_name = "FILE")]
    pub signature: Vec<PathBuf>,
    /// Ask a transparency log for the entries of envelopes that have a certificate but no log entry [default URL: https://rekor.sigstore.dev]
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    rekor: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
}

/// A number that is not zero.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

/// The signers who are trusted, and the requirements on the evidence.
#[derive(Args, Clone)]
#[command(next_help_heading = "Trust")]
pub(crate) struct TrustArgs {
    /// Public key of a trusted signer (PEM, OpenPGP, minisign, OpenSSH, Nix); may be repeated
    #[arg(long, value_name = "FILE")]
    trusted_key: Vec<PathBuf>,
    /// Number of different trusted keys that must have signed an envelope
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    threshold: usize,
    /// Sigstore trusted_root.json to use instead of the public-good instance's
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// Expected identity of a keyless signature: an e-mail address or a workflow URI; * matches any text
    #[arg(long, value_name = "PATTERN", requires = "issuer")]
    identity: Option<String>,
    /// OpenID Connect issuer of --identity
    #[arg(long, value_name = "PATTERN", requires = "identity")]
    issuer: Option<String>,
    /// Requirements on the evidence: a policy file, or "none"
    #[arg(
        long,
        value_name = "FILE|none",
        env = "REBUILDER_POLICY",
        hide_env_values = true
    )]
    policy: Option<String>,
}

impl TrustArgs {
    /// Reads everything that the options name.
    pub fn open(&self) -> Result<(Trust, Policy), Failure> {
        let sigstore = match &self.trusted_root {
            Some(path) => Sigstore::read(path)?,
            None => Sigstore::public_good()?,
        };
        let keys: Result<Vec<_>, Failure> = self.trusted_key.iter().map(|path| trusted_key(path)).collect();
        let identity = self.identity.iter().zip(&self.issuer);
        let trust = Trust {
            sigstore: Arc::new(sigstore),
            keys: keys?,
            threshold: self.threshold,
            identities: identity
                .map(|(subject, issuer)| ExpectedIdentity {
                    subject: subject.clone(),
                    issuer: issuer.clone(),
                })
                .collect(),
            policy_identities: Vec::new(),
        };
        Ok((trust, Policy::named(self.policy.as_deref())?))
    }
}

impl TrustArgs {
    /// The same options, with every key that the policy names.
    pub fn open_with_keys(&self) -> Result<(Trust, Policy), Failure> {
        let (trust, policy) = self.open()?;
        Ok(match &policy {
            Policy::File(file) => (file.everyone(trust), policy),
            _ => (trust, policy),
        })
    }
}

impl EvidenceArgs {
    /// Fetches evidence that is named by its address, such as GitHub's answer for a digest, into the store, and names
    /// its file there instead.
    pub async fn fetch(&mut self, fetcher: &Fetcher) -> Result<(), Failure> {
        for path in self.provenance.iter_mut().chain(&mut self.signature) {
            let Some(url) = path
                .to_str()
                .filter(|text| text.starts_with("https://"))
                .map(str::to_owned)
            else {
                continue;
            };
            fetcher.choose(&url);
            let read = |blob: &Blob| inspect::read_documents(&url, blob);
            let fetched = fetcher
                .get_unpinned(&url, std::slice::from_ref(&url), SIZE_LIMIT, read)
                .await?;
            *path = fetched.1.blob.path;
        }
        let logged = self.logged(&self.provenance, fetcher).await?;
        self.provenance = logged;
        Ok(())
    }

    /// The same files; where the log that the user names has entries for what is in one, the file with the entries in its
    /// place.
    async fn logged(&self, files: &[PathBuf], fetcher: &Fetcher) -> Result<Vec<PathBuf>, Failure> {
        let mut logged = files.to_vec();
        let Some(url) = &self.rekor else {
            return Ok(logged);
        };
        let log = StatementSource::log(Some(url.clone()).filter(|url| !url.is_empty()));
        let anything = [Subject::of_anything()];
        for (file, asked) in discover::ask_logs(fetcher, &[log], &anything, files).await {
            let places = discover::places(std::slice::from_ref(&asked), fetcher.store())?;
            if places.is_empty() {
                let reason = asked.reason.as_deref().unwrap_or("it has none");
                let (address, file) = (&asked.address, file.display());
                output::note(&format!("{address} gave no log entry for {file}: {reason}"));
            }
            for place in logged.iter_mut().filter(|place| **place == file) {
                for (kept, _) in &places {
                    place.clone_from(kept);
                }
            }
        }
        Ok(logged)
    }

    /// Evidence next to a file, with what the log has of it; a file that cannot be read is told among the findings.
    pub async fn beside(&self, path: &Path, fetcher: &Fetcher) -> Result<Vec<Document>, Failure> {
        let files: Vec<_> = siblings(path).collect();
        let mut files = self.logged(&files, fetcher).await?;
        // A folder or a link to nothing under such a name cannot be read, and that is said.
        files.extend(beside(path).filter(|path| {
            let is_there = path.symlink_metadata().is_ok();
            is_there && (path.is_dir() || !path.exists())
        }));
        let found = files.iter().flat_map(|path| document::read_beside(path));
        Ok(document::paired(found.collect()))
    }

    /// Reads everything that the options name.
    pub fn open(&self) -> Result<InspectionRequest, Failure> {
        let mut documents = Vec::new();
        for path in self.provenance.iter().chain(&self.signature) {
            documents.extend(document::read_file(path)?);
        }
        let (trust, policy) = self.trust.open()?;
        Ok(InspectionRequest {
            documents: document::paired(documents),
            trust,
            policy,
        })
    }

    /// Copies the named files into a run, each by its digest.
    pub fn keep(&self, run: &RunFolder) -> Result<(), Failure> {
        for path in self.provenance.iter().chain(&self.signature) {
            let bytes =
                crate::bounded::read(path, crate::bounded::PLAN).map_err(StoreError::io("read", path))?;
            let folder = run.documents();
            std::fs::create_dir_all(&folder).map_err(StoreError::io("make the folder", &folder))?;
            write_atomically(&folder.join(Sha256::of(&bytes).to_hex()), &bytes)?;
        }
        Ok(())
    }

    /// Whether the user named any file of evidence.
    pub fn is_empty(&self) -> bool {
        self.provenance.is_empty() && self.signature.is_empty()
    }
}

/// Reads a public key. A private key is refused, so that it is not handed around as if it were public.
fn trusted_key(path: &Path) -> Result<TrustedKey, Failure> {
    if pem_label(path).is_some_and(|label| label.ends_with("PRIVATE KEY")) {
        let path = path.display();
        return Err(
            Failure::usage(format!("cannot trust {path}: it is a private key")).with_help(format!(
                "name its public half: {path}.pub, or what \"rebuilder key public --key {path}\" prints"
            )),
        );
    }
    Ok(TrustedKey::read(path)?)
}

/// Extensions of the evidence files that are usually next to a release.
const SIBLINGS: [&str; 12] = [
    "sigstore.json",
    "sigstore",
    "intoto.jsonl",
    "attestation.json",
    "asc",
    "sig",
    "minisig",
    "bundle",
    "cosign.bundle",
    "cert",
    "crt",
    "pem",
];

/// Files of evidence next to a released file, by their usual names.
pub(crate) fn siblings(path: &Path) -> impl Iterator<Item = PathBuf> {
    beside(path).filter(|path| path.is_file())
}

/// The usual names, whether or not anything has them.
fn beside(path: &Path) -> impl Iterator<Item = PathBuf> {
    SIBLINGS
        .iter()
        .map(move |ending| PathBuf::from(format!("{}.{ending}", path.display())))
}

/// A released file on this machine.
///
/// Without a package URL, it takes the one that a statement names, if the statement's signature verifies and the file
/// has a name of that package. The policy's rules are chosen by the package URL, so an unsigned statement must not
/// choose it.
pub(crate) fn local(
    path: &Path,
    purl: Option<&str>,
    documents: &[Document],
    trust: &Trust,
) -> Result<Artifact, Failure> {
    if !path.is_file() {
        return Err(suggest::missing_file(path));
    }
    let digests = std::fs::File::open(path)
        .and_then(Digests::of_reader)
        .map_err(StoreError::io("read", path))?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let purl = purl.map(str::to_owned).or_else(|| {
        let mut documents = documents.iter();
        documents.find_map(|document| assess::named_package(document, &name, &digests, trust))
    });
    Ok(Artifact {
        name,
        purl,
        digests,
        path: Some(path.to_owned()),
    })
}

/// The digest of a file that is not at hand, as `sha256:HEX`.
pub(crate) fn digest(text: &str) -> Result<Sha256, Failure> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text).to_owned();
    digits
        .try_into()
        .map_err(|error| Failure::usage(format!("{text} is not a digest: {error}")))
}

/// The statement inside a document, whether or not its signature verifies.
pub(crate) fn statement(document: &Document) -> Option<Statement> {
    match assess::payload(document).unverified() {
        Stated::Statement(statement) => Some((**statement).clone()),
        _ => None,
    }
}

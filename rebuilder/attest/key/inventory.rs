//! The known keys: when they were made, when they end, which key replaced them, and storage problems.
//!
//! One JSON file next to the keys. It contains no secret. A key that it calls revoked or retired cannot sign here.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{FileKey, KeyError, Reference, Signer};
use crate::artifact::Sha256;
use crate::artifact::serialise;
use crate::attest::log::Uses;
use crate::error::with_causes;
use crate::store::{StoreError, write_atomically};

/// Age from which a key should be replaced, in days.
const OLD: i64 = 365;

/// The keys that are known.
#[derive(Debug, Clone)]
pub struct Inventory {
    path: PathBuf,
    keys: Vec<Entry>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub fingerprint: Sha256,
    /// How to open it.
    pub reference: String,
    /// When it was made, or taken in.
    pub created: Timestamp,
    /// When it stops signing, because another key replaced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires: Option<Timestamp>,
    /// The key that replaced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<Sha256>,
    /// When and why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<(Timestamp, String)>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    keys: Vec<Entry>,
}

/// Whether a key may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It may.
    Active,
    /// It may, but another key has already replaced it.
    Overlapping,
    /// No longer.
    Retired,
    /// Never again.
    Revoked,
}

/// A problem with a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A word for programs.
    pub finding: &'static str,
    /// What it means, and what to do.
    pub meaning: String,
}

/// A key, its uses and its problems.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// The key.
    #[serde(flatten)]
    pub entry: Entry,
    /// Whether it may sign.
    pub state: State,
    /// Days since it was made.
    pub age: i64,
    /// What it signed, by the logs.
    pub uses: Uses,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Entry {
    /// Whether it may sign at `now`.
    pub fn state(&self, now: Timestamp) -> State {
        match (&self.revoked, self.retires) {
            (Some(_), _) => State::Revoked,
            (None, Some(at)) if now >= at => State::Retired,
            (None, Some(_)) => State::Overlapping,
            (None, None) => State::Active,
        }
    }

    /// Days since it was made.
    fn age(&self, now: Timestamp) -> i64 {
        now.as_second().saturating_sub(self.created.as_second()) / 86_400
    }
}

impl Inventory {
    /// Reads the inventory at `path`; a missing file is an empty inventory.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let invalid = |reason: String| KeyError::Inventory {
            path: path.to_owned(),
            reason,
        };
        let keys = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(invalid(error.to_string())),
            Ok(bytes) => {
                let document: Document =
                    serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
                if document.version != 1 {
                    return Err(invalid(format!("it has version {}", document.version)));
                }
                document.keys
            }
        };
        Ok(Self {
            path: path.to_owned(),
            keys,
        })
    }

    fn save(&self) -> Result<(), KeyError> {
        let document = Document {
            version: 1,
            keys: self.keys.clone(),
        };
        let text =
            serialise::pretty("the inventory of keys", &document).map_err(|error| KeyError::Inventory {
                path: self.path.clone(),
                reason: with_causes(&error),
            })?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let made = super::file::make_private(folder).map_err(StoreError::io("make the folder", folder));
        let written = made.and_then(|()| write_atomically(&self.path, &text));
        written.map_err(|error| KeyError::Inventory {
            path: self.path.clone(),
            reason: error.to_string(),
        })
    }

    /// Adds a key. A known key keeps its history, and gets the newest reference.
    pub fn add(&mut self, fingerprint: Sha256, reference: &str, now: Timestamp) -> Result<(), KeyError> {
        match self
            .keys
            .iter_mut()
            .find(|entry| entry.fingerprint == fingerprint)
        {
            Some(known) => reference.clone_into(&mut known.reference),
            None => self.keys.push(Entry {
                fingerprint,
                reference: reference.to_owned(),
                created: now,
                retires: None,
                replaced_by: None,
                revoked: None,
            }),
        }
        self.save()
    }

    /// Lets a key sign until `until`, and names the key that replaces it.
    pub fn replace(
        &mut self,
        old: (Sha256, &str),
        new: (Sha256, &str),
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), KeyError> {
        self.add(old.0, old.1, now)?;
        self.add(new.0, new.1, now)?;
        for entry in self.keys.iter_mut().filter(|entry| entry.fingerprint == old.0) {
            entry.retires = Some(until);
            entry.replaced_by = Some(new.0);
        }
        self.save()
    }

    /// Revokes the only key whose fingerprint begins with `name`.
    pub fn revoke(&mut self, name: &str, because: &str, now: Timestamp) -> Result<Entry, KeyError> {
        let fits = |entry: &&mut Entry| entry.fingerprint.to_hex().starts_with(name);
        let mut found = self.keys.iter_mut().filter(fits);
        let (Some(entry), None) = (found.next(), found.next()) else {
            return Err(KeyError::Unknown {
                name: name.to_owned(),
            });
        };
        // The first word stands: revoking again must not move the day.
        entry.revoked.get_or_insert_with(|| (now, because.to_owned()));
        let entry = entry.clone();
        self.save()?;
        Ok(entry)
    }

    /// Refuses a signer whose key may no longer sign, according to the inventory at `path`.
    pub fn check_signer(path: &Path, signer: &dyn Signer, now: Timestamp) -> Result<(), KeyError> {
        match signer.public() {
            Some(public) => Self::read(path)?.check(public.fingerprint(), now),
            None => Ok(()),
        }
    }

    fn check(&self, fingerprint: Sha256, now: Timestamp) -> Result<(), KeyError> {
        let Some(entry) = self.keys.iter().find(|entry| entry.fingerprint == fingerprint) else {
            return Ok(());
        };
        let name = fingerprint.to_hex();
        match (&entry.revoked, entry.retires) {
            (Some((at, because)), _) => Err(KeyError::Revoked {
                name,
                at: *at,
                because: because.clone(),
            }),
            (None, Some(at)) if now >= at => Err(KeyError::Retired { name, at }),
            _ => Ok(()),
        }
    }

    /// Every key with its uses and findings; `builds_here` says that this machine runs builds.
    pub fn list(&self, uses: impl Fn(Sha256) -> Uses, builds_here: bool, now: Timestamp) -> Vec<Listed> {
        let entries = self.keys.iter();
        entries
            .map(|entry| {
                let uses = uses(entry.fingerprint);
                Listed {
                    state: entry.state(now),
                    age: entry.age(now),
                    findings: findings(entry, &uses, builds_here, now),
                    uses,
                    entry: entry.clone(),
                }
            })
            .collect()
    }
}

fn findings(entry: &Entry, uses: &Uses, builds_here: bool, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    let state = entry.state(now);
    let alive = matches!(state, State::Active | State::Overlapping);
    if uses.projects.len() > 1 {
        let names: Vec<_> = uses.projects.iter().take(5).cloned().collect();
        found.push(Finding::new(
            "several-projects",
            format!(
                "it signs for {} projects ({}): someone who steals the key could sign for all of them",
                uses.projects.len(),
                names.join(", ")
            ),
        ));
    }
    if let Ok(Reference::File(path)) = entry.reference.parse::<Reference>()
        && path.exists()
    {
        found.extend(of_file(&path, builds_here, alive));
    }
    let age = entry.age(now);
    if alive && state != State::Overlapping && age > OLD {
        found.push(Finding::new(
            "old",
            format!("it is {age} days old; replace it with \"rebuilder key rotate\""),
        ));
    }
    let ended = entry.revoked.as_ref().map(|(at, _)| *at).or(entry.retires);
    if let (Some(ended), Some(last)) = (ended, uses.last)
        && last > ended
    {
        found.push(Finding::new(
            "used-after-its-end",
            format!("it signed on {last}, although its use ended on {ended}"),
        ));
    }
    found
}

/// Problems with the storage of a key's file.
fn of_file(path: &Path, builds_here: bool, alive: bool) -> Vec<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut found = Vec::new();
    let shown = path.display();
    if builds_here && alive {
        found.push(Finding::new(
            "on-build-host",
            format!(
                "{shown} is on a machine that runs builds; run \"rebuilder signer\" on another machine or \
                as another user"
            ),
        ));
    }
    let mode = std::fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    if mode & 0o077 != 0 {
        let meaning = format!("{shown} is readable by other users");
        found.push(Finding::new("exposed", meaning));
    }
    if alive && !FileKey::is_encrypted(path) {
        let meaning = format!(
            "{shown} is not encrypted; create an encrypted key with \"rebuilder key \
        generate --encrypt\""
        );
        found.push(Finding::new("not-encrypted", meaning));
    }
    found
}

impl Finding {
    fn new(finding: &'static str, meaning: String) -> Self {
        Self { finding, meaning }
    }
}

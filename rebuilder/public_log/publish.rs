//! From private logs to the public one.

use std::path::PathBuf;

use super::PublicLogError;
use super::entry::Entry;
use super::state::state_file;
use super::witness::Witnesses;
use super::writer::Writer;
use crate::artifact::serialise::SerialiseError;
use crate::attest::Signer;

/// Where a log is published, and what it is made of.
#[derive(Clone)]
pub struct Publication {
    /// The folder that is served.
    pub folder: PathBuf,
    /// Names the log.
    pub origin: String,
    /// Folder of the configuration, in which size and root are kept.
    pub kept: PathBuf,
    /// Private logs.
    pub logs: Vec<PathBuf>,
    /// Who signs the checkpoints too.
    pub witnesses: Option<Witnesses>,
    /// Whether a log whose state is lost is taken over.
    pub adopt: bool,
}

/// What was published.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Published {
    /// Names the log.
    pub origin: String,
    /// The key that verifies it.
    pub log_key: String,
    /// Entries now.
    pub size: u64,
    /// Root of the tree, in base64.
    pub root: String,
    /// Entries that are new.
    pub added: u64,
    /// Witnesses that signed the checkpoint.
    pub cosigned: Vec<String>,
}

impl Publication {
    /// Appends what the private logs have and the public one lacks, and shows it. If nothing is new, what an earlier,
    /// interrupted call appended is shown.
    pub fn publish(&self, signer: &dyn Signer) -> Result<Published, PublicLogError> {
        let state = state_file(&self.kept, &self.origin);
        let mut writer = Writer::open(&self.folder, &self.origin, &state, signer, self.adopt)?;
        let before = writer.head().size;
        let mut entries = Vec::new();
        for log in &self.logs {
            writer.state().gather(log, &mut entries)?;
        }
        if self.adopt {
            let there = writer.lines()?;
            entries.retain(|entry| !there.contains(&entry.line()));
        }
        let entries: Result<Vec<_>, SerialiseError> = entries.iter().map(Entry::bytes).collect();
        writer.append(&entries?)?;
        let shown = writer.show(self.witnesses.as_ref())?;
        Ok(Published {
            origin: self.origin.clone(),
            log_key: writer.key().to_string(),
            size: shown.head.size,
            root: super::checkpoint::base64(&shown.head.root),
            added: shown.head.size.saturating_sub(before),
            cosigned: shown.witnesses(),
        })
    }
}

//! Members after a walk: large ones without their bytes, but with what identifies the content.

use super::source::Source;
use super::stored::Fields;
use crate::artifact::Sha256;

/// A member, without its bytes unless there are few.
#[derive(Debug)]
pub(super) struct Row {
    pub path: String,
    pub index: usize,
    pub fields: Fields,
    pub size: u64,
    pub identity: Identity,
    pub source: Option<Source>,
}

/// The result of reading a member.
pub(super) struct Bytes {
    pub size: u64,
    pub identity: Identity,
    pub source: Option<Source>,
}

/// How to tell whether two members have the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    Digest(Sha256),
    /// It was compared with its partner byte by byte while both were read.
    InStep {
        same: bool,
    },
    /// Its bytes are in memory, and no digest has been needed so far.
    Held,
    /// It could not be read, with the reason.
    Unread(String),
}

impl Row {
    pub fn same_bytes(&self, other: &Self) -> bool {
        if self.size != other.size {
            return false;
        }
        match (&self.identity, &other.identity) {
            (Identity::InStep { same: own }, Identity::InStep { same: theirs }) => *own && *theirs,
            (Identity::Unread(_) | Identity::InStep { .. }, _)
            | (_, Identity::Unread(_) | Identity::InStep { .. }) => false,
            (Identity::Held, Identity::Held) => match (&self.source, &other.source) {
                (Some(Source::Memory(own)), Some(Source::Memory(theirs))) => own == theirs,
                _ => false,
            },
            _ => self.sha256() == other.sha256(),
        }
    }

    /// Its digest, if it was read on its own.
    pub fn sha256(&self) -> Option<Sha256> {
        match (&self.identity, &self.source) {
            (Identity::Digest(sha256), _) => Some(*sha256),
            (Identity::Held, Some(Source::Memory(bytes))) => Some(Sha256::of(bytes.as_slice())),
            _ => None,
        }
    }

    /// Why it could not be read.
    pub fn unread(&self) -> Option<&str> {
        match &self.identity {
            Identity::Unread(reason) => Some(reason),
            _ => None,
        }
    }

    /// Drops its bytes, but keeps their digest.
    pub fn drop_bytes(&mut self) {
        if let Some(sha256) = self.sha256() {
            self.identity = Identity::Digest(sha256);
        }
        self.source = None;
    }

    /// Number of its bytes in memory.
    pub fn held(&self) -> usize {
        match &self.source {
            Some(Source::Memory(bytes)) => bytes.len(),
            _ => 0,
        }
    }
}

//! Answers of services about artifacts, kept for a while: small files, one for each question.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

use super::{Store, StoreError, write_atomically};
use crate::artifact::Sha256;
use crate::bounded;

/// Maximum number of bytes of one of these files.
const LIMIT: u64 = 1 << 20;

impl Store {
    /// The kept answer to a question about an artifact; `None` if there is none, or if it cannot be read.
    pub fn kept_answer(&self, artifact: Sha256, question: Sha256) -> Option<Vec<u8>> {
        bounded::read(&self.answer(artifact, question), LIMIT).ok()
    }

    /// Keeps the answer to a question about an artifact; it replaces an older one.
    pub fn keep_answer(&self, artifact: Sha256, question: Sha256, answer: &[u8]) -> Result<(), StoreError> {
        let path = self.answer(artifact, question);
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(StoreError::io("make the folder", folder))?;
        }
        write_atomically(&path, answer)
    }
}

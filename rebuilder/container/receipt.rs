//! Receipts: what a kept tree must look like, written when it is complete.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ContainerError;
use crate::artifact::Sha256;
use crate::progress::Progress;
use crate::rootfs::{ImageConfig, TreeContents};
use crate::sandbox::embedded::{Embedded, Intact};
use crate::store::write_atomically;

/// Written beside a kept tree when it is complete; a tree without a receipt is unfinished.
#[derive(Serialize, Deserialize)]
pub(super) struct Receipt {
    pub(super) contents: TreeContents,
    /// The seal ([`super::seal`]) of the tree in its final place.
    pub(super) seal: Sha256,
    #[serde(default)]
    pub(super) config: ImageConfig,
}

impl Receipt {
    const NAME: &str = "receipt.json";

    pub(super) fn read(home: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(home.join(Self::NAME)).ok()?).ok()
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), ContainerError> {
        let bytes = serde_json::to_vec(self).map_err(|error| ContainerError::Io {
            what: "write the receipt of a kept tree".into(),
            source: error.into(),
        })?;
        Ok(write_atomically(&folder.join(Self::NAME), &bytes)?)
    }

    /// The receipt of the tree at `home/name`, if both exist and the tree is unchanged.
    ///
    /// A tree that was changed is removed, so that it is made again, and the user is warned.
    pub(super) async fn of_intact(
        home: &Path,
        name: &str,
        sandbox: &Embedded,
        progress: &Progress,
    ) -> Result<Option<Self>, ContainerError> {
        let Some(mut receipt) = Self::read(home) else {
            // Without a receipt, or with one of an earlier version, nothing tells what the tree should be.
            sandbox.remove_now(home)?;
            return Ok(None);
        };
        let (contents, seal) = (receipt.contents.digest, Some(receipt.seal));
        match sandbox.intact(&home.join(name), contents, seal).await? {
            Intact::Yes => {}
            Intact::SealedAnew(seal) => {
                receipt.seal = seal;
                receipt.write(home)?;
            }
            Intact::No => {
                progress.note(&format!(
                    "warning: {} was changed after it was made; it is made again",
                    home.display()
                ));
                sandbox.remove_now(home)?;
                return Ok(None);
            }
        }
        Ok(Some(receipt))
    }
}

//! Kept layers: what a plan's setup steps changed in a root, kept so that a replay can begin with the build.

use std::fs;
use std::path::{Path, PathBuf};

use super::ContainerError;
use super::receipt::Receipt;
use crate::artifact::Sha256;
use crate::progress::Progress;
use crate::rootfs::ImageConfig;
use crate::sandbox::embedded::Embedded;
use crate::store::{Store, StoreError};

/// The folder in a kept layer's home that contains the changes.
const UPPER: &str = "upper";

/// Whether the store seems to have the layer of this setup; only [`kept_layer`] looks at what is in it.
pub fn has_layer(store: &Store, setup: Sha256) -> bool {
    store.layer(setup).exists()
}

/// The layer that the setup with this digest made, if it is in the store and unchanged.
pub async fn kept_layer(
    store: &Store,
    setup: Sha256,
    sandbox: &Embedded,
    progress: &Progress,
) -> Result<Option<PathBuf>, ContainerError> {
    let home = store.layer(setup);
    if !home.exists() {
        return Ok(None);
    }
    let receipt = Receipt::of_intact(&home, UPPER, sandbox, progress).await?;
    Ok(receipt.map(|_| home.join(UPPER)))
}

/// Moves a new layer, `made/upper`, to its home.
pub async fn keep_layer(
    store: &Store,
    setup: Sha256,
    made: &Path,
    sandbox: &Embedded,
) -> Result<PathBuf, ContainerError> {
    let home = store.layer(setup);
    let upper = made.join(UPPER);
    let receipt = Receipt {
        contents: sandbox.digest(&upper).await?,
        seal: sandbox.seal(&upper).await?,
        config: ImageConfig::default(),
    };
    receipt.write(made)?;
    if let Err(error) = fs::rename(made, &home) {
        sandbox.remove_now(made)?;
        // Unless another process stored the layer first, there is none.
        if !home.exists() {
            return Err(StoreError::io("store the layer in", &home)(error).into());
        }
    }
    Ok(home.join(UPPER))
}

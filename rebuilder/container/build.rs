//! Builds a root from a lock or an image: fetches, unpacks and configures its packages, and reads the result back.

use std::fs;
use std::path::{Path, PathBuf};

use super::configure::configure;
use super::lock::check_tree;
use super::receipt::Receipt;
use super::{ContainerError, Workshop};
use crate::artifact::{PinnedImage, Sha256};
use crate::plan::{Lock, PinnedContainer};
use crate::progress::Progress;
use crate::rootfs;
use crate::rootfs::{ImageConfig, LayerPlan, PackageFile, Times, TreeContents, UnpackPlan};
use crate::sandbox::embedded::Embedded;
use crate::sandbox::{Input, RootLayers, SandboxError, stage};
use crate::store::{Blob, FetchError, Fetcher, Scratch, Store, StoreError};

/// A root that was built.
#[derive(Debug, Clone)]
pub struct Root {
    /// Digest of the lock or image that it was built from.
    pub lock: Sha256,
    /// Its digest and size.
    pub contents: TreeContents,
    /// The folder that is its `/`.
    pub path: PathBuf,
    /// How the image says to run it; empty for roots of packages.
    pub config: ImageConfig,
}

/// The folder in a root's home that is its `/`.
const ROOT: &str = "root";

impl Root {
    fn of(receipt: Receipt, home: &Path, lock: Sha256) -> Self {
        Self {
            lock,
            contents: receipt.contents,
            config: receipt.config,
            path: home.join(ROOT),
        }
    }

    /// This root as a stack of one layer.
    pub fn layers(&self) -> RootLayers {
        RootLayers {
            folders: vec![self.path.clone()],
            name: self.contents.digest,
        }
    }
}

/// Builds the root of a named container, or finds it in the store; its tree must be the one that the lock promises.
pub async fn build(name: &str, workshop: Workshop<'_>) -> Result<(Lock, Root), ContainerError> {
    let lock = workshop.catalog.lock(name)?;
    for base in lock.archives.iter().flat_map(|archive| &archive.bases) {
        workshop.fetcher.choose(base);
    }
    let root = from_lock(name, &lock, workshop).await?;
    Ok((lock, root))
}

/// Builds the root of a plan, or finds it in the store.
pub async fn root(container: &PinnedContainer, workshop: Workshop<'_>) -> Result<Root, ContainerError> {
    match container {
        PinnedContainer::Packages { name, lock } => from_lock(name, lock, workshop).await,
        PinnedContainer::Image { image } => from_image(image, workshop).await,
    }
}

/// Builds the root of a lock, or finds it in the store; its tree must be the one that the lock promises.
async fn from_lock(name: &str, lock: &Lock, workshop: Workshop<'_>) -> Result<Root, ContainerError> {
    let root = make(name, lock, workshop).await?;
    check_tree(name, lock, &root)?;
    Ok(root)
}

/// Builds the root of a lock, or finds it in the store, without comparing its tree with the lock's.
pub(super) async fn make(name: &str, lock: &Lock, workshop: Workshop<'_>) -> Result<Root, ContainerError> {
    let Workshop {
        fetcher,
        sandbox,
        progress,
        ..
    } = workshop;
    let digest = lock.digest();
    let home = fetcher.store().root(digest);
    if let Some(root) = find(&home, digest, fetcher, sandbox, progress).await? {
        return Ok(root);
    }
    // Digests pin these files, so plain HTTP does no harm. The lock may be from a plan that somebody else wrote, so the
    // addresses are not taken as the user's own choice here.
    for base in lock.archives.iter().flat_map(|archive| &archive.bases) {
        fetcher.allow_plain(base);
    }
    let (title, pinned) = (format!("fetching the packages of {name}"), lock.materials());
    let blobs = fetcher
        .get_all(&title, &pinned)
        .await
        .map_err(|source| match source {
            FetchError::Store(error) => error.into(),
            source => ContainerError::Gone {
                name: name.to_owned(),
                source,
            },
        })?;

    let _exclusive = exclusive(fetcher, digest).await?;
    if let Some(root) = find_alone(&home, digest, sandbox, progress).await? {
        return Ok(root);
    }
    let bar = progress.stage(format!("making the root {name}"));
    let making = Making::begin(fetcher.store(), sandbox)?;
    let made = async {
        let plan = making.unpack_plan(lock, &blobs)?;
        bar.set_message(format!("unpacking {} packages", plan.packages.len()));
        sandbox.unpack(&plan, &making.root()).await?;
        configure(name, lock, &making, &bar).await?;
        bar.set_message("reading it back");
        let contents = sandbox
            .normalise(&making.root(), Times::Epoch(lock.epoch))
            .await?;
        making
            .finish(contents, ImageConfig::default(), &home, digest)
            .await
    };
    let made = made.await;
    bar.finish_and_clear();
    made.map_err(|error| making.failed(error))
}

/// Builds the root of an image, or finds it in the store.
async fn from_image(image: &PinnedImage, workshop: Workshop<'_>) -> Result<Root, ContainerError> {
    let Workshop {
        fetcher,
        sandbox,
        progress,
        ..
    } = workshop;
    let digest = image.digest;
    let home = fetcher.store().root(digest);
    if let Some(root) = find(&home, digest, fetcher, sandbox, progress).await? {
        return Ok(root);
    }
    let files = fetcher.image(image).await?;
    let _exclusive = exclusive(fetcher, digest).await?;
    if let Some(root) = find_alone(&home, digest, sandbox, progress).await? {
        return Ok(root);
    }
    let unusable = |reason: String| ContainerError::Image {
        image: image.to_string(),
        reason,
    };
    let config = ImageConfig::read(&files.config.path).map_err(unusable)?;
    let bar = progress.stage(format!("unpacking {image}"));
    let mut layers: Vec<Input> = Vec::new();
    for (index, (blob, media_type)) in files.layers.iter().enumerate() {
        let ending = rootfs::ending(media_type);
        let ending =
            ending.ok_or_else(|| unusable(format!("a layer has the unknown type {media_type:?}")))?;
        layers.push(Input {
            name: format!("{index}.{ending}"),
            path: blob.path.clone(),
        });
    }
    let making = Making::begin(fetcher.store(), sandbox)?;
    let made = async {
        let plan = LayerPlan {
            folder: making.stage(&layers)?,
            files: layers.into_iter().map(|input| input.name).collect(),
        };
        sandbox.unpack_layers(&plan, &making.root()).await?;
        bar.set_message("reading it back");
        let contents = sandbox.normalise(&making.root(), Times::Layers).await?;
        making.finish(contents, config, &home, digest).await
    };
    let made = made.await;
    bar.finish_and_clear();
    made.map_err(|error| making.failed(error))
}

/// A root that is being built in a scratch folder.
pub(super) struct Making<'a> {
    pub(super) store: &'a Store,
    pub(super) sandbox: &'a Embedded,
    pub(super) scratch: Scratch,
    /// Megabytes that were free when the build began.
    free: u64,
}

impl<'a> Making<'a> {
    fn begin(store: &'a Store, sandbox: &'a Embedded) -> Result<Self, ContainerError> {
        Ok(Self {
            store,
            sandbox,
            scratch: store.scratch()?,
            free: store.free(),
        })
    }

    /// The folder that becomes `/` of the root.
    pub(super) fn root(&self) -> PathBuf {
        self.scratch.path().join(ROOT)
    }

    fn unpack_plan(&self, lock: &Lock, blobs: &[Blob]) -> Result<UnpackPlan, ContainerError> {
        let file = |blob: &Blob| format!("{}.deb", blob.sha256);
        let files: Vec<_> = blobs
            .iter()
            .map(|blob| Input {
                name: file(blob),
                path: blob.path.clone(),
            })
            .collect();
        let named = lock.packages.iter().zip(blobs);
        Ok(UnpackPlan {
            folder: self.stage(&files)?,
            packages: named
                .map(|(package, blob)| PackageFile {
                    package: package.name.clone(),
                    file: file(blob),
                })
                .collect(),
        })
    }

    /// Puts the files that the root is made of side by side into the scratch folder.
    fn stage(&self, files: &[Input]) -> Result<PathBuf, ContainerError> {
        let folder = self.scratch.path().join("packages");
        let staged = fs::create_dir(&folder).and_then(|()| stage(files, &folder));
        staged.map_err(StoreError::io("stage the files of the root in", &folder))?;
        Ok(folder)
    }

    /// Moves the root to its home together with its receipt, so that it appears whole or not at all.
    async fn finish(
        &self,
        contents: TreeContents,
        config: ImageConfig,
        home: &Path,
        digest: Sha256,
    ) -> Result<Root, ContainerError> {
        let finished = self.scratch.path().join("finished");
        let moved = fs::create_dir(&finished).and_then(|()| fs::rename(self.root(), finished.join(ROOT)));
        moved.map_err(StoreError::io("finish the root in", &finished))?;
        let receipt = Receipt {
            contents,
            seal: self.sandbox.seal(&finished.join(ROOT)).await?,
            config,
        };
        receipt.write(&finished)?;
        fs::rename(&finished, home).map_err(StoreError::io("move the root to", home))?;
        self.sandbox.remove_now(self.scratch.path())?;
        Ok(Root::of(receipt, home, digest))
    }

    /// The error to report. The unfinished root is removed first, as it may be what filled the disk.
    fn failed(&self, error: ContainerError) -> ContainerError {
        let full = match &error {
            ContainerError::Store(error) | ContainerError::Sandbox(SandboxError::Store(error)) => {
                matches!(error, StoreError::Full { .. })
            }
            // A package's script reports a full disk only in its log.
            ContainerError::Configure { .. } => self.store.free() == 0,
            _ => false,
        };
        // If it cannot be removed now, the next run sweeps it.
        let _ = self.sandbox.remove_now(self.scratch.path());
        if full {
            return self.store.full_for_root(self.free).into();
        }
        error
    }
}

/// Keeps other processes from building the same root at the same time.
async fn exclusive(fetcher: &Fetcher, digest: Sha256) -> Result<nix::fcntl::Flock<fs::File>, ContainerError> {
    let (store, lock_name) = (fetcher.store().clone(), format!("root-{digest}"));
    let exclusive = tokio::task::spawn_blocking(move || store.exclusive(&lock_name)).await;
    let lock = exclusive.map_err(|error| ContainerError::Io {
        what: "wait".into(),
        source: error.into(),
    })?;
    Ok(lock?)
}

/// Whether the root of a lock is in the store; its content is checked only when it is used.
pub fn is_made(store: &Store, lock: &Lock) -> bool {
    Receipt::read(&store.root(lock.digest())).is_some()
}

/// The root, if it is in the store and unchanged.
async fn find(
    home: &Path,
    lock: Sha256,
    fetcher: &Fetcher,
    sandbox: &Embedded,
    progress: &Progress,
) -> Result<Option<Root>, ContainerError> {
    if !home.exists() {
        return Ok(None);
    }
    let _exclusive = exclusive(fetcher, lock).await?;
    find_alone(home, lock, sandbox, progress).await
}

/// Does the same for a caller that holds the lock of [`exclusive`].
async fn find_alone(
    home: &Path,
    lock: Sha256,
    sandbox: &Embedded,
    progress: &Progress,
) -> Result<Option<Root>, ContainerError> {
    let receipt = Receipt::of_intact(home, ROOT, sandbox, progress).await?;
    Ok(receipt.map(|receipt| Root::of(receipt, home, lock)))
}

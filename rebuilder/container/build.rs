//! Making a root from a lock: fetch, unpack, configure, read back.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Workshop;
use super::lock::check_tree;
use super::{Catalog, ContainerError};
use crate::artifact::{PinnedImage, Sha256};
use crate::plan::{Lock, PinnedContainer};
use crate::progress::Progress;
use crate::rootfs;
use crate::rootfs::{ImageConfig, LayerPlan};
use crate::rootfs::{PackageFile, Times, TreeContents, UnpackPlan};
use crate::sandbox::embedded::{Embedded, Intact, short_job_limits};
use crate::sandbox::{Input, Job, KeepMode, RootLayers, stage};
use crate::store::{Blob, Fetcher, Scratch, Store, write_atomically};

/// A made root.
#[derive(Debug, Clone)]
pub struct Root {
    /// Digest of the lock it was made from.
    pub lock: Sha256,
    /// What it holds.
    pub contents: TreeContents,
    /// The folder that is its `/`.
    pub path: PathBuf,
    /// What an image says about running it; nothing for roots of packages.
    pub config: ImageConfig,
}

impl Root {
    /// This root alone, as a stack of one layer.
    pub fn layers(&self) -> RootLayers {
        RootLayers {
            folders: vec![self.path.clone()],
            name: self.contents.digest,
        }
    }
}

/// Written beside a kept tree when it is complete; a tree without it is a torso.
#[derive(Serialize, Deserialize)]
pub(super) struct Receipt {
    pub(super) contents: TreeContents,
    /// What [`super::seal`] gave once the tree was in its place.
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

    /// The receipt of the tree at `home/name`, if both are there and the tree is as it was made.
    ///
    /// A tree that was changed is taken away, so that it is made again, and the person who asked is told.
    pub(super) async fn of_intact(
        home: &Path,
        name: &str,
        sandbox: &Embedded,
        progress: &Progress,
    ) -> Result<Option<Self>, ContainerError> {
        let Some(mut receipt) = Self::read(home) else {
            // Without a receipt, or with one of an earlier version, nobody knows what the tree should be.
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
                    "warning: {} was changed since it was made; it is made again",
                    home.display()
                ));
                sandbox.remove_now(home)?;
                return Ok(None);
            }
        }
        Ok(Some(receipt))
    }
}

/// Packages whose scripts the others' scripts need, in an order that works with nothing configured yet.
const FIRST: &str = "base-passwd base-files dpkg libc6 perl-base mawk debconf";

/// Makes the root of a named container, or finds it made; it must be the one that the lock promises.
pub async fn build(
    name: &str,
    catalog: &Catalog,
    fetcher: &Fetcher,
    sandbox: &Embedded,
    progress: &Progress,
) -> Result<(Lock, Root), ContainerError> {
    let lock = catalog.lock(name)?;
    for base in lock.archives.iter().flat_map(|archive| &archive.bases) {
        fetcher.choose(base);
    }
    let root = from_lock(name, &lock, fetcher, sandbox, progress).await?;
    Ok((lock, root))
}

/// Makes the root of a plan, or finds it made.
pub async fn root(container: &PinnedContainer, workshop: Workshop<'_>) -> Result<Root, ContainerError> {
    let Workshop {
        fetcher,
        sandbox,
        progress,
        ..
    } = workshop;
    match container {
        PinnedContainer::Packages { name, lock } => from_lock(name, lock, fetcher, sandbox, progress).await,
        PinnedContainer::Image { image } => from_image(image, fetcher, sandbox, progress).await,
    }
}

/// Makes the root of a lock, or finds it made; it must be the one that the lock promises.
pub async fn from_lock(
    name: &str,
    lock: &Lock,
    fetcher: &Fetcher,
    sandbox: &Embedded,
    progress: &Progress,
) -> Result<Root, ContainerError> {
    let root = make(name, lock, fetcher, sandbox, progress).await?;
    check_tree(name, lock, &root)?;
    Ok(root)
}

/// Makes the root of a lock, or finds it made, whatever tree the lock promises.
pub(super) async fn make(
    name: &str,
    lock: &Lock,
    fetcher: &Fetcher,
    sandbox: &Embedded,
    progress: &Progress,
) -> Result<Root, ContainerError> {
    let digest = lock.digest();
    let home = fetcher.store().root(digest);
    if let Some(root) = find(&home, digest, fetcher, sandbox, progress).await? {
        return Ok(root);
    }
    // A signed index pinned these files, so that plain HTTP does no harm; where a plan comes from, nobody knows.
    for base in lock.archives.iter().flat_map(|archive| &archive.bases) {
        fetcher.allow_plain(base);
    }
    let blobs = fetcher
        .get_all(&format!("fetching the packages of {name}"), &lock.materials())
        .await
        .map_err(|source| ContainerError::Gone {
            name: name.to_owned(),
            source,
        })?;

    let _exclusive = exclusive(fetcher, digest).await?;
    if let Some(root) = find_alone(&home, digest, sandbox, progress).await? {
        return Ok(root);
    }
    let bar = progress.stage(format!("making the root {name}"));
    let scratch = fetcher.store().scratch()?;
    let file = |blob: &Blob| format!("{}.deb", blob.sha256);
    let staged: Vec<_> = blobs
        .iter()
        .map(|blob| Input {
            name: file(blob),
            path: blob.path.clone(),
        })
        .collect();
    let packages = staged_in(&scratch, &staged)?;
    let named = lock.packages.iter().zip(&blobs);
    let plan = UnpackPlan {
        folder: packages.clone(),
        packages: named
            .map(|(package, blob)| PackageFile {
                package: package.name.clone(),
                file: file(blob),
            })
            .collect(),
    };
    let root = scratch.path().join("root");
    bar.set_message(format!("unpacking {} packages", plan.packages.len()));
    sandbox.unpack(&plan, &root).await?;
    configure(
        name,
        lock,
        &root,
        (scratch.path(), fetcher.store()),
        sandbox,
        &bar,
    )
    .await?;
    bar.set_message("reading it back");
    let contents = sandbox.normalise(&root, Times::Epoch(lock.epoch)).await?;
    let root = finish(&scratch, contents, ImageConfig::default(), &home, digest, sandbox).await;
    bar.finish_and_clear();
    root
}

/// Makes the root of an image, or finds it made.
pub async fn from_image(
    image: &PinnedImage,
    fetcher: &Fetcher,
    sandbox: &Embedded,
    progress: &Progress,
) -> Result<Root, ContainerError> {
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
    let scratch = fetcher.store().scratch()?;
    let mut staged: Vec<Input> = Vec::new();
    for (index, (blob, media_type)) in files.layers.iter().enumerate() {
        let ending = rootfs::ending(media_type);
        let ending =
            ending.ok_or_else(|| unusable(format!("a layer has the unknown type {media_type:?}")))?;
        staged.push(Input {
            name: format!("{index}.{ending}"),
            path: blob.path.clone(),
        });
    }
    let plan = LayerPlan {
        folder: staged_in(&scratch, &staged)?,
        files: staged.into_iter().map(|input| input.name).collect(),
    };
    let root = scratch.path().join("root");
    sandbox.unpack_layers(&plan, &root).await?;
    bar.set_message("reading it back");
    let contents = sandbox.normalise(&root, Times::Layers).await?;
    let root = finish(&scratch, contents, config, &home, digest, sandbox).await;
    bar.finish_and_clear();
    root
}

/// Puts the files that a root is made of side by side into the scratch folder.
fn staged_in(scratch: &Scratch, files: &[Input]) -> Result<PathBuf, ContainerError> {
    let folder = scratch.path().join("packages");
    let staged = fs::create_dir(&folder).and_then(|()| stage(files, &folder));
    staged.map_err(|source| ContainerError::Io {
        what: "stage the files of the root".into(),
        source,
    })?;
    Ok(folder)
}

/// Keeps others from making the same root at the same time.
async fn exclusive(fetcher: &Fetcher, digest: Sha256) -> Result<nix::fcntl::Flock<fs::File>, ContainerError> {
    let (store, lock_name) = (fetcher.store().clone(), format!("root-{digest}"));
    let exclusive = tokio::task::spawn_blocking(move || store.exclusive(&lock_name)).await;
    let lock = exclusive.map_err(|error| ContainerError::Io {
        what: "wait".into(),
        source: error.into(),
    })?;
    Ok(lock?)
}

/// Moves a made root to its place, together with its receipt, so that it is there whole or not at all.
async fn finish(
    scratch: &Scratch,
    contents: TreeContents,
    config: ImageConfig,
    home: &Path,
    digest: Sha256,
    sandbox: &Embedded,
) -> Result<Root, ContainerError> {
    let finished = scratch.path().join("finished");
    let moved = fs::create_dir(&finished)
        .and_then(|()| fs::rename(scratch.path().join("root"), finished.join("root")));
    moved.map_err(|source| ContainerError::Io {
        what: "finish the root".into(),
        source,
    })?;
    let receipt = Receipt {
        contents,
        seal: sandbox.seal(&finished.join("root")).await?,
        config,
    };
    receipt.write(&finished)?;
    fs::rename(&finished, home).map_err(|source| ContainerError::Io {
        what: "finish the root".into(),
        source,
    })?;
    sandbox.remove_now(scratch.path())?;
    Ok(receipt.into_root(home, digest))
}

/// Whether the root of a lock is there; it is checked only when it is used.
pub fn is_made(store: &Store, lock: &Lock) -> bool {
    Receipt::read(&store.root(lock.digest())).is_some()
}

impl Receipt {
    fn into_root(self, home: &Path, lock: Sha256) -> Root {
        Root {
            lock,
            contents: self.contents,
            config: self.config,
            path: home.join("root"),
        }
    }
}

/// The root, if it is made and as it was made.
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

/// The same, by one who keeps others from making it.
async fn find_alone(
    home: &Path,
    lock: Sha256,
    sandbox: &Embedded,
    progress: &Progress,
) -> Result<Option<Root>, ContainerError> {
    let receipt = Receipt::of_intact(home, "root", sandbox, progress).await?;
    Ok(receipt.map(|receipt| receipt.into_root(home, lock)))
}

/// Runs the packages' own scripts, in the sandbox, in place.
async fn configure(
    name: &str,
    lock: &Lock,
    root: &Path,
    (scratch, store): (&Path, &Store),
    sandbox: &Embedded,
    bar: &crate::progress::ProgressBar,
) -> Result<(), ContainerError> {
    let logs = scratch.join("configure.log");
    let outputs = scratch.join("no-outputs");
    fs::create_dir(&outputs).map_err(|source| ContainerError::Io {
        what: "configure the root".into(),
        source,
    })?;
    let env = [
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
        ("LC_ALL", "C.UTF-8"),
        ("TZ", "UTC"),
    ];
    let mut env: std::collections::BTreeMap<String, String> = env
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    env.insert("SOURCE_DATE_EPOCH".into(), lock.epoch.to_string());
    let script = format!(
        "ln -sf mawk /usr/bin/awk\n\
         if [ -x /var/lib/dpkg/info/base-passwd.preinst ]; then /var/lib/dpkg/info/base-passwd.preinst install; fi\n\
         dpkg --force-unsafe-io --force-depends --force-confold --configure {FIRST}\n\
         dpkg --force-unsafe-io --force-confold --configure --pending\n\
         rm -f /usr/sbin/policy-rc.d\n"
    );
    let nothing = RootLayers {
        folders: Vec::new(),
        name: lock.digest(),
    };
    let job = Job {
        root: &nothing,
        inputs: Vec::new(),
        script,
        env,
        hostname: "localhost".into(),
        umask: 0o022,
        limits: short_job_limits(),
        keep: KeepMode::Outputs,
        outputs: &outputs,
        log: &logs,
    };
    let outcome = sandbox.run_in_place(&job, root, bar).await?;
    if outcome.ended.succeeded() {
        return Ok(());
    }
    // The scratch folder is swept at the next start; the log must outlive it, for a day.
    let log = keep_log(&logs, store).unwrap_or(logs);
    let (name, ended) = (name.to_owned(), outcome.ended.to_string());
    Err(ContainerError::Configure {
        name,
        step: "configuring",
        ended,
        log,
    })
}

/// Copies a log to a file below the store that only the user reads, under a name that nobody can know before.
fn keep_log(log: &Path, store: &Store) -> std::io::Result<PathBuf> {
    let mut kept = tempfile::Builder::new()
        .prefix("configure-")
        .suffix(".log")
        .tempfile_in(store.tmp())?;
    std::io::copy(&mut fs::File::open(log)?, &mut kept)?;
    Ok(kept.keep()?.1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_kept_log_has_a_name_of_chance_and_one_reader() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().join("store"))).unwrap();
        let log = folder.path().join("log");
        fs::write(&log, "dpkg: error\n").unwrap();
        let (one, other) = (keep_log(&log, &store).unwrap(), keep_log(&log, &store).unwrap());
        assert_ne!(one, other);
        for kept in [one, other] {
            assert!(kept.starts_with(store.tmp()), "{}", kept.display());
            assert_eq!(fs::read_to_string(&kept).unwrap(), "dpkg: error\n");
            assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

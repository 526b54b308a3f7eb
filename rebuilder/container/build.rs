//! Making a root from a lock: fetch, unpack, configure, read back.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::image::{self, ImageConfig, LayerPlan};
use super::lock::check_tree;
use super::{Catalog, ContainerError, Contents, Lock, PackageFile, UnpackPlan};
use crate::artifact::{PinnedImage, Sha256};
use crate::progress::Progress;
use crate::sandbox::embedded::{Embedded, short_job_limits};
use crate::sandbox::{Input, Job, Keep, RootLayers, stage};
use crate::store::{Blob, Fetcher, Scratch, write_atomically};

/// A made root.
#[derive(Debug, Clone)]
pub struct Root {
    /// Digest of the lock it was made from.
    pub lock: Sha256,
    /// What it holds.
    pub contents: Contents,
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

/// Written beside a root when it is complete; a root without it is a torso.
#[derive(Serialize, Deserialize)]
struct Receipt {
    contents: Contents,
    #[serde(default)]
    config: ImageConfig,
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
    let root = from_lock(name, &lock, fetcher, sandbox, progress).await?;
    Ok((lock, root))
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
    if let Some(root) = find(&home, digest) {
        return Ok(root);
    }
    let blobs = fetcher
        .get_all(&format!("fetching the packages of {name}"), &lock.materials())
        .await
        .map_err(|source| ContainerError::Gone {
            name: name.to_owned(),
            source,
        })?;

    let _exclusive = exclusive(fetcher, digest).await?;
    if let Some(root) = find(&home, digest) {
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
    configure(name, lock, &root, scratch.path(), sandbox, &bar).await?;
    bar.set_message("reading it back");
    let contents = sandbox.normalise(&root, Some(lock.epoch)).await?;
    let receipt = Receipt {
        contents,
        config: ImageConfig::default(),
    };
    let root = finish(&scratch, &receipt, &home, digest, sandbox);
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
    if let Some(root) = find(&home, digest) {
        return Ok(root);
    }
    let files = fetcher.image(image).await?;
    let _exclusive = exclusive(fetcher, digest).await?;
    if let Some(root) = find(&home, digest) {
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
        let ending = image::ending(media_type);
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
    let contents = sandbox.normalise(&root, None).await?;
    let root = finish(&scratch, &Receipt { contents, config }, &home, digest, sandbox);
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
fn finish(
    scratch: &Scratch,
    receipt: &Receipt,
    home: &Path,
    digest: Sha256,
    sandbox: &Embedded,
) -> Result<Root, ContainerError> {
    let io = |what: &'static str| {
        move |source| ContainerError::Io {
            what: what.to_owned(),
            source,
        }
    };
    let receipt = serde_json::to_vec(receipt).unwrap_or_default();
    write_atomically(&scratch.path().join("receipt.json"), &receipt)?;
    let finished = scratch.path().join("finished");
    fs::create_dir(&finished).map_err(io("finish the root"))?;
    for part in ["root", "receipt.json"] {
        fs::rename(scratch.path().join(part), finished.join(part)).map_err(io("finish the root"))?;
    }
    let moved = fs::rename(&finished, home);
    sandbox.remove_now(scratch.path())?;
    match (moved, find(home, digest)) {
        // Another process may have been first; its root is as good.
        (_, Some(root)) => Ok(root),
        (Err(source), None) => Err(io("finish the root")(source)),
        (Ok(()), None) => Err(io("finish the root")(std::io::Error::other(
            "its receipt is unreadable",
        ))),
    }
}

fn find(home: &Path, lock: Sha256) -> Option<Root> {
    let receipt: Receipt = serde_json::from_slice(&fs::read(home.join("receipt.json")).ok()?).ok()?;
    Some(Root {
        lock,
        contents: receipt.contents,
        config: receipt.config,
        path: home.join("root"),
    })
}

/// Runs the packages' own scripts, in the sandbox, in place.
async fn configure(
    name: &str,
    lock: &Lock,
    root: &Path,
    scratch: &Path,
    sandbox: &Embedded,
    bar: &indicatif::ProgressBar,
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
        keep: Keep::Outputs,
        outputs: &outputs,
        log: &logs,
    };
    let outcome = sandbox.run_in_place(&job, root, bar).await?;
    if outcome.ended.well() {
        return Ok(());
    }
    // The scratch folder is swept at the next start; the log must outlive it.
    let kept = std::env::temp_dir().join(format!("rebuilder-configure-{}.log", lock.digest().short()));
    let log = if fs::copy(&logs, &kept).is_ok() {
        kept
    } else {
        logs
    };
    let (name, ended) = (name.to_owned(), outcome.ended.to_string());
    Err(ContainerError::Configure {
        name,
        step: "configuring",
        ended,
        log,
    })
}

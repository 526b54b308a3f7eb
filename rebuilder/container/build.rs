//! Making a root from a lock: fetch, unpack, configure, read back.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lock::check_tree;
use super::{Catalog, ContainerError, Contents, Lock, PackageFile, UnpackPlan};
use crate::artifact::Sha256;
use crate::progress::Progress;
use crate::sandbox::embedded::{Embedded, short_job_limits};
use crate::sandbox::{Input, Job, Keep, RootLayers, stage};
use crate::store::{Blob, Fetcher, write_atomically};

/// A made root.
#[derive(Debug, Clone)]
pub struct Root {
    /// Digest of the lock it was made from.
    pub lock: Sha256,
    /// What it holds.
    pub contents: Contents,
    /// The folder that is its `/`.
    pub path: PathBuf,
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

    let (store, lock_name) = (fetcher.store().clone(), format!("root-{digest}"));
    let exclusive = tokio::task::spawn_blocking(move || store.exclusive(&lock_name)).await;
    let _exclusive = exclusive.map_err(|error| ContainerError::Io {
        what: "wait".into(),
        source: error.into(),
    })??;
    if let Some(root) = find(&home, digest) {
        return Ok(root);
    }
    let bar = progress.stage(format!("making the root {name}"));
    let scratch = fetcher.store().scratch()?;
    let io = |what: &'static str| {
        move |source| ContainerError::Io {
            what: what.to_owned(),
            source,
        }
    };
    let packages = scratch.path().join("packages");
    fs::create_dir(&packages).map_err(io("stage the packages"))?;
    let file = |blob: &Blob| format!("{}.deb", blob.sha256);
    let staged: Vec<_> = blobs
        .iter()
        .map(|blob| Input {
            name: file(blob),
            path: blob.path.clone(),
        })
        .collect();
    stage(&staged, &packages).map_err(io("stage the packages"))?;
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
    let contents = sandbox.normalise(&root, lock.epoch).await?;
    let receipt = serde_json::to_vec(&Receipt { contents }).unwrap_or_default();
    write_atomically(&scratch.path().join("receipt.json"), &receipt)?;

    // Root and receipt move to their place together, so that a root is there whole or not at all.
    let finished = scratch.path().join("finished");
    fs::create_dir(&finished).map_err(io("finish the root"))?;
    for part in ["root", "receipt.json"] {
        fs::rename(scratch.path().join(part), finished.join(part)).map_err(io("finish the root"))?;
    }
    let moved = fs::rename(&finished, &home);
    sandbox.remove_now(scratch.path())?;
    bar.finish_and_clear();
    match (moved, find(&home, digest)) {
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

//! Runs the packages' own scripts in a new root.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::ContainerError;
use super::build::Making;
use crate::plan::Lock;
use crate::progress::ProgressBar;
use crate::sandbox::MachineView;
use crate::sandbox::embedded::short_job_limits;
use crate::sandbox::{Job, KeepMode, RootLayers};
use crate::store::{Store, StoreError};

/// Packages that the scripts of others need, in an order that works while nothing is configured yet.
const FIRST: &str = "base-passwd base-files dpkg libc6 perl-base mawk debconf";

/// Runs the packages' own scripts, in the sandbox, in place.
pub(super) async fn configure(
    name: &str,
    lock: &Lock,
    making: &Making<'_>,
    bar: &ProgressBar,
) -> Result<(), ContainerError> {
    let scratch = making.scratch.path();
    let (logs, outputs) = (scratch.join("configure.log"), scratch.join("no-outputs"));
    fs::create_dir(&outputs).map_err(StoreError::io("make the folder", &outputs))?;
    let nothing = RootLayers {
        folders: Vec::new(),
        name: lock.digest(),
    };
    let job = Job {
        root: &nothing,
        inputs: Vec::new(),
        script: script(),
        env: environment(lock),
        hostname: "localhost".into(),
        umask: 0o022,
        limits: short_job_limits(),
        view: MachineView::default(),
        keep: KeepMode::Outputs,
        outputs: &outputs,
        log: &logs,
    };
    let outcome = making.sandbox.run_in_place(&job, &making.root(), bar).await?;
    if outcome.ended.succeeded() {
        return Ok(());
    }
    // The scratch folder is swept at the next start; the log must outlive it, for a day.
    let log = keep_log(&logs, making.store).unwrap_or(logs);
    let (name, ended) = (name.to_owned(), outcome.ended.to_string());
    Err(ContainerError::Configure {
        name,
        step: "configuring",
        ended,
        log,
    })
}

fn environment(lock: &Lock) -> BTreeMap<String, String> {
    let env = [
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
        ("LC_ALL", "C.UTF-8"),
        ("TZ", "UTC"),
    ];
    let mut env: BTreeMap<String, String> = env
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    env.insert("SOURCE_DATE_EPOCH".into(), lock.epoch.to_string());
    env
}

/// Compiles modules again with Pythons before 3.11, which store sets in the order of their hashes: the packages'
/// scripts compile with another hash seed each time, and some of them with `-E`, which ignores a fixed one.
const COMPILE_AGAIN: &str = r#"
for python in /usr/bin/python3.[6-9] /usr/bin/python3.10; do
    [ -x "$python" ] || continue
    tag="cpython-$(echo "${python#/usr/bin/python}" | tr -d .)"
    find /usr/lib /usr/share -path "*/__pycache__/*.$tag.pyc" | LC_ALL=C sort |
        sed "s,__pycache__/\([^/]*\)\.$tag\.pyc\$,\1.py," | PYTHONHASHSEED=0 "$python" -m py_compile -
done
"#;

fn script() -> String {
    // Some scripts need files that another package's script makes, without saying so; these get a second try.
    format!(
        "ln -sf mawk /usr/bin/awk\n\
         if [ -x /var/lib/dpkg/info/base-passwd.preinst ]; then /var/lib/dpkg/info/base-passwd.preinst install; fi\n\
         dpkg --force-unsafe-io --force-depends --force-confold --configure {FIRST}\n\
         dpkg --force-unsafe-io --force-confold --configure --pending || \
         dpkg --force-unsafe-io --force-confold --configure --pending\n\
         rm -f /usr/sbin/policy-rc.d\n{COMPILE_AGAIN}"
    )
}

/// Copies a log into the store's temporary folder, under an unpredictable name and readable only by the user.
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

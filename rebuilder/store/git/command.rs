//! Runs git with a limited duration, limited output and limited disk space, and with a configuration of our own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::GitError;
use super::checkout::last_line;
use crate::store::{Store, StoreError, write_atomically};

/// How often the size of a growing repository is checked.
const LOOK: Duration = Duration::from_millis(200);
/// Maximum number of bytes that git may print.
const OUTPUT_LIMIT: u64 = 64 << 20;
/// Git and the helpers that it started, which are ended together.
struct ProcessGroup(Option<Pid>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Runs a git command, and returns what it printed, or why it failed. The command and its helpers are ended if it
/// takes longer than `limit`, prints too much, makes a folder grow beyond its bound, or if the future is dropped.
pub(super) async fn run(
    command: Command,
    limit: Duration,
    growing: Option<(&Path, u64)>,
) -> Result<Result<Vec<u8>, String>, GitError> {
    let mut command = tokio::process::Command::from(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(GitError::Missing)?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    let mut group = ProcessGroup(pid.map(Pid::from_raw));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (stdout, stderr) = tokio::join!(bounded(stdout), bounded(stderr));
        (stdout, stderr, child.wait().await)
    };
    let watch = async {
        let Some((folder, most)) = growing else {
            return std::future::pending().await;
        };
        let before = size(folder);
        loop {
            tokio::time::sleep(LOOK).await;
            if size(folder).saturating_sub(before) > most {
                return format!("it has more than {most} bytes");
            }
        }
    };
    let (stdout, stderr, status) = tokio::select! {
        done = work => done,
        reason = watch => return Ok(Err(reason)),
        () = tokio::time::sleep(limit) => return Ok(Err("it took too long".to_owned())),
    };
    group.0 = None;
    let status = status.map_err(GitError::Missing)?;
    Ok(match (stdout, stderr) {
        (Some(stdout), Some(_)) if status.success() => Ok(stdout),
        (Some(_), Some(stderr)) => Err(last_line(&stderr)),
        _ => Err(format!("git prints more than {OUTPUT_LIMIT} bytes")),
    })
}

/// Everything that a pipe gives; `None` if that is too much, and then the pipe is closed.
async fn bounded(pipe: Option<impl AsyncRead + Unpin>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let read = pipe.take(OUTPUT_LIMIT + 1).read_to_end(&mut bytes).await;
        read.ok().filter(|_| bytes.len() as u64 <= OUTPUT_LIMIT)?;
    }
    Some(bytes)
}

/// Number of bytes of the files in a folder.
fn size(folder: &Path) -> u64 {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten();
    let files = files.filter(|entry| entry.file_type().is_file());
    files
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.len())
        .sum()
}

/// Removes the temporary files of a fetch that was ended; the caller has the repository to itself.
pub(super) fn remove_parts(folder: &Path) {
    let files = walkdir::WalkDir::new(folder.join("objects"))
        .into_iter()
        .flatten();
    for file in files.filter(|entry| entry.file_type().is_file()) {
        if file.file_name().to_string_lossy().starts_with("tmp_") {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// Git's only configuration: no helpers, no hooks, checks on, and repositories of other users may be read.
///
/// Three faults that old tools left in the history of many repositories are let through, as by git hosts: none of them
/// changes which files a commit has, and every object still has to match its name.
pub(super) fn configuration(store: &Store) -> Result<PathBuf, StoreError> {
    let path = store.git_config();
    let text = "[core]\n\thooksPath = /dev/null\n[transfer]\n\tfsckObjects = true\n[fetch]\n\trecurseSubmodules = false\n\
                [fetch \"fsck\"]\n\tbadTimezone = ignore\n\tmissingSpaceBeforeDate = ignore\n\tzeroPaddedFilemode = ignore\n\
                [protocol]\n\tallow = never\n\tversion = 2\n[protocol \"https\"]\n\tallow = always\n[protocol \"http\"]\n\tallow = always\n\
                [protocol \"file\"]\n\tallow = always\n\
                [http]\n\tfollowRedirects = false\n\tlowSpeedLimit = 1024\n\tlowSpeedTime = 60\n[credential]\n\thelper =\n[safe]\n\tdirectory = *\n[gc]\n\tauto = 0\n";
    if std::fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(path);
    }
    write_atomically(&path, text.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fetches a commit whose tree has one file with this mode and name, and whose author has this time zone.
    async fn fetched(mode: &str, name: &str, zone: &str) -> Result<(), String> {
        // The file is the empty one.
        const FILE: &str = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().join("store"))).unwrap();
        let tree = [format!("{mode} {name}\0").as_bytes(), &hex::decode(FILE).unwrap()].concat();
        std::fs::write(folder.path().join("tree"), tree).unwrap();
        let script = "git init -q --bare from && git init -q --bare to && cd from
            git hash-object -w --stdin < /dev/null
            tree=$(git hash-object --literally -t tree -w ../tree)
            printf \"tree $tree\\nauthor a <a@b> 1 $ZONE\\ncommitter a <a@b> 1 +0000\\n\\nx\\n\" > ../commit
            git update-ref refs/heads/odd $(git hash-object --literally -t commit -w ../commit)
            cd ../to && git fetch -q ../from odd";
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(folder.path());
        command.env("ZONE", zone).env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GIT_CONFIG_GLOBAL", configuration(&store).unwrap());
        run(command, Duration::from_mins(1), None)
            .await
            .unwrap()
            .map(drop)
    }

    #[tokio::test]
    async fn what_old_tools_left_is_fetched_and_what_git_could_misread_is_not() {
        for (mode, name, zone, is_fetched) in [
            ("100644", "f", "+0000", true),
            ("0100644", "f", "+0000", true),
            ("100644", "f", "+0000000", true),
            ("100644", ".git", "+0000", false),
            ("100644", "..", "+0000", false),
        ] {
            let result = fetched(mode, name, zone).await;
            assert_eq!(result.is_ok(), is_fetched, "{mode} {name} {zone}: {result:?}");
        }
    }

    #[tokio::test]
    async fn a_fetch_that_grows_prints_or_lasts_too_much_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let sh = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).current_dir(folder.path());
            command
        };
        let growing = Some((folder.path(), 1 << 20));
        let long = Duration::from_mins(1);
        // A helper of the command writes, not the command itself.
        let reason = run(
            sh("(head -c 1G /dev/zero > grows; sleep 61) & wait"),
            long,
            growing,
        )
        .await;
        assert!(reason.unwrap().unwrap_err().contains("more than 1048576 bytes"));
        let reason = run(sh("yes"), long, None).await;
        assert!(reason.unwrap().unwrap_err().contains("prints more"));
        let reason = run(
            sh("sleep 61 & echo $! > pid; wait"),
            Duration::from_millis(300),
            None,
        )
        .await;
        assert!(reason.unwrap().unwrap_err().contains("too long"));
        let pid: i32 = std::fs::read_to_string(folder.path().join("pid"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        for _ in 0..50 {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if stat.is_empty() || stat.contains(") Z ") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the helper still runs");
    }
}

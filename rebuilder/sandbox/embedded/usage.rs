//! Measures how much a running build has written, wherever it hides it.
//!
//! Trees are walked by handles, so no path is too long and no depth too great. Every entry counts as at least one
//! block, so that empty files and folders are limited too. Files that are open or mapped but have no name any more are
//! found through their processes. A walk costs time, so it is made when the file system has lost enough free space for
//! the limit to be reached, and once in a while in any case.

use std::collections::HashSet;
use std::ffi::CString;
use std::fs;
use std::io::BufRead as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::sys::statvfs::statvfs;

/// What each entry counts at least: a block.
const BLOCK: u64 = 4096;
/// How often the free space is checked.
const PAUSE: Duration = Duration::from_millis(200);
/// Walks that are not needed take at most one part in this many of the time.
const SHARE: u32 = 20;

/// A build's places, watched.
pub(super) struct Watch {
    /// The folders that contain everything that the build writes.
    pub(super) trees: Vec<PathBuf>,
    /// The paths at which the build sees them.
    pub(super) mounts: Vec<PathBuf>,
    /// `/proc` of the namespace of the build's processes.
    pub(super) processes: PathBuf,
    /// Maximum number of bytes.
    pub(super) limit: u64,
}

impl Watch {
    /// Returns when more than the limit has been written.
    pub(super) fn until_full(&self) {
        let mut measured = 0;
        let mut free_then = self.free();
        let (mut walked, mut cost) = (Instant::now(), Duration::ZERO);
        loop {
            // A long walk must not cause an equally long pause.
            std::thread::sleep(cost.clamp(PAUSE, Duration::from_secs(1)));
            let lost = free_then.saturating_sub(self.free());
            let room = self.limit.saturating_sub(measured);
            if lost < room / 2 && walked.elapsed() < cost.saturating_mul(SHARE).max(Duration::from_secs(1)) {
                continue;
            }
            let begun = Instant::now();
            free_then = self.free();
            let (used, complete) = self.used();
            // If folders moved while they were counted, the count is incomplete, and the file system's own numbers
            // decide.
            if used > self.limit || !complete && lost > room && lost > self.limit {
                return;
            }
            measured = used;
            (walked, cost) = (Instant::now(), begun.elapsed());
        }
    }

    /// Whether more than the limit has been written at the end; `free_then` are the bytes that were free at the start.
    pub(super) fn is_full(&self, free_then: u64) -> bool {
        free_then.saturating_sub(self.free()) > self.limit && self.used().0 > self.limit
    }

    /// Free bytes of the file system; a free inode counts as a block, so that either shortage shows.
    pub(super) fn free(&self) -> u64 {
        let Some(of) = self.trees.first().and_then(|tree| statvfs(tree).ok()) else {
            return 0;
        };
        let bytes = of.blocks_available().saturating_mul(of.fragment_size());
        let inodes = of.files_available().saturating_mul(BLOCK);
        bytes.saturating_add(inodes)
    }

    /// The file systems of the build's files, as the build sees them and as they are on disk.
    fn devices(&self) -> HashSet<u64> {
        let places = self.trees.iter().chain(&self.mounts);
        places
            .filter_map(|place| fs::metadata(place).ok())
            .map(|meta| meta.dev())
            .collect()
    }

    /// The bytes that are used, and whether nothing moved while they were counted.
    fn used(&self) -> (u64, bool) {
        let trees = self.trees.iter().map(|tree| count_tree(tree, self.limit));
        let (bytes, complete) = trees.fold((0_u64, true), |(bytes, complete), tree| {
            (bytes.saturating_add(tree.0), complete && tree.1)
        });
        (
            bytes.saturating_add(nameless(&self.processes, &self.devices())),
            complete,
        )
    }
}

fn takes(stat: &FileStat) -> u64 {
    u64::try_from(stat.st_blocks)
        .unwrap_or(0)
        .saturating_mul(512)
        .max(BLOCK)
}

/// A folder on the way down: its name, its identity, and which of its folders are still to be counted.
struct Level {
    name: CString,
    id: (u64, u64),
    folders: Vec<CString>,
}

/// Access times are not changed: a build could read from them where the walk is, and move files to where it has been.
const FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOATIME)
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// Bytes that a tree takes on disk (the count may stop when it is beyond `enough`), and whether nothing moved while
/// they were counted.
fn count_tree(top: &Path, enough: u64) -> (u64, bool) {
    let mut used = 0;
    let complete = walk(top, &mut used, enough).unwrap_or(false);
    (used, complete)
}

fn walk(top: &Path, used: &mut u64, enough: u64) -> Option<bool> {
    let open_top = || nix::fcntl::open(top, FOLDER, Mode::empty()).ok();
    let mut here = open_top()?;
    let mut several_names = HashSet::new();
    let mut complete = true;
    let mut levels = vec![count(CString::default(), &here, used, &mut several_names)?];
    while let Some(level) = levels.last_mut().filter(|_| *used <= enough) {
        // In an unpredictable order, so that a build cannot move files out of the way.
        if !level.folders.is_empty() {
            let index = random_below(level.folders.len());
            let name = level.folders.swap_remove(index);
            let below = openat(&here, name.as_c_str(), FOLDER, Mode::empty()).ok();
            match below.and_then(|below| Some((count(name, &below, used, &mut several_names)?, below))) {
                Some((level, below)) => {
                    levels.push(level);
                    here = below;
                }
                None => complete = false,
            }
            continue;
        }
        levels.pop();
        let Some(above) = levels.last() else { break };
        let up = openat(&here, "..", FOLDER, Mode::empty()).ok();
        let up = up.filter(|up| identity(up) == Some(above.id));
        here = if let Some(up) = up {
            up
        } else {
            // The folder was moved meanwhile: go down again from the top, as far as the path is still the same.
            complete = false;
            down_again(open_top()?, &mut levels)
        };
    }
    Some(complete)
}

fn random_below(count: usize) -> usize {
    use std::hash::{BuildHasher as _, RandomState};
    let hash = RandomState::new().hash_one(0_u8);
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    hash.checked_rem(count)
        .and_then(|below| usize::try_from(below).ok())
        .unwrap_or(0)
}

/// The folder at the end of the path in `levels`; cuts off those levels that are no longer where they were.
fn down_again(top: OwnedFd, levels: &mut Vec<Level>) -> OwnedFd {
    let mut here = top;
    for index in 1..levels.len() {
        let Some(level) = levels.get(index) else { break };
        let below = openat(&here, level.name.as_c_str(), FOLDER, Mode::empty()).ok();
        match below.filter(|below| identity(below) == Some(level.id)) {
            Some(below) => here = below,
            None => levels.truncate(index),
        }
    }
    here
}

fn identity(folder: &OwnedFd) -> Option<(u64, u64)> {
    let stat = fstat(folder).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// Adds the entries of one folder; returns its subfolders.
fn count(name: CString, folder: &OwnedFd, used: &mut u64, several_names: &mut HashSet<u64>) -> Option<Level> {
    let id = identity(folder)?;
    let mut level = Level {
        name,
        id,
        folders: Vec::new(),
    };
    let mut dir = Dir::openat(
        folder.as_fd(),
        ".",
        OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .ok()?;
    for entry in dir.iter() {
        let Ok(entry) = entry else { break };
        let name = entry.file_name();
        if name.to_bytes() == b"." || name.to_bytes() == b".." {
            continue;
        }
        let Ok(stat) = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
            continue;
        };
        let is_folder = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
        if is_folder || stat.st_nlink < 2 || several_names.insert(stat.st_ino) {
            *used = used.saturating_add(takes(&stat));
        }
        if is_folder && stat.st_dev == id.0 {
            level.folders.push(name.to_owned());
        }
    }
    Some(level)
}

/// Bytes of files on these file systems that have no name any more, but that processes still hold.
///
/// Each thread is checked: it may have handles that its process has not. The names of files are ignored, as the build
/// chooses them. Files in memory are on another device, and the limit on memory covers them.
fn nameless(processes: &Path, devices: &HashSet<u64>) -> u64 {
    let mut known = HashSet::new();
    let mut used = 0_u64;
    let listed = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let numbered = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit) && name != "1"
    };
    for process in listed(processes).filter(numbered) {
        for thread in listed(&process.path().join("task")) {
            for handle in listed(&thread.path().join("fd")) {
                // The link of a handle leads to the open file itself.
                let Ok(file) = fs::metadata(handle.path()) else {
                    continue;
                };
                let counts = file.is_file() && file.nlink() == 0 && devices.contains(&file.dev());
                if counts && known.insert((file.dev(), file.ino())) {
                    used = used.saturating_add(file.blocks().saturating_mul(512));
                }
            }
            for mapping in mapped(&thread.path().join("maps")) {
                if devices.contains(&mapping.file.0) && known.insert(mapping.file) {
                    used = used.saturating_add(mapping.bytes);
                }
            }
        }
    }
    used
}

struct Mapping {
    file: (u64, u64),
    bytes: u64,
}

/// The mappings of files without a name.
fn mapped(maps: &Path) -> Vec<Mapping> {
    let Ok(file) = fs::File::open(maps) else {
        return Vec::new();
    };
    let lines = std::io::BufReader::new(file).split(b'\n').map_while(Result::ok);
    lines
        .filter(|line| line.ends_with(b" (deleted)"))
        .filter_map(|line| mapping(&String::from_utf8_lossy(&line)))
        .collect()
}

/// A line of proc_pid_maps(5): range, rights, offset, device, inode, path.
fn mapping(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let (_, offset, device, inode) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let (major, minor) = device.split_once(':')?;
    let device = nix::sys::stat::makedev(number(major)?, number(minor)?);
    Some(Mapping {
        file: (device, inode.parse().ok()?),
        bytes: number(to)?
            .checked_sub(number(from)?)?
            .checked_add(number(offset)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_entry_and_each_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/b/file"), vec![1; 1 << 20]).unwrap();
        fs::hard_link(top.join("a/b/file"), top.join("again")).unwrap();
        for index in 0..100 {
            fs::write(top.join(format!("a/{index}")), "").unwrap();
        }
        let (used, complete) = count_tree(top, u64::MAX);
        assert!(complete);
        let expected = (1 << 20) + 102 * BLOCK;
        assert!((expected..expected + 8 * BLOCK).contains(&used), "{used}");
    }

    #[test]
    fn reads_mappings_of_files_without_a_name() {
        let line = "7f00a0000000-7f00a0002000 rw-s 00001000 08:10 1234 /tmp/gone (deleted)";
        let found = mapping(line).unwrap();
        assert_eq!(found.bytes, 0x3000);
        assert_eq!(found.file.1, 1234);
        let in_memory = mapping("7f00a0000000-7f00a0002000 rw-s 00000000 00:01 7 /memfd:x (deleted)");
        assert_eq!(in_memory.unwrap().file.0, nix::sys::stat::makedev(0, 1));
        assert!(mapping("nonsense (deleted)").is_none());
    }
}

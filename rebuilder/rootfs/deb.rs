//! Unpacking Debian packages (deb(5)) without any Debian tool: what `dpkg --unpack` leaves, written in process.
//!
//! Runs in the sandbox helper, changed into the new root, so that a link in one package cannot lead another
//! one's files out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::RootfsError;
use super::ar::Members;
use super::room::{self, Room};
use crate::bounded::HeaderLimit;
use crate::evidence::deb822;

/// Packages to unpack, in this order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnpackPlan {
    /// Folder that holds the files.
    pub folder: PathBuf,
    /// The package files.
    pub packages: Vec<PackageFile>,
}

/// One package file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PackageFile {
    /// Name of the package.
    pub package: String,
    /// File in the plan's folder.
    pub file: String,
}

/// Folders that are links into `/usr` in every current Debian (merged `/usr`).
const MERGED: [&str; 5] = ["bin", "lib", "lib32", "lib64", "sbin"];

/// What one package adds to dpkg's records.
struct Unpacked {
    status: String,
    /// A record file below `/var/lib/dpkg/triggers`, and a line for it.
    triggers: Vec<(String, String)>,
}

/// Unpacks all packages into `root`, which is empty, and writes dpkg's records for them.
pub fn unpack(plan: &UnpackPlan, root: &Path) -> Result<(), RootfsError> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |source| RootfsError::Io { what, source }
    };
    // Opened before the change of root, after which the folder is out of reach.
    let files = plan
        .packages
        .iter()
        .map(|package| File::open(plan.folder.join(&package.file)).map(Mutex::new))
        .collect::<io::Result<Vec<_>>>()
        .map_err(io("open the packages"))?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    nix::unistd::chroot(root)
        .and_then(|()| nix::unistd::chdir("/"))
        .map_err(|error| io("enter the new root")(error.into()))?;
    skeleton().map_err(io("make the first folders"))?;

    let (next, room) = (AtomicUsize::new(0), Room::default());
    let done: Mutex<BTreeMap<usize, Result<Unpacked, RootfsError>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from).min(4) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(package), Some(file)) = (plan.packages.get(index), files.get(index)) else {
                        return;
                    };
                    let Ok(mut file) = file.lock() else { return };
                    let result = unpack_one(&package.package, &mut file, &room);
                    if let Ok(mut done) = done.lock() {
                        done.insert(index, result);
                    }
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_default();
    let mut status = String::new();
    let mut triggers: BTreeMap<String, String> = BTreeMap::new();
    for unpacked in done.into_values() {
        let unpacked = unpacked?;
        status.push_str(&unpacked.status);
        status.push('\n');
        for (file, line) in unpacked.triggers {
            let record = triggers.entry(file).or_default();
            record.push_str(&line);
            record.push('\n');
        }
    }
    let records = || io("write the package records");
    fs::write("/var/lib/dpkg/status", status).map_err(records())?;
    for (file, record) in triggers {
        fs::write(Path::new("/var/lib/dpkg/triggers").join(file), record).map_err(records())?;
    }
    Ok(())
}

fn skeleton() -> io::Result<()> {
    for name in MERGED {
        fs::create_dir_all(format!("/usr/{name}"))?;
        symlink(format!("usr/{name}"), format!("/{name}"))?;
    }
    for folder in ["info", "triggers", "updates", "parts", "alternatives"] {
        fs::create_dir_all(format!("/var/lib/dpkg/{folder}"))?;
    }
    for folder in ["dev", "proc", "sys", "etc", "inputs", "out"] {
        fs::create_dir_all(format!("/{folder}"))?;
    }
    fs::write("/var/lib/dpkg/available", "")?;
    fs::write("/var/lib/dpkg/info/format", "1\n")?;
    // Services of the new root must not be started by the packages' scripts.
    fs::create_dir_all("/usr/sbin")?;
    fs::write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")?;
    fs::set_permissions("/usr/sbin/policy-rc.d", fs::Permissions::from_mode(0o755))
}

fn unpack_one(package: &str, file: &mut File, room: &Room) -> Result<Unpacked, RootfsError> {
    let broken = |document: &'static str| {
        let package = package.to_owned();
        move |source| RootfsError::Package {
            package,
            document,
            source,
        }
    };
    let mut archive = Members::new(file).map_err(broken("the ar archive"))?;
    let mut control = None;
    while let Some(name) = archive.next().map_err(broken("the ar archive"))? {
        if name.starts_with("control.tar") {
            let tar = decompress(&name, &mut archive).map_err(broken("control.tar"))?;
            control = Some(PackageControl::read(tar).map_err(broken("control.tar"))?);
        } else if name.starts_with("data.tar") {
            let control = control.take().ok_or_else(|| {
                broken("the ar archive")(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "control.tar is missing",
                ))
            })?;
            let tar = decompress(&name, &mut archive).map_err(broken("data.tar"))?;
            let list = unpack_data(tar, &control.conffiles, room).map_err(broken("data.tar"))?;
            return control.record(&list).map_err(broken("control.tar"));
        }
    }
    Err(broken("the ar archive")(io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "data.tar is missing",
    )))
}

/// A reader that decompresses a member of a package; the member's name tells the compression.
pub(crate) fn decompress<'a>(name: &str, member: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match name.rsplit('.').next() {
        Some("xz") => Box::new(liblzma::read::XzDecoder::new(member)),
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(member)),
        Some("zst") => Box::new(zstd::Decoder::new(member)?),
        Some("tar") => Box::new(member),
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("unknown compression of {name}"),
            ));
        }
    })
}

/// `control.tar` of a package.
struct PackageControl {
    files: Vec<(String, u32, Vec<u8>)>,
    conffiles: BTreeSet<String>,
}

const CONTROL_LIMIT: u64 = 64 << 20;

impl PackageControl {
    fn read(tar: impl Read) -> io::Result<Self> {
        let mut files = Vec::new();
        let headers = HeaderLimit::default();
        let mut archive = tar::Archive::new(headers.over(tar.take(CONTROL_LIMIT)));
        for entry in headers.entries(&mut archive)? {
            let mut entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = entry
                .path()?
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let mode = entry.header().mode()?;
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            files.push((name, mode, bytes));
        }
        let mut this = Self {
            files,
            conffiles: BTreeSet::new(),
        };
        // A flag word may precede the path (deb-conffiles(5)); only "remove-on-upgrade" exists.
        let conffiles = this.text("conffiles").unwrap_or_default();
        this.conffiles = conffiles
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with('/'))
            .map(str::to_owned)
            .collect();
        Ok(this)
    }

    fn text(&self, name: &str) -> Option<String> {
        let (.., bytes) = self.files.iter().find(|(file, ..)| file == name)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Writes the package's files below `/var/lib/dpkg/info`; returns its part of the other records.
    fn record(&self, list: &str) -> io::Result<Unpacked> {
        let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
        let text = self
            .text("control")
            .ok_or_else(|| invalid("no control file".into()))?;
        let paragraph =
            deb822::one_paragraph("control", text.as_bytes()).map_err(|error| invalid(error.to_string()))?;
        let field = |name: &str| paragraph.get(name).unwrap_or_default().to_owned();
        let package = field("Package");
        let instance = if field("Multi-Arch") == "same" {
            format!("{package}:{}", field("Architecture"))
        } else {
            package.clone()
        };

        for (name, mode, bytes) in self.files.iter().filter(|(name, ..)| name != "control") {
            let path = format!("/var/lib/dpkg/info/{instance}.{name}");
            fs::write(&path, bytes)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o755))?;
        }
        fs::write(format!("/var/lib/dpkg/info/{instance}.list"), list)?;

        let mut status = String::new();
        for line in text.trim_end().lines() {
            status.push_str(line);
            status.push('\n');
            if line.starts_with("Package:") {
                status.push_str("Status: install ok unpacked\n");
            }
        }
        if !self.conffiles.is_empty() {
            status.push_str("Conffiles:\n");
            for path in &self.conffiles {
                status.push_str(&format!(" {path} newconffile\n"));
            }
        }
        Ok(Unpacked {
            status,
            triggers: self.triggers(&instance),
        })
    }

    /// Interests of deb-triggers(5): paths go to the `File` record, names to a separate file.
    fn triggers(&self, instance: &str) -> Vec<(String, String)> {
        let mut triggers = Vec::new();
        for line in self.text("triggers").unwrap_or_default().lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let [directive, trigger] = words[..] else { continue };
            if !directive.starts_with("interest") {
                continue;
            }
            let suffix = if directive.ends_with("noawait") {
                "/noawait"
            } else {
                ""
            };
            triggers.push(if trigger.starts_with('/') {
                ("File".to_owned(), format!("{trigger} {instance}{suffix}"))
            } else {
                (trigger.replace('/', "_"), format!("{instance}{suffix}"))
            });
        }
        triggers
    }
}

/// Unpacks `data.tar` into `/`; returns the list of its paths as dpkg keeps it.
fn unpack_data(tar: impl Read, conffiles: &BTreeSet<String>, room: &Room) -> io::Result<String> {
    let headers = HeaderLimit::default();
    let mut archive = tar::Archive::new(headers.over(tar.take(room::BYTES)));
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    archive.set_preserve_mtime(true);
    let mut list = String::new();
    for entry in headers.entries(&mut archive)? {
        let mut entry = entry?;
        room.take(entry.size())?;
        let relative = entry.path()?.into_owned();
        let relative: PathBuf = relative
            .components()
            .filter(|part| matches!(part, std::path::Component::Normal(_)))
            .collect();
        let path = Path::new("/").join(&relative);
        list.push_str(&if relative.as_os_str().is_empty() {
            "/.".to_owned()
        } else {
            path.display().to_string()
        });
        list.push('\n');
        if relative.as_os_str().is_empty() {
            continue;
        }
        if entry.header().entry_type().is_dir() && path.is_dir() {
            // Several packages share the folder, and it may be a link of the merged `/usr`.
            continue;
        }
        if conffiles.contains(&path.display().to_string()) {
            // dpkg moves the file to its place when it configures the package.
            let mut waiting = path.into_os_string();
            waiting.push(".dpkg-new");
            entry.unpack(&waiting)?;
        } else if entry.header().entry_type().is_hard_link() {
            let target = entry
                .link_name()?
                .map(std::borrow::Cow::into_owned)
                .unwrap_or_default();
            let target: PathBuf = target
                .components()
                .filter(|part| matches!(part, std::path::Component::Normal(_)))
                .collect();
            fs::hard_link(Path::new("/").join(target), path)?;
        } else {
            entry.unpack_in("/")?;
        }
    }
    Ok(list)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn packages_unpack_to_no_more_than_there_is_room_for() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().strip_prefix("/").unwrap();
        let packed = |files: &[(&str, usize)]| {
            let mut tar = tar::Builder::new(Vec::new());
            for (name, size) in files {
                let mut header = tar::Header::new_gnu();
                header.set_size(*size as u64);
                header.set_mode(0o644);
                header.set_uid(nix::unistd::getuid().as_raw().into());
                header.set_gid(nix::unistd::getgid().as_raw().into());
                header.set_mtime(0);
                let bytes = vec![0; *size];
                tar.append_data(&mut header, inside.join(name), &bytes[..])
                    .unwrap();
            }
            tar.into_inner().unwrap()
        };
        let unpack = |files: &[(&str, usize)], room: &Room| {
            let unpacked = unpack_data(&packed(files)[..], &BTreeSet::new(), room);
            unpacked.map_err(|error| error.to_string())
        };
        let room = Room::of(1000, 3);
        assert!(unpack(&[("a", 600)], &room).unwrap().ends_with("/a\n"));
        // The packages share one limit.
        assert!(
            unpack(&[("b", 600)], &room)
                .unwrap_err()
                .contains("holds more than")
        );
        assert!(!folder.path().join("b").exists());
        unpack(&[("c", 1), ("d", 1)], &room).unwrap();
        assert!(unpack(&[("e", 0)], &room).unwrap_err().contains("entries"));
    }
}

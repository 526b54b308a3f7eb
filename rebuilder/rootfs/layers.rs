//! Roots from image layers (OCI image spec, "layer"): unpacked one over another, with whiteouts applied.
//!
//! Runs in the sandbox helper, inside the new root, as the unpacking of packages does.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RootfsError;
use super::removal;
use super::room::{self, Room};
use crate::bounded::HeaderLimit;
use crate::reader::{Reader, as_file};

/// Layers to unpack, lowest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerPlan {
    /// Folder that holds the files.
    pub folder: PathBuf,
    /// File names; the ending tells the compression.
    pub files: Vec<String>,
}

/// The parts of an image's configuration that say how to run it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Variables, as `NAME=VALUE`.
    pub env: Vec<String>,
    /// Words that come before the command.
    pub entrypoint: Vec<String>,
}

/// Mount points that every job needs.
const MOUNT_POINTS: [&str; 7] = ["/dev", "/proc", "/sys", "/etc", "/tmp", "/inputs", "/out"];

impl ImageConfig {
    /// Reads the configuration file of an image.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let config =
            crate::bounded::read(path, crate::bounded::DOCUMENT).map_err(|error| error.to_string())?;
        let config = oci_spec::image::ImageConfiguration::from_reader(&config[..])
            .map_err(|error| error.to_string())?;
        let config = config.config().clone().unwrap_or_default();
        Ok(Self {
            env: config.env().clone().unwrap_or_default(),
            entrypoint: config.entrypoint().clone().unwrap_or_default(),
        })
    }
}

/// The ending of a file name for a layer's media type; `None` if that is not a layer.
pub fn ending(media_type: &str) -> Option<&'static str> {
    let kind = media_type.rsplit(['.', '+']).next().unwrap_or_default();
    match kind {
        "tar" => Some("tar"),
        "gzip" => Some("tar.gz"),
        "zstd" => Some("tar.zst"),
        _ => None,
    }
}

/// Unpacks all layers into `root`, which is empty.
pub fn unpack_layers(plan: &LayerPlan, root: &Path) -> Result<(), RootfsError> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |source| RootfsError::Io { what, source }
    };
    // Opened before the change of root, after which the folder is out of reach.
    let files = plan
        .files
        .iter()
        .map(|name| File::open(plan.folder.join(name)))
        .collect::<io::Result<Vec<_>>>()
        .map_err(io("open the layers"))?;
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    nix::unistd::chroot(root)
        .and_then(|()| nix::unistd::chdir("/"))
        .map_err(|error| io("enter the new root")(error.into()))?;
    let room = Room::default();
    for (name, file) in plan.files.iter().zip(files) {
        unpack_layer(name, file, &room).map_err(io(&format!("unpack the layer {name}")))?;
    }
    for folder in MOUNT_POINTS {
        make_folder(Path::new(folder)).map_err(io("make the mount points"))?;
    }
    Ok(())
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn unpack_layer(name: &str, file: File, room: &Room) -> io::Result<()> {
    let unpacked = super::deb::decompress(name, io::BufReader::new(file))?.take(room::BYTES);
    let headers = HeaderLimit::default();
    let mut archive = tar::Archive::new(headers.over(unpacked));
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    archive.set_preserve_mtime(true);
    let mut own = Own::default();
    for entry in headers.entries(&mut archive)? {
        let mut entry = entry?;
        room.take(entry.size())?;
        let path = inside(&entry.path()?);
        let Some(file_name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            continue;
        };
        let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
        if file_name == ".wh..wh..opq" {
            own.remove_beneath(&parent)?;
            continue;
        }
        if let Some(gone) = file_name.strip_prefix(".wh.") {
            if ["", ".", ".."].contains(&gone) {
                return Err(invalid(format!("the whiteout {file_name:?} names no file")));
            }
            own.remove_lower(&parent.join(gone))?;
            continue;
        }
        let kind = entry.header().entry_type();
        if kind.is_block_special() || kind.is_character_special() {
            // The sandbox has its own devices, and a user namespace cannot make any.
            continue;
        }
        own.add(&path);
        match fs::symlink_metadata(&path) {
            // A folder over a folder takes its mode and owner, and keeps what is in it.
            Ok(there) if there.is_dir() && kind.is_dir() => {}
            Ok(_) => remove(&path)?,
            Err(_) => make_folder(&parent)?,
        }
        if kind.is_hard_link() {
            let target = entry
                .link_name()?
                .map(|target| inside(&target))
                .unwrap_or_default();
            fs::hard_link(target, &path)?;
        } else {
            entry.unpack_in("/")?;
        }
    }
    Ok(())
}

/// The paths that a layer has itself, and the folders above them. Its whiteouts are about the layers below it only (OCI
/// Image Layer Specification, "Whiteouts"), wherever they stand in the archive.
#[derive(Default)]
struct Own(HashSet<PathBuf>);

impl Own {
    fn add(&mut self, path: &Path) {
        for above in path.ancestors() {
            if !self.0.insert(above.to_owned()) {
                break;
            }
        }
    }

    /// Removes a file, or a folder, as far as it is the lower layers'.
    fn remove_lower(&self, path: &Path) -> io::Result<()> {
        if self.0.contains(path) {
            self.remove_beneath(path)
        } else {
            remove(path)
        }
    }

    /// Removes what the lower layers have in a folder.
    fn remove_beneath(&self, folder: &Path) -> io::Result<()> {
        if !look(folder)?.is_some_and(|there| there.is_dir()) {
            return Ok(());
        }
        if !self.0.contains(folder) {
            return removal::empty(folder);
        }
        fs::read_dir(folder)?.try_for_each(|entry| self.remove_lower(&entry?.path()))
    }
}

/// A path of an archive entry as a path below the root.
fn inside(path: &Path) -> PathBuf {
    let parts = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)));
    Path::new("/").join(parts.collect::<PathBuf>())
}

fn remove(path: &Path) -> io::Result<()> {
    match look(path)? {
        Some(there) if there.is_dir() => removal::empty(path).and_then(|()| fs::remove_dir(path)),
        Some(_) => fs::remove_file(path),
        None => Ok(()),
    }
}

/// What is at a path, links not followed; `None` if nothing is.
fn look(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a folder that the layer does not name itself, and those above it.
fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}

/// Entry points for fuzzing.
pub const READERS: &[Reader] = &[("image-configuration", |bytes| {
    as_file(bytes, |path| drop(ImageConfig::read(path)));
})];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whiteout_removes_nothing_that_its_own_layer_has() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("d/new")).unwrap();
        for name in ["d/old", "d/new/old", "d/new/own", "d/own", "gone", "kept"] {
            fs::write(at(name), name).unwrap();
        }
        let mut own = Own::default();
        own.add(&at("d/new/own"));
        own.add(&at("d/own"));
        own.add(&at("kept"));
        own.remove_beneath(&at("d")).unwrap();
        own.remove_lower(&at("gone")).unwrap();
        own.remove_lower(&at("kept")).unwrap();
        own.remove_lower(&at("never")).unwrap();
        for (name, is_there) in [
            ("d/own", true),
            ("d/new/own", true),
            ("kept", true),
            ("d/old", false),
            ("d/new/old", false),
            ("gone", false),
        ] {
            assert_eq!(at(name).exists(), is_there, "{name}");
        }
    }

    #[test]
    fn knows_layers_by_their_media_types() {
        for (media_type, expected) in [
            ("application/vnd.oci.image.layer.v1.tar", Some("tar")),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Some("tar.gz")),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Some("tar.zst")),
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                Some("tar.gz"),
            ),
            ("application/json", None),
        ] {
            assert_eq!(ending(media_type), expected, "{media_type}");
        }
    }
}

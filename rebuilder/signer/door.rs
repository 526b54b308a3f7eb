//! The door: a socket that only workers can open.

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use tokio::net::UnixListener;

use super::SignerError;
use super::serve::Service;

/// Who may open the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The workers, each by an entry of its own in the socket's access list; no one if the signer is its only worker.
    Workers,
    /// A group: mode 0660.
    Group(u32),
}

impl Service {
    /// The socket, open to those who may ask and to no one else; and the lock that says that it is in use.
    pub(super) fn listen(
        &self,
        socket: &Path,
    ) -> Result<(UnixListener, nix::fcntl::Flock<std::fs::File>), SignerError> {
        let at = |source| SignerError::Socket {
            path: socket.to_owned(),
            source,
        };
        // A socket may be left behind by a killed service; a living one holds its lock. Whoever could open the lock could
        // hold it, and keep the service from starting again.
        let lock = std::fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
            .open(socket.with_extension("lock"))
            .map_err(at)?;
        lock.set_permissions(std::fs::Permissions::from_mode(0o600))
            .map_err(at)?;
        let held = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusiveNonblock)
            .map_err(|(_, error)| at(error.into()))?;
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(error)),
            _ => {}
        }
        // It appears in its place when its mode is right: no one gets in before.
        let folder = socket.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder
            .unwrap_or(Path::new("."))
            .join(format!(".s{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(at)?;
        let hidden = folder.join("s");
        let listener = UnixListener::bind(&hidden)
            .and_then(|listener| self.open_door(&hidden).map(|()| listener))
            .and_then(|listener| std::fs::rename(&hidden, socket).map(|()| listener));
        let _ = std::fs::remove_dir_all(&folder);
        Ok((listener.map_err(at)?, held))
    }

    /// Lets the workers in, or a group.
    fn open_door(&self, socket: &Path) -> std::io::Result<()> {
        let mode = |mode| std::fs::set_permissions(socket, std::fs::Permissions::from_mode(mode));
        mode(0o600)?;
        match self.door {
            Door::Group(group) => {
                let group = nix::unistd::Gid::from_raw(group);
                nix::unistd::chown(socket, None, Some(group))?;
                mode(0o660)
            }
            Door::Workers => {
                let own = nix::unistd::geteuid().as_raw();
                let others: Vec<u32> = self.workers.iter().copied().filter(|uid| *uid != own).collect();
                if others.is_empty() {
                    return Ok(());
                }
                let listed = xattr::set(socket, "system.posix_acl_access", &access_list(&others));
                listed.map_err(|error| {
                    std::io::Error::other(format!(
                        "this file system does not support access lists ({error}); name a group of the \
                        workers with --socket-group"
                    ))
                })
            }
        }
    }
}

/// The owner and these users may read and write; POSIX.1e draft 17 in the form of Linux's extended attribute, version 2.
fn access_list(users: &[u32]) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let mut entries = vec![(0x01_u16, 6_u16, NOBODY)];
    // In the order of their numbers, as the kernel wants them.
    entries.extend(users.iter().map(|uid| (0x02, 6, *uid)));
    entries.extend([(0x04, 0, NOBODY), (0x10, 6, NOBODY), (0x20, 0, NOBODY)]);
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

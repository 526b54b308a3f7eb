//! Root filesystems from pinned packages.
//!
//! A definition (`containers/NAME.toml`) says what is wanted, and its lock (`NAME.lock`) pins every package by digest.
//! The root is made from the lock alone: unpacked in process, configured in the sandbox, read back, and compared with
//! the tree digest that the lock promises.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod apt_resolver;
mod build;
mod closure;
mod configure;
mod definition;
mod layer;
mod lock;
mod receipt;

use std::path::PathBuf;

pub use build::{Root, build, is_made, root};
#[doc(hidden)]
pub use definition::READERS;
pub use definition::{Catalog, Debian, Definition};
pub use layer::{has_layer, keep_layer, kept_layer};
pub use lock::lock;

use crate::apt::AptError;
use crate::artifact::Sha256;
use crate::evidence::openpgp::OpenPgpError;
use crate::progress::Progress;
use crate::rootfs::RootfsError;
use crate::sandbox::SandboxError;
use crate::sandbox::embedded::Embedded;
use crate::store::{FetchError, Fetcher, StoreError};

/// What planning and building containers need.
#[derive(Clone, Copy)]
pub struct Workshop<'a> {
    /// The fetcher, which has the store and the only access to the network.
    pub fetcher: &'a Fetcher,
    /// Known containers.
    pub catalog: &'a Catalog,
    /// Builds roots and layers, and runs resolvers.
    pub sandbox: &'a Embedded,
    /// Where progress goes.
    pub progress: &'a Progress,
}

/// A container that cannot be locked or made.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ContainerError {
    #[error("there is no container {name:?}")]
    #[diagnostic(help("the known containers are {known}; \"rebuilder container list\" shows them"))]
    Unknown { name: String, known: String },
    #[error("cannot use {path}: {reason}")]
    #[diagnostic(help("docs/containers.md describes the file"))]
    Invalid { path: String, reason: String },
    #[error("the container {name} has no lock")]
    #[diagnostic(help("run \"rebuilder container lock {name}\""))]
    NotLocked { name: String },
    #[error("cannot use {name}.lock: {}", source)]
    #[diagnostic(help(
        "run \"rebuilder container lock {name}\", or add a mirror that still has the file (the dated \
        snapshot service keeps all files)"
    ))]
    Gone { name: String, source: FetchError },
    #[error("{package} is not in any suite of {container}")]
    #[diagnostic(help("check the name, or add the suite or component that contains it"))]
    NoPackage { container: String, package: String },
    #[error("the root made from {name}.lock does not match the lock: expected {expected}, found {found}")]
    #[diagnostic(help(
        "this version makes roots differently from the one that wrote the lock; run \"rebuilder container \
        lock {name}\""
    ))]
    TreeDiffers {
        name: String,
        expected: Sha256,
        found: Sha256,
    },
    #[error("a package script failed while {step} {name}: it {ended}; see the log {log}")]
    Configure {
        name: String,
        step: &'static str,
        ended: String,
        log: PathBuf,
    },
    #[error(transparent)]
    #[diagnostic(help("its digest was right, so the package in the archive is broken"))]
    Tree(#[from] RootfsError),
    #[error("cannot create a root filesystem from the image {image}: {reason}")]
    Image { image: String, reason: String },
    #[error("cannot {what}")]
    Io { what: String, source: std::io::Error },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Apt(#[from] AptError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Keyring(#[from] OpenPgpError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(#[from] SandboxError),
}

impl ContainerError {
    /// Whether the error speaks against the container, rather than something being unavailable.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Keyring(_) | Self::TreeDiffers { .. } => true,
            Self::Apt(error) => error.is_refusal(),
            Self::Gone { source, .. } => source.is_refusal(),
            Self::Fetch(error) => error.is_refusal(),
            _ => false,
        }
    }
}

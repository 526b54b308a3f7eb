//! What verified Debian indexes list: binary packages and source packages, each pinned by digest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use debversion::Version;
use futures_util::future::join_all;

use super::AptError;
use super::table::{BinaryRow, Kind, SourceRow, Table};
use crate::artifact::PinnedFile;
use crate::artifact::Sha256;
use crate::evidence::Verified;
use crate::evidence::deb822::{self, Deb822Error};
use crate::evidence::openpgp::Keyring;
use crate::evidence::release::{Archive, Release};
use crate::store::Fetcher;

/// The indexes of all suites of a set of archives.
pub struct Indexes {
    /// The suites' release files.
    pub releases: Vec<Verified<Release>>,
    packages: Vec<IndexFile>,
    sources: Vec<IndexFile>,
    /// Packages of the installer (udebs), which are never build dependencies.
    installer: Vec<IndexFile>,
    /// The text of the binary indexes, if something had to read it.
    plain: tokio::sync::OnceCell<Plain>,
}

/// One index.
#[derive(Clone)]
pub struct IndexFile {
    /// Its suite, as a position in [`Indexes::releases`].
    pub release: usize,
    /// Path below `dists/SUITE/`.
    pub path: String,
    /// The compressed index.
    pub file: PinnedFile,
    pub(super) table: Arc<Table>,
}

/// Decompressed indexes.
struct Plain {
    paths: Vec<PathBuf>,
    /// Holds them.
    _folder: tempfile::TempDir,
}

/// A binary package as its index describes it.
#[derive(Debug, Clone)]
pub struct Binary {
    pub package: String,
    pub version: Version,
    pub source: String,
    pub source_version: Version,
    pub arch: String,
    /// Path in the pool.
    pub path: String,
    pub sha256: Sha256,
    pub size: u64,
    /// Position in [`Indexes::releases`].
    pub release: usize,
}

/// A source package as its index describes it.
#[derive(Debug, Clone)]
pub struct SourcePackage {
    pub package: String,
    pub version: Version,
    /// Names of the binary packages that it can build, on any architecture.
    pub binaries: Vec<String>,
    /// Its files; the `.dsc` first.
    pub files: Vec<PinnedFile>,
    /// Position in [`Indexes::releases`].
    pub release: usize,
}

impl Indexes {
    /// Verifies the release files of every suite, and reads the binary indexes for `arch` that they name, of every
    /// component; the source indexes too where `with_sources`.
    ///
    /// Release files are fetched; an index is, if nothing was derived from it before.
    pub async fn load(
        fetcher: &Fetcher,
        archives: &[Archive],
        keyring: &Keyring,
        arch: &str,
        with_sources: bool,
    ) -> Result<Self, AptError> {
        let each = archives
            .iter()
            .map(|archive| super::releases(fetcher, archive, keyring));
        let mut releases = Vec::new();
        let mut wanted = Vec::new();
        for (archive, found) in archives.iter().zip(join_all(each).await) {
            for release in found? {
                wanted.extend(listed(&release, releases.len(), archive, arch, with_sources));
                releases.push(release);
            }
        }
        let mut this = Self {
            releases,
            packages: Vec::new(),
            sources: Vec::new(),
            installer: Vec::new(),
            plain: tokio::sync::OnceCell::new(),
        };
        for (kind, file) in tables(fetcher, wanted).await? {
            let list = match kind {
                Kind::Packages => &mut this.packages,
                Kind::Sources => &mut this.sources,
                Kind::Installer => &mut this.installer,
            };
            list.push(file);
        }
        Ok(this)
    }

    /// The same without the binary indexes of other suites.
    #[must_use]
    pub fn of_suite(&self, suite: &str) -> Self {
        let of_it = |index: &&IndexFile| self.release(index.release).suite == suite;
        Self {
            releases: self.releases.clone(),
            packages: self.packages.iter().filter(of_it).cloned().collect(),
            sources: self.sources.clone(),
            installer: self.installer.clone(),
            plain: tokio::sync::OnceCell::new(),
        }
    }

    /// The newest version of each of these binary packages.
    pub fn newest(&self, names: &BTreeSet<&str>) -> BTreeMap<&str, Version> {
        let mut newest: BTreeMap<&str, Version> = BTreeMap::new();
        let rows = self.packages.iter().flat_map(|index| index.table.binaries());
        for row in rows.filter(|row| names.contains(row.package)) {
            // What cannot be read is an error for whoever takes it.
            let Ok(version) = row.version.parse::<Version>() else {
                continue;
            };
            match newest.get(row.package) {
                Some(known) if *known >= version => {}
                _ => _ = newest.insert(row.package, version),
            }
        }
        newest
    }

    /// The binary indexes.
    pub fn package_files(&self) -> &[IndexFile] {
        &self.packages
    }

    /// The binary indexes as apt reads them, decompressed, in the order of [`Indexes::package_files`].
    pub async fn plain(&self, fetcher: &Fetcher) -> Result<&[PathBuf], AptError> {
        let plain = self.plain.get_or_try_init(|| async {
            let pinned: Vec<_> = self.packages.iter().map(|index| index.file.clone()).collect();
            let blobs = fetcher.get_all("fetching the archive's indexes", &pinned).await?;
            let folder = fetcher.store().temporary_folder()?;
            let paths: Vec<_> = (0..blobs.len())
                .map(|number| folder.path().join(number.to_string()))
                .collect();
            in_parallel(
                self.packages.iter().zip(&blobs).zip(&paths),
                |((index, blob), path)| super::decompress_to(blob, &index.path, path),
            )?;
            Ok::<_, AptError>(Plain {
                paths,
                _folder: folder,
            })
        });
        Ok(&plain.await?.paths)
    }

    /// Time of the newest release file.
    pub fn date(&self) -> jiff::Timestamp {
        self.releases
            .iter()
            .map(|release| release.date)
            .max()
            .unwrap_or_default()
    }

    /// Every binary package for which `wanted` says yes, of all suites.
    pub fn binaries(&self, wanted: impl FnMut(&BinaryRow<'_>) -> bool) -> Result<Vec<Binary>, AptError> {
        in_files(&self.packages, wanted)
    }

    /// Every package of the installer for which `wanted` says yes.
    pub fn installer_packages(
        &self,
        wanted: impl FnMut(&BinaryRow<'_>) -> bool,
    ) -> Result<Vec<Binary>, AptError> {
        in_files(&self.installer, wanted)
    }

    /// Every version of the source package `name`, of all suites.
    pub fn sources(&self, name: &str) -> Result<Vec<SourcePackage>, AptError> {
        let mut sources = Vec::new();
        for index in &self.sources {
            for row in index.table.sources().filter(|row| row.package == name) {
                sources.push(self.source(&row, index)?);
            }
        }
        Ok(sources)
    }

    /// The name of every binary package.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let rows = self.packages.iter().flat_map(|index| index.table.binaries());
        rows.map(|row| row.package)
    }

    /// The release of an index or a package.
    #[allow(
        clippy::indexing_slicing,
        reason = "positions of releases are made by `load` alone, each with the release at that position"
    )]
    pub fn release(&self, position: usize) -> &Verified<Release> {
        &self.releases[position]
    }

    /// The pinned file of a binary package.
    pub fn material(&self, binary: &Binary) -> PinnedFile {
        self.release(binary.release)
            .pool_file(&binary.path, binary.sha256, binary.size)
    }

    fn source(&self, row: &SourceRow<'_>, index: &IndexFile) -> Result<SourcePackage, AptError> {
        let listed = required(row.files, index, "Checksums-Sha256")?.replace(',', "\n");
        let mut files = deb822::checksums(&index.path, &listed)?;
        files.sort_by_key(|(name, ..)| !name.ends_with(".dsc"));
        let directory = required(row.directory, index, "Directory")?;
        let release = self.release(index.release);
        Ok(SourcePackage {
            package: required(row.package, index, "Package")?.to_owned(),
            version: version(row.version, index)?,
            binaries: row.binaries.split_whitespace().map(str::to_owned).collect(),
            files: files
                .into_iter()
                .map(|(name, sha256, size)| release.pool_file(&format!("{directory}/{name}"), sha256, size))
                .collect(),
            release: index.release,
        })
    }
}

/// The indexes that a release file lists of those that are wanted.
fn listed(
    release: &Verified<Release>,
    position: usize,
    archive: &Archive,
    arch: &str,
    with_sources: bool,
) -> Vec<(usize, String, Kind, PinnedFile)> {
    let mut found = Vec::new();
    for component in &archive.components {
        let packages = format!("{component}/binary-{arch}/Packages.xz");
        let sources = format!("{component}/source/Sources.xz");
        let installer = format!("{component}/debian-installer/binary-{arch}/Packages.xz");
        for (path, what) in [
            (packages, Kind::Packages),
            (sources, Kind::Sources),
            (installer, Kind::Installer),
        ] {
            if what != Kind::Packages && !with_sources {
                continue;
            }
            if let Some(material) = release.index(&path) {
                found.push((position, path, what, material));
            }
        }
    }
    found
}

/// Reads what was derived from indexes before, and derives the rest.
async fn tables(
    fetcher: &Fetcher,
    wanted: Vec<(usize, String, Kind, PinnedFile)>,
) -> Result<Vec<(Kind, IndexFile)>, AptError> {
    let store = fetcher.store();
    let kept = in_parallel(&wanted, |(.., kind, file)| {
        Ok(Table::kept(store, *kind, file.sha256))
    })?;
    let missing: Vec<_> = wanted
        .iter()
        .zip(&kept)
        .filter(|(_, table)| table.is_none())
        .map(|(index, _)| index)
        .collect();
    let of = |kind: fn(Kind) -> bool| {
        let files = missing.iter().filter(move |(.., its, _)| kind(*its));
        files.map(|(.., file)| file.clone()).collect::<Vec<_>>()
    };
    let needed = of(|kind| kind != Kind::Installer);
    fetcher.get_all("fetching the archive's indexes", &needed).await?;
    // Mirrors often carry these half or not at all; packages of the installer are then not compared.
    join_all(
        of(|kind| kind == Kind::Installer)
            .iter()
            .map(|file| fetcher.get_optional(file)),
    )
    .await;
    let both: Vec<_> = wanted.into_iter().zip(kept).collect();
    let made = in_parallel(both, |((release, path, kind, file), table)| {
        let table = match table {
            Some(table) => Some(table),
            None => match store.get(file.sha256)? {
                Some(blob) => Some(Table::derive(store, kind, &blob, &path)?),
                None if kind == Kind::Installer => None,
                None => {
                    return Err(AptError::Read {
                        document: file.name,
                        source: std::io::ErrorKind::NotFound.into(),
                    });
                }
            },
        };
        let index = table.map(|table| IndexFile {
            release,
            path,
            file,
            table: Arc::new(table),
        });
        Ok(index.map(|index| (kind, index)))
    })?;
    Ok(made.into_iter().flatten().collect())
}

/// Does the work on each item, on a separate thread; there are a few, and one or two of them are large.
fn in_parallel<T: Send, R: Send>(
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> Result<R, AptError> + Sync,
) -> Result<Vec<R>, AptError> {
    let work = &work;
    std::thread::scope(|scope| {
        let running: Vec<_> = items
            .into_iter()
            .map(|item| scope.spawn(move || work(item)))
            .collect();
        let joined = running.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined
            .map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

pub(super) fn in_files(
    files: &[IndexFile],
    mut wanted: impl FnMut(&BinaryRow<'_>) -> bool,
) -> Result<Vec<Binary>, AptError> {
    let mut binaries = Vec::new();
    for index in files {
        for row in index.table.binaries().filter(|row| wanted(row)) {
            binaries.push(binary(&row, index)?);
        }
    }
    Ok(binaries)
}

fn binary(row: &BinaryRow<'_>, index: &IndexFile) -> Result<Binary, AptError> {
    let invalid = |field| Deb822Error::Field {
        document: index.path.clone(),
        field,
    };
    let field = |value, name| required(value, index, name).map(str::to_owned);
    Ok(Binary {
        package: field(row.package, "Package")?,
        version: version(row.version, index)?,
        source: field(row.source, "Source")?,
        source_version: version(row.source_version, index)?,
        arch: field(row.arch, "Architecture")?,
        path: field(row.path, "Filename")?,
        sha256: row.sha256.parse().map_err(|_| invalid("SHA256"))?,
        size: row.size.parse().map_err(|_| invalid("Size"))?,
        release: index.release,
    })
}

fn version(text: &str, index: &IndexFile) -> Result<Version, Deb822Error> {
    text.parse().map_err(|_| Deb822Error::Field {
        document: index.path.clone(),
        field: "Version",
    })
}

fn required<'a>(value: &'a str, index: &IndexFile, field: &'static str) -> Result<&'a str, Deb822Error> {
    let value = Some(value).filter(|value| !value.is_empty());
    value.ok_or_else(|| Deb822Error::Field {
        document: index.path.clone(),
        field,
    })
}

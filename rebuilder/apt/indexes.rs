//! What verified Debian indexes list: binary packages and source packages, each pinned by digest.

use std::path::PathBuf;

use deb822_fast::Paragraph;
use debversion::Version;

use super::AptError;
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
    /// Holds the decompressed copies.
    folder: tempfile::TempDir,
}

/// One downloaded index.
pub struct IndexFile {
    /// Its suite, as a position in [`Indexes::releases`].
    pub release: usize,
    /// Path below `dists/SUITE/`.
    pub path: String,
    /// Its text: indexes are read several times over, and decompressing them is what takes the time.
    pub plain: PathBuf,
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
    /// Fetches and verifies the binary indexes for `arch` of every suite and component, and the source
    /// indexes too where `with_sources`.
    pub async fn load(
        fetcher: &Fetcher,
        archives: &[Archive],
        keyring: &Keyring,
        arch: &str,
        with_sources: bool,
    ) -> Result<Self, AptError> {
        let folder = fetcher.store().temporary_folder()?;
        let mut this = Self {
            releases: Vec::new(),
            packages: Vec::new(),
            sources: Vec::new(),
            installer: Vec::new(),
            folder,
        };
        let mut wanted = Vec::new();
        for archive in archives {
            for release in super::releases(fetcher, archive, keyring).await? {
                wanted.extend(listed(&release, this.releases.len(), archive, arch, with_sources));
                this.releases.push(release);
            }
        }
        let (optional, needed): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|(_, _, what, _)| *what == What::Installer);
        let materials: Vec<_> = needed.iter().map(|(.., material)| material.clone()).collect();
        let mut blobs = fetcher
            .get_all("fetching the archive's indexes", &materials)
            .await?;
        let mut wanted = needed;
        for index in optional {
            // Mirrors often carry these half or not at all; packages of the installer are then not compared.
            if let Ok(blob) = fetcher.get(&index.3).await {
                wanted.push(index);
                blobs.push(blob);
            }
        }
        let plain = |number: usize| this.folder.path().join(number.to_string());
        let places: Vec<_> = (0..wanted.len()).map(plain).collect();
        std::thread::scope(|scope| {
            let each = wanted.iter().zip(&blobs).zip(&places);
            let running: Vec<_> = each
                .map(|(((_, path, ..), blob), place)| {
                    scope.spawn(move || super::decompress_to(blob, path, place))
                })
                .collect();
            running
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or(Ok(())))
        })?;
        for ((release, path, what, _), plain) in wanted.into_iter().zip(places) {
            let list = match what {
                What::Packages => &mut this.packages,
                What::Sources => &mut this.sources,
                What::Installer => &mut this.installer,
            };
            list.push(IndexFile { release, path, plain });
        }
        Ok(this)
    }

    /// The binary indexes.
    pub fn package_files(&self) -> &[IndexFile] {
        &self.packages
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
    pub fn binaries(&self, wanted: impl FnMut(&Paragraph) -> bool) -> Result<Vec<Binary>, AptError> {
        in_files(&self.packages, wanted)
    }

    /// Every package of the installer for which `wanted` says yes.
    pub fn installer_packages(
        &self,
        wanted: impl FnMut(&Paragraph) -> bool,
    ) -> Result<Vec<Binary>, AptError> {
        in_files(&self.installer, wanted)
    }

    /// Every version of the source package `name`, of all suites.
    pub fn sources(&self, name: &str) -> Result<Vec<SourcePackage>, AptError> {
        let mut sources = Vec::new();
        for index in &self.sources {
            super::for_each_paragraph(&index.plain, &index.path, |paragraph| {
                if paragraph.get("Package") == Some(name) {
                    sources.push(self.source(paragraph, index)?);
                }
                Ok(())
            })?;
        }
        Ok(sources)
    }

    /// Calls `each` with the name of every binary package.
    pub(super) fn each_package(&self, mut each: impl FnMut(&str)) -> Result<(), AptError> {
        for index in &self.packages {
            super::for_each_paragraph(&index.plain, &index.path, |paragraph| {
                paragraph.get("Package").into_iter().for_each(&mut each);
                Ok(())
            })?;
        }
        Ok(())
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

    fn source(&self, paragraph: &Paragraph, index: &IndexFile) -> Result<SourcePackage, AptError> {
        let field = |name| required(paragraph, &index.path, name);
        let directory = field("Directory")?;
        let mut files = deb822::checksums(&index.path, field("Checksums-Sha256")?)?;
        files.sort_by_key(|(name, ..)| !name.ends_with(".dsc"));
        let release = self.release(index.release);
        Ok(SourcePackage {
            package: field("Package")?.to_owned(),
            version: version(field("Version")?, &index.path)?,
            binaries: field("Binary")?
                .split(',')
                .map(|name| name.trim().to_owned())
                .collect(),
            files: files
                .into_iter()
                .map(|(name, sha256, size)| release.pool_file(&format!("{directory}/{name}"), sha256, size))
                .collect(),
            release: index.release,
        })
    }
}

/// Kinds of indexes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Packages,
    Sources,
    Installer,
}

/// The indexes that a release file lists of those that are wanted.
fn listed(
    release: &Verified<Release>,
    position: usize,
    archive: &Archive,
    arch: &str,
    with_sources: bool,
) -> Vec<(usize, String, What, PinnedFile)> {
    let mut found = Vec::new();
    for component in &archive.components {
        let packages = format!("{component}/binary-{arch}/Packages.xz");
        let sources = format!("{component}/source/Sources.xz");
        let installer = format!("{component}/debian-installer/binary-{arch}/Packages.xz");
        for (path, what) in [
            (packages, What::Packages),
            (sources, What::Sources),
            (installer, What::Installer),
        ] {
            if what != What::Packages && !with_sources {
                continue;
            }
            if let Some(material) = release.index(&path) {
                found.push((position, path, what, material));
            }
        }
    }
    found
}

fn in_files(
    files: &[IndexFile],
    mut wanted: impl FnMut(&Paragraph) -> bool,
) -> Result<Vec<Binary>, AptError> {
    let mut binaries = Vec::new();
    for index in files {
        super::for_each_paragraph(&index.plain, &index.path, |paragraph| {
            if wanted(paragraph) {
                binaries.push(binary(paragraph, index)?);
            }
            Ok(())
        })?;
    }
    Ok(binaries)
}

fn binary(paragraph: &Paragraph, index: &IndexFile) -> Result<Binary, AptError> {
    let field = |name| required(paragraph, &index.path, name);
    let package = field("Package")?.to_owned();
    let own = field("Version")?;
    // `Source: NAME (VERSION)`, each part only where it differs from the binary's.
    let (source, source_version) = match paragraph
        .get("Source")
        .map(|text| text.split_once(" (").unwrap_or((text, "")))
    {
        None => (package.clone(), own),
        Some((name, "")) => (name.to_owned(), own),
        Some((name, version)) => (name.to_owned(), version.trim_end_matches(')')),
    };
    Ok(Binary {
        version: version(own, &index.path)?,
        source_version: version(source_version, &index.path)?,
        source,
        arch: field("Architecture")?.to_owned(),
        path: field("Filename")?.to_owned(),
        sha256: field("SHA256")?.parse().map_err(|_| Deb822Error::Field {
            document: index.path.clone(),
            field: "SHA256",
        })?,
        size: field("Size")?.parse().map_err(|_| Deb822Error::Field {
            document: index.path.clone(),
            field: "Size",
        })?,
        release: index.release,
        package,
    })
}

fn version(text: &str, document: &str) -> Result<Version, Deb822Error> {
    text.parse().map_err(|_| Deb822Error::Field {
        document: document.to_owned(),
        field: "Version",
    })
}

fn required<'a>(
    paragraph: &'a Paragraph,
    document: &str,
    field: &'static str,
) -> Result<&'a str, Deb822Error> {
    paragraph.get(field).ok_or_else(|| Deb822Error::Field {
        document: document.to_owned(),
        field,
    })
}

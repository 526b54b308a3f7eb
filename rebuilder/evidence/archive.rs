//! What verified Debian indexes list: binary packages and source packages, each pinned by digest.

use deb822_fast::Paragraph;
use debversion::Version;

use super::Verified;
use super::apt::{self, AptError, Archive, Release};
use super::openpgp::Keyring;
use crate::artifact::Sha256;
use crate::store::{Blob, Fetcher, Material};

/// The indexes of all suites of a set of archives.
pub struct Indexes {
    /// The suites' release files.
    pub releases: Vec<Verified<Release>>,
    packages: Vec<IndexFile>,
    sources: Vec<IndexFile>,
}

/// One downloaded index.
pub struct IndexFile {
    /// Its suite, as a position in [`Indexes::releases`].
    pub release: usize,
    /// Path below `dists/SUITE/`.
    pub path: String,
    /// Its bytes, compressed.
    pub blob: Blob,
}

/// A binary package as its index describes it.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
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
#[allow(missing_docs)]
pub struct Source {
    pub package: String,
    pub version: Version,
    /// Names of the binary packages that it can build, on any architecture.
    pub binaries: Vec<String>,
    /// Its files; the `.dsc` first.
    pub files: Vec<Material>,
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
        let mut this = Self {
            releases: Vec::new(),
            packages: Vec::new(),
            sources: Vec::new(),
        };
        let mut wanted = Vec::new();
        for archive in archives {
            for release in apt::releases(fetcher, archive, keyring).await? {
                let index = this.releases.len();
                for component in &archive.components {
                    let packages = format!("{component}/binary-{arch}/Packages.xz");
                    let sources = format!("{component}/source/Sources.xz");
                    for (path, is_source) in [(packages, false), (sources, true)] {
                        if is_source && !with_sources {
                            continue;
                        }
                        if let Some(material) = release.index(&path) {
                            wanted.push((index, path, is_source, material));
                        }
                    }
                }
                this.releases.push(release);
            }
        }
        let materials: Vec<_> = wanted.iter().map(|(.., material)| material.clone()).collect();
        let blobs = fetcher
            .get_all("fetching the archive's indexes", &materials)
            .await?;
        for ((release, path, is_source, _), blob) in wanted.into_iter().zip(blobs) {
            let list = if is_source {
                &mut this.sources
            } else {
                &mut this.packages
            };
            list.push(IndexFile { release, path, blob });
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
    pub fn binaries(&self, mut wanted: impl FnMut(&Paragraph) -> bool) -> Result<Vec<Binary>, AptError> {
        let mut binaries = Vec::new();
        for index in &self.packages {
            apt::for_each_paragraph(&index.blob, &index.path, |paragraph| {
                if wanted(paragraph) {
                    binaries.push(binary(paragraph, index)?);
                }
                Ok(())
            })?;
        }
        Ok(binaries)
    }

    /// Every version of the source package `name`, of all suites.
    pub fn sources(&self, name: &str) -> Result<Vec<Source>, AptError> {
        let mut sources = Vec::new();
        for index in &self.sources {
            apt::for_each_paragraph(&index.blob, &index.path, |paragraph| {
                if paragraph.get("Package") == Some(name) {
                    sources.push(self.source(paragraph, index)?);
                }
                Ok(())
            })?;
        }
        Ok(sources)
    }

    /// The pinned file of a binary package.
    pub fn material(&self, binary: &Binary) -> Material {
        self.releases[binary.release].pool_file(&binary.path, binary.sha256, binary.size)
    }

    fn source(&self, paragraph: &Paragraph, index: &IndexFile) -> Result<Source, AptError> {
        let field = |name| required(paragraph, &index.path, name);
        let directory = field("Directory")?;
        let mut files = apt::checksums(&index.path, field("Checksums-Sha256")?)?;
        files.sort_by_key(|(name, ..)| !name.ends_with(".dsc"));
        let release = &self.releases[index.release];
        Ok(Source {
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
        sha256: field("SHA256")?.parse().map_err(|_| AptError::Field {
            document: index.path.clone(),
            field: "SHA256",
        })?,
        size: field("Size")?.parse().map_err(|_| AptError::Field {
            document: index.path.clone(),
            field: "Size",
        })?,
        release: index.release,
        package,
    })
}

fn version(text: &str, document: &str) -> Result<Version, AptError> {
    text.parse().map_err(|_| AptError::Field {
        document: document.to_owned(),
        field: "Version",
    })
}

fn required<'a>(paragraph: &'a Paragraph, document: &str, field: &'static str) -> Result<&'a str, AptError> {
    paragraph.get(field).ok_or_else(|| AptError::Field {
        document: document.to_owned(),
        field,
    })
}

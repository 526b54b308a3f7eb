//! What ended jobs came to, in the form that pages and other programs ask for: a row for each build, and one for each
//! released file of it.
//!
//! The rows follow from the verdicts and the files of their runs, so a pass that is broken off is made again ([`write`]).
//! Of several builds of one subject the newest that concluded something is shown; the others stay.

mod overall;
mod read;
mod write;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::wire::RunFile;
use crate::artifact::Sha256;

pub use overall::{Cluster, Found, Listed, Rate, Regression, Span};
pub use read::{Column, Count, Filter, Open, Order, Page};

/// What is said of a build, or of one released file, in rebuilderd's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// The very bytes were built.
    Good,
    /// Other bytes were built, from inputs that were declared.
    Bad,
    /// The build failed. Of builds only: of the files nothing is known then.
    Fail,
    /// Nothing that counts for or against it.
    Unknown,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Good, Self::Bad, Self::Fail, Self::Unknown];

    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "GOOD",
            Self::Bad => "BAD",
            Self::Fail => "FAIL",
            Self::Unknown => "UNKWN",
        }
    }

    fn read(row: &AnyRow, column: &str) -> Result<Self, sqlx::Error> {
        let word: String = row.try_get(column)?;
        let known = Self::ALL.into_iter().find(|status| status.word() == word);
        known.ok_or_else(|| sqlx::Error::Decode(format!("{word:?} is not a status").into()))
    }
}

/// A job that ended, as the queue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedJob {
    pub job: i64,
    pub attempt: i64,
    pub worker: String,
    pub verdict: String,
    pub reason: Option<String>,
    /// The files of its run; empty if there was none.
    pub run: Vec<RunFile>,
    /// What the signer said: `no`, `due`, `waits`, `signed`, `refused`.
    pub signing: String,
    /// What the signer gave.
    pub signed: Vec<RunFile>,
    /// In milliseconds since 1970, as all times here.
    pub at: i64,
    /// As it was put into the line.
    pub subject: String,
    pub ecosystem: String,
    /// The processor that was asked for; empty if any.
    pub architecture: String,
    /// How often it could not be published.
    pub tries: u32,
}

/// Why a build differs. Builds whose reasons are equal differ for one reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// The name of the cause.
    pub cause: String,
    /// What all its places have in common.
    pub shared: String,
    /// The two values, if they are versions; otherwise empty.
    pub released: String,
    pub rebuilt: String,
}

/// A build that is published. Its number is that of its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub id: i64,
    /// Package URL.
    pub subject: String,
    /// The same without version and qualifiers.
    pub package: String,
    pub ecosystem: String,
    pub distribution: String,
    /// Empty if the distribution has none; so are a version that was left open, and other values that are not there.
    pub release: String,
    pub architecture: String,
    pub name: String,
    pub version: String,
    /// The source package.
    pub source: String,
    pub verdict: String,
    pub status: Status,
    pub reason: Option<String>,
    /// Names of the causes, the first first.
    pub causes: Vec<String>,
    /// Attempts before this one.
    pub retries: i64,
    pub started: i64,
    pub finished: i64,
    pub worker: String,
    /// What ran it.
    pub backend: String,
    pub signing: String,
    pub record: Option<Sha256>,
    pub plan: Option<Sha256>,
    pub report: Option<Sha256>,
    pub log: Option<Sha256>,
    pub attestation: Option<Sha256>,
    /// Whether it says something of the bytes.
    pub conclusive: bool,
    /// Whether it is the one to show of its subject; the database decides.
    pub newest: bool,
}

/// A released file of a build. Its number fits into 32 bits for as long as there are fewer of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The database gives it.
    pub id: i64,
    pub build: i64,
    pub distribution: String,
    pub release: String,
    pub component: String,
    pub architecture: String,
    pub name: String,
    pub version: String,
    pub file: String,
    pub url: String,
    pub sha256: Sha256,
    pub status: Status,
    /// Why it differs, as text.
    pub comparison: Option<Sha256>,
    /// A Sigstore bundle.
    pub attestation: Option<Sha256>,
    /// An in-toto link.
    pub link: Option<Sha256>,
    pub finished: i64,
    pub conclusive: bool,
}

fn digest(row: &AnyRow, column: &str) -> Result<Option<Sha256>, sqlx::Error> {
    let text: Option<String> = row.try_get(column)?;
    let read = |text: String| text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)));
    text.map(read).transpose()
}

impl Build {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let causes: String = row.try_get("causes")?;
        Ok(Self {
            id: row.try_get("id")?,
            subject: row.try_get("subject")?,
            package: row.try_get("package")?,
            ecosystem: row.try_get("ecosystem")?,
            distribution: row.try_get("distribution")?,
            release: row.try_get("release")?,
            architecture: row.try_get("architecture")?,
            name: row.try_get("name")?,
            version: row.try_get("version")?,
            source: row.try_get("source")?,
            verdict: row.try_get("verdict")?,
            status: Status::read(row, "status")?,
            reason: row.try_get("reason")?,
            causes: causes.split_whitespace().map(str::to_owned).collect(),
            retries: row.try_get("retries")?,
            started: row.try_get("started")?,
            finished: row.try_get("finished")?,
            worker: row.try_get("worker")?,
            backend: row.try_get("backend")?,
            signing: row.try_get("signing")?,
            record: digest(row, "record")?,
            plan: digest(row, "plan")?,
            report: digest(row, "report")?,
            log: digest(row, "log")?,
            attestation: digest(row, "attestation")?,
            conclusive: row.try_get::<i64, _>("conclusive")? != 0,
            newest: row.try_get::<i64, _>("newest")? != 0,
        })
    }
}

impl Output {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let sha256 = digest(row, "sha256")?;
        Ok(Self {
            id: row.try_get("id")?,
            build: row.try_get("build")?,
            distribution: row.try_get("distribution")?,
            release: row.try_get("release")?,
            component: row.try_get("component")?,
            architecture: row.try_get("architecture")?,
            name: row.try_get("name")?,
            version: row.try_get("version")?,
            file: row.try_get("file")?,
            url: row.try_get("url")?,
            sha256: sha256.ok_or(sqlx::Error::RowNotFound)?,
            status: Status::read(row, "status")?,
            comparison: digest(row, "comparison")?,
            attestation: digest(row, "attestation")?,
            link: digest(row, "link")?,
            finished: row.try_get("finished")?,
            conclusive: row.try_get::<i64, _>("conclusive")? != 0,
        })
    }
}

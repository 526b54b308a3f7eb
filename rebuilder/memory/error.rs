//! Errors of the database of audits.

use sqlx::migrate::MigrateError;

use crate::store::StoreError;

/// A database that cannot be used. Its address is shown without a password.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum MemoryError {
    #[error("cannot use {url} as the database of audits: {reason}")]
    #[diagnostic(help("write sqlite:FILE, or postgres://USER@HOST/DATABASE"))]
    Address { url: String, reason: String },
    #[error("cannot open the database of audits {place}")]
    #[diagnostic(help(
        "check that the database is running and that this user may use it, or name another one with --memory"
    ))]
    Open { place: String, source: sqlx::Error },
    #[error(
        "cannot use the database of audits {place}: a newer version of rebuilder changed it (migration \
    {version})"
    )]
    #[diagnostic(help("use that version, or run its \"rebuilder audit memory back\""))]
    Newer { place: String, version: i64 },
    #[error("cannot migrate the database of audits {place}")]
    #[diagnostic(help("the migration that failed changed nothing"))]
    Migrate { place: String, source: MigrateError },
    #[error("cannot undo a migration: the database of audits {place} is empty")]
    Empty { place: String },
    #[error("cannot {what} in the database of audits")]
    #[diagnostic(help(
        "check that the database is running; finished results are in the audit's folder and are not lost"
    ))]
    Query { what: &'static str, source: sqlx::Error },
    #[error("the database of audits contains {value:?} as {what}")]
    #[diagnostic(help("another program changed it; restore it from a backup"))]
    Value { what: &'static str, value: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

impl MemoryError {
    /// For use with `map_err`: says what was being done.
    pub(crate) fn query(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Query { what, source }
    }
}

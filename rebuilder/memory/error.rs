//! What keeps the memory from being used.

use sqlx::migrate::MigrateError;

use crate::store::StoreError;

/// A database that cannot be used. Its address is shown without a password.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum MemoryError {
    #[error("cannot use {url} as the memory: {reason}")]
    #[diagnostic(help("write sqlite:FILE, or postgres://USER@HOST/DATABASE"))]
    Address { url: String, reason: String },
    #[error("cannot open the memory {place}")]
    #[diagnostic(help(
        "check that the database runs, and that this user may use it; --memory names another one"
    ))]
    Open { place: String, source: sqlx::Error },
    #[error("cannot use the memory {place}: a newer version of rebuilder changed it (migration {version})")]
    #[diagnostic(help("use that version, or let it go back with \"rebuilder audit memory back\""))]
    Newer { place: String, version: i64 },
    #[error("cannot bring the memory {place} up to date")]
    #[diagnostic(help("nothing was changed by the step that failed"))]
    Migrate { place: String, source: MigrateError },
    #[error("cannot go back: the memory {place} is empty")]
    Empty { place: String },
    #[error("cannot {what} in the memory")]
    #[diagnostic(help(
        "check that the database runs; what was finished is in the audit's folder, and is not lost"
    ))]
    Query { what: &'static str, source: sqlx::Error },
    #[error("the memory holds {value:?} as {what}")]
    #[diagnostic(help("it was changed by something else than rebuilder; restore it from a backup"))]
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

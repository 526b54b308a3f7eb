//! Access to the server: bearer tokens of 256 random bits. The database stores their SHA-256.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::{Queue, QueueError};
use crate::artifact::Sha256;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// To take jobs and hand runs in.
    Worker,
    /// To read the metrics.
    Metrics,
    /// To read results that are not public, and which workers there are.
    Read,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worker => "worker",
            Self::Metrics => "metrics",
            Self::Read => "read",
        })
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "worker" => Ok(Self::Worker),
            "metrics" => Ok(Self::Metrics),
            "read" => Ok(Self::Read),
            _ => Err("the scopes are worker, metrics and read".into()),
        }
    }
}

/// A secret that was made a moment ago; nobody can show it again.
pub struct Token(String);

/// The start of every token, so that scanners for leaked secrets recognise one.
const PREFIX: &str = "rbw_";

/// 256 random bits in hexadecimal.
pub(super) fn random() -> String {
    let mut bytes = [0_u8; 32];
    // The system's source of random numbers does not fail once it was seeded, which is before any user logs in.
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        std::process::abort();
    }
    hex::encode(bytes)
}

impl Token {
    fn new() -> Self {
        Self(format!("{PREFIX}{}", random()))
    }

    /// The secret, to be handed to its holder.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of the worker, which results and leases carry.
    pub name: String,
    pub scopes: Vec<Scope>,
    /// In milliseconds since 1970, as the database's clock says.
    pub created: i64,
    pub expires: Option<i64>,
    pub revoked: Option<i64>,
}

impl Holder {
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// A token that cannot be made or revoked.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum TokenError {
    #[error("{0:?} is not a valid name for a worker")]
    #[diagnostic(help("use 1 to 64 letters, digits, dots, dashes and underscores"))]
    Name(String),
    #[error("a token with the name {0:?} already exists")]
    #[diagnostic(help("revoke it first with \"rebuilder serve token revoke\", or choose another name"))]
    Known(String),
    #[error("there is no valid token with the name {0:?}")]
    #[diagnostic(help("\"rebuilder serve token list\" shows them"))]
    Unknown(String),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Queue(#[from] QueueError),
}

const COLUMNS: &str = "name, scopes, created, expires, revoked";

fn holder(row: &AnyRow) -> Result<Holder, QueueError> {
    let failed = QueueError::when("read tokens");
    let scopes: String = row.try_get(1).map_err(&failed)?;
    let scopes = scopes
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>();
    Ok(Holder {
        name: row.try_get(0).map_err(&failed)?,
        scopes: scopes.map_err(QueueError::Unreadable)?,
        created: row.try_get(2).map_err(&failed)?,
        expires: row.try_get(3).map_err(&failed)?,
        revoked: row.try_get(4).map_err(&failed)?,
    })
}

impl Queue {
    /// Creates a token for `name`, valid for `days` if given.
    pub async fn add_token(
        &self,
        name: &str,
        scopes: &[Scope],
        days: Option<u32>,
    ) -> Result<Token, TokenError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(TokenError::Name(name.to_owned()));
        }
        let token = Token::new();
        let now = self.now();
        let scopes: Vec<_> = scopes.iter().map(ToString::to_string).collect();
        let lasting = days.map(|days| i64::from(days).saturating_mul(86_400_000));
        // The name of a revoked or expired token may be given again; it is the same worker.
        let sql = format!(
            "INSERT INTO queue_token (name, sha256, scopes, created, expires) VALUES ($1, $2, $3, {now}, {now} + $4)
             ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256, scopes = excluded.scopes,
               created = excluded.created, expires = excluded.expires, revoked = NULL
             WHERE queue_token.revoked IS NOT NULL OR queue_token.expires < {now}"
        );
        let added = sqlx::query(AssertSqlSafe(sql))
            .bind(name.to_owned())
            .bind(Sha256::of(token.secret()).to_hex())
            .bind(scopes.join(" "))
            .bind(lasting)
            .execute(self.write())
            .await
            .map_err(QueueError::when("add a token"))?;
        if added.rows_affected() == 0 {
            return Err(TokenError::Known(name.to_owned()));
        }
        Ok(token)
    }

    /// Ends a token.
    pub async fn revoke_token(&self, name: &str) -> Result<(), TokenError> {
        let sql = format!(
            "UPDATE queue_token SET revoked = {} WHERE name = $1 AND revoked IS NULL",
            self.now()
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(name.to_owned());
        let revoked = query
            .execute(self.write())
            .await
            .map_err(QueueError::when("revoke a token"))?;
        if revoked.rows_affected() == 0 {
            return Err(TokenError::Unknown(name.to_owned()));
        }
        Ok(())
    }

    /// All tokens, by name.
    pub async fn tokens(&self) -> Result<Vec<Holder>, QueueError> {
        let sql = format!("SELECT {COLUMNS} FROM queue_token ORDER BY name");
        let rows = sqlx::query(AssertSqlSafe(sql))
            .fetch_all(self.memory.read())
            .await;
        rows.map_err(QueueError::when("read tokens"))?
            .iter()
            .map(holder)
            .collect()
    }

    /// The holder of a secret, if it is valid. The digest is looked up, so the duration reveals nothing about the
    /// secret.
    pub async fn holder_of(&self, secret: &str) -> Result<Option<Holder>, QueueError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM queue_token WHERE sha256 = $1 AND revoked IS NULL AND (expires IS NULL OR expires > {})",
            self.now()
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(Sha256::of(secret).to_hex());
        let row = query.fetch_optional(self.memory.read()).await;
        row.map_err(QueueError::when("read tokens"))?
            .as_ref()
            .map(holder)
            .transpose()
    }
}

//! What pages and other programs ask for. Lists are in the order of ids, so that a page never repeats what another had.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};

use super::super::{Queue, QueueError};
use super::{Build, Output};

/// Which rows; `Some("")` is for those that have no such value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub distribution: Option<String>,
    pub release: Option<String>,
    pub component: Option<String>,
    /// All of these, as one may stand in the address and another one in the question.
    pub architectures: Vec<String>,
    pub name: Option<String>,
    pub version: Option<String>,
    /// The source package of a released file.
    pub source: Option<String>,
    pub status: Option<String>,
}

/// Which way a list goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

/// A part of a list, by ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Page {
    pub after: Option<i64>,
    pub before: Option<i64>,
    pub limit: i64,
    pub order: Order,
}

/// How many of the builds to show are of one ecosystem, with one verdict and status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub ecosystem: String,
    pub verdict: String,
    pub status: String,
    pub count: i64,
}

/// In which states a job waits or runs.
const OPEN: &[&str] = &["ready", "later", "running"];
/// What [`Open::read`] reads, in its order.
const OPEN_COLUMNS: &str =
    "id, subject, state, priority, architecture, worker, attempt, created, changed, run_at";

/// A job that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub id: i64,
    pub subject: String,
    pub state: String,
    pub priority: i64,
    pub architecture: String,
    pub worker: Option<String>,
    pub attempt: i64,
    pub created: i64,
    /// When its state changed.
    pub changed: i64,
    pub run_at: i64,
}

/// Conditions and their values.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) text: String,
    pub(super) values: Vec<String>,
}

impl Conditions {
    pub(super) fn of(first: &str) -> Self {
        Self {
            text: first.to_owned(),
            values: Vec::new(),
        }
    }

    pub(super) fn and(&mut self, column: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.values.push(value.clone());
            self.text = format!("{} AND {column} = ${}", self.text, self.values.len());
        }
    }

    pub(super) fn page(&self, page: &Page, id: &str) -> String {
        // Numbers are written out: they cannot be anything else.
        let after = page
            .after
            .map_or_else(String::new, |after| format!(" AND {id} > {after}"));
        let before = page
            .before
            .map_or_else(String::new, |before| format!(" AND {id} < {before}"));
        let way = match page.order {
            Order::Ascending => "ASC",
            Order::Descending => "DESC",
        };
        let limit = page.limit.max(0);
        format!(
            "WHERE {}{after}{before} ORDER BY {id} {way} LIMIT {limit}",
            self.text
        )
    }
}

/// A statement with its values.
#[derive(Debug)]
pub(super) struct Statement<'a>(pub(super) String, pub(super) &'a [String]);

impl Queue {
    pub(super) async fn rows<T>(
        &self,
        statement: Statement<'_>,
        read: impl Fn(&AnyRow) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, QueueError> {
        let failed = QueueError::when("read what is published");
        let query: Query<'_, Any, AnyArguments> = sqlx::query(AssertSqlSafe(statement.0));
        let query = statement
            .1
            .iter()
            .fold(query, |query, value| query.bind(value.clone()));
        let rows = query.fetch_all(self.memory.read()).await.map_err(&failed)?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
    }

    pub(super) async fn number(&self, statement: Statement<'_>) -> Result<i64, QueueError> {
        let rows = self.rows(statement, |row| row.try_get(0)).await?;
        Ok(rows.first().copied().unwrap_or(0))
    }

    /// The released files to show, each with its present build.
    pub async fn binaries(&self, filter: &Filter, page: &Page) -> Result<Vec<Output>, QueueError> {
        let (from, conditions) = outputs(filter);
        let sql = format!("SELECT o.* FROM {from} {}", conditions.page(page, "o.id"));
        self.rows(Statement(sql, &conditions.values), Output::read).await
    }

    /// How many released files to show there are in all.
    pub async fn count_binaries(&self, filter: &Filter) -> Result<i64, QueueError> {
        let (from, conditions) = outputs(filter);
        let sql = format!("SELECT count(*) FROM {from} WHERE {}", conditions.text);
        self.number(Statement(sql, &conditions.values)).await
    }

    /// Builds, or only those to show of their subjects.
    pub async fn builds(
        &self,
        filter: &Filter,
        page: &Page,
        only_newest: bool,
    ) -> Result<Vec<Build>, QueueError> {
        let conditions = builds(filter, only_newest);
        let sql = format!("SELECT * FROM published_build {}", conditions.page(page, "id"));
        self.rows(Statement(sql, &conditions.values), Build::read).await
    }

    /// How many builds, or only those to show of their subjects, there are in all.
    pub async fn count_builds(&self, filter: &Filter, only_newest: bool) -> Result<i64, QueueError> {
        let conditions = builds(filter, only_newest);
        let sql = format!("SELECT count(*) FROM published_build WHERE {}", conditions.text);
        self.number(Statement(sql, &conditions.values)).await
    }

    /// One build.
    pub async fn build(&self, id: i64) -> Result<Option<Build>, QueueError> {
        let sql = format!("SELECT * FROM published_build WHERE id = {id}");
        let mut rows = self.rows(Statement(sql, &[]), Build::read).await?;
        Ok(rows.pop())
    }

    /// The released files of a build, as its plan lists them.
    pub async fn outputs_of(&self, build: i64) -> Result<Vec<Output>, QueueError> {
        let sql = format!("SELECT * FROM published_output WHERE build = {build} ORDER BY position");
        self.rows(Statement(sql, &[]), Output::read).await
    }

    /// One released file.
    pub async fn output(&self, id: i64) -> Result<Option<Output>, QueueError> {
        let sql = format!("SELECT * FROM published_output WHERE id = {id}");
        let mut rows = self.rows(Statement(sql, &[]), Output::read).await?;
        Ok(rows.pop())
    }

    /// The different values of a column of what is published, sorted.
    pub async fn seen(&self, column: Column, filter: &Filter) -> Result<Vec<String>, QueueError> {
        let mut conditions = Conditions::of("1 = 1");
        conditions.and("distribution", filter.distribution.as_ref());
        conditions.and("release", filter.release.as_ref());
        for architecture in &filter.architectures {
            conditions.and("architecture", Some(architecture));
        }
        let column = match column {
            Column::Distribution => "distribution",
            Column::Release => "release",
            Column::Architecture => "architecture",
        };
        let sql = format!(
            "SELECT DISTINCT {column} FROM published_build WHERE {} ORDER BY 1",
            conditions.text
        );
        self.rows(Statement(sql, &conditions.values), |row| row.try_get(0))
            .await
    }

    /// How many builds to show there are of each kind.
    pub async fn counts(&self, architecture: Option<&str>) -> Result<Vec<Count>, QueueError> {
        let mut conditions = Conditions::of("newest = 1");
        conditions.and("architecture", architecture.map(str::to_owned).as_ref());
        let sql = format!(
            "SELECT ecosystem, verdict, status, count(*) FROM published_build WHERE {} GROUP BY ecosystem, verdict, status ORDER BY 1, 2",
            conditions.text
        );
        let read = |row: &AnyRow| {
            Ok(Count {
                ecosystem: row.try_get(0)?,
                verdict: row.try_get(1)?,
                status: row.try_get(2)?,
                count: row.try_get(3)?,
            })
        };
        self.rows(Statement(sql, &conditions.values), read).await
    }

    /// How many released files to show there are by component and status.
    pub async fn components(
        &self,
        architecture: Option<&str>,
    ) -> Result<Vec<(String, String, i64)>, QueueError> {
        let mut conditions = Conditions::of("newest = 1");
        conditions.and("architecture", architecture.map(str::to_owned).as_ref());
        let sql = format!(
            "SELECT component, status, count(*) FROM published_output WHERE {} GROUP BY component, status ORDER BY 1, 2",
            conditions.text
        );
        let read = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        self.rows(Statement(sql, &conditions.values), read).await
    }

    /// When something was published last, and what time it is now by the database's clock.
    pub async fn changed(&self) -> Result<(i64, i64), QueueError> {
        let sql = format!(
            "SELECT coalesce(max(changed), 0), {} FROM published_build",
            self.now()
        );
        let read = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
        let rows = self.rows(Statement(sql, &[]), read).await?;
        Ok(rows.first().copied().unwrap_or_default())
    }

    /// The newest mismatches that still stand.
    pub async fn negatives(&self, count: u16) -> Result<Vec<Build>, QueueError> {
        let sql = format!(
            "SELECT * FROM published_build WHERE newest = 1 AND verdict = 'mismatch' ORDER BY id DESC LIMIT {count}"
        );
        self.rows(Statement(sql, &[]), Build::read).await
    }

    /// The last builds of a package, all versions and releases, the newest first.
    pub async fn history(&self, package: &str, count: u16) -> Result<Vec<Build>, QueueError> {
        let sql = format!("SELECT * FROM published_build WHERE package = $1 ORDER BY id DESC LIMIT {count}");
        self.rows(Statement(sql, &[package.to_owned()]), Build::read)
            .await
    }

    /// The last builds of everything, the newest first.
    pub async fn latest_builds(&self, count: u16) -> Result<Vec<Build>, QueueError> {
        let sql = format!("SELECT * FROM published_build ORDER BY id DESC LIMIT {count}");
        self.rows(Statement(sql, &[]), Build::read).await
    }

    /// Jobs about packages that wait or run, and how many there are in all.
    pub async fn open_jobs(&self, page: &Page) -> Result<(i64, Vec<Open>), QueueError> {
        self.jobs_in(OPEN, page).await
    }

    /// Jobs about packages that run, and how many there are in all.
    pub async fn running_jobs(&self, page: &Page) -> Result<(i64, Vec<Open>), QueueError> {
        self.jobs_in(&["running"], page).await
    }

    async fn jobs_in(&self, states: &[&str], page: &Page) -> Result<(i64, Vec<Open>), QueueError> {
        let which = about_packages(states);
        let conditions = Conditions::of(&which);
        let counted = format!("SELECT count(*) FROM queue_job WHERE {which}");
        let total = self.number(Statement(counted, &[])).await?;
        let sql = format!(
            "SELECT {OPEN_COLUMNS} FROM queue_job {}",
            conditions.page(page, "id")
        );
        let rows = self.rows(Statement(sql, &[]), Open::read).await?;
        Ok((total, rows))
    }

    /// The job with this id, if it waits or runs.
    pub async fn open_job(&self, id: i64) -> Result<Option<Open>, QueueError> {
        let which = about_packages(OPEN);
        let sql = format!("SELECT {OPEN_COLUMNS} FROM queue_job WHERE id = {id} AND {which}");
        let rows = self.rows(Statement(sql, &[]), Open::read).await?;
        Ok(rows.into_iter().next())
    }
}

/// Which jobs are in one of these states, without those that only try a worker.
fn about_packages(states: &[&str]) -> String {
    format!("state IN ('{}') AND subject <> 'probe'", states.join("', '"))
}

/// Which values [`Queue::seen`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Distribution,
    Release,
    Architecture,
}

impl Open {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get(0)?,
            subject: row.try_get(1)?,
            state: row.try_get(2)?,
            priority: row.try_get(3)?,
            architecture: row.try_get(4)?,
            worker: row.try_get(5)?,
            attempt: row.try_get(6)?,
            created: row.try_get(7)?,
            changed: row.try_get(8)?,
            run_at: row.try_get(9)?,
        })
    }
}

/// The tables of the released files to show, and which of them a filter chooses.
fn outputs(filter: &Filter) -> (&'static str, Conditions) {
    let mut conditions = Conditions::of("o.newest = 1");
    for (column, value) in [
        ("o.distribution", &filter.distribution),
        ("o.release", &filter.release),
        ("o.component", &filter.component),
        ("o.name", &filter.name),
        ("o.version", &filter.version),
        ("o.status", &filter.status),
        ("b.source", &filter.source),
    ] {
        conditions.and(column, value.as_ref());
    }
    for architecture in &filter.architectures {
        conditions.and("o.architecture", Some(architecture));
    }
    let from = if filter.source.is_some() {
        "published_output o JOIN published_build b ON b.id = o.build"
    } else {
        "published_output o"
    };
    (from, conditions)
}

/// Which builds a filter chooses.
fn builds(filter: &Filter, only_newest: bool) -> Conditions {
    // A subject whose version was left open has no version to name.
    let mut conditions = Conditions::of(if only_newest {
        "newest = 1 AND version <> ''"
    } else {
        "1 = 1"
    });
    for (column, value) in [
        ("distribution", &filter.distribution),
        ("release", &filter.release),
        ("source", &filter.name),
        ("version", &filter.version),
        ("status", &filter.status),
    ] {
        conditions.and(column, value.as_ref());
    }
    for architecture in &filter.architectures {
        conditions.and("architecture", Some(architecture));
    }
    conditions
}

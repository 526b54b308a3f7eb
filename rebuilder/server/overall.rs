//! What pages and programs ask of all builds together, counted once for all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Running;
use super::api::ApiError;
use super::cached::{Cached, Changes};
use crate::queue::Tally;
use crate::queue::published::{Cluster, Column, Count, Filter, Open, Span};
use crate::report::site::Trends;

/// Weeks that charts show.
const WEEKS: i64 = 26;
/// Shared reasons that are listed.
const CLUSTERS: u16 = 100;

/// Files by component and status.
type Components = Vec<(String, String, i64)>;

#[derive(Default)]
pub(super) struct Overall {
    counts: Cached<Vec<Count>>,
    components: Cached<Components>,
    trends: Cached<Trends>,
    clusters: Cached<Vec<Cluster>>,
    ended: Cached<(Instant, Tally)>,
    /// Lengths of lists.
    totals: Cached<i64>,
    /// Distributions, releases and architectures.
    seen: Cached<Vec<String>>,
}

impl Running {
    /// How many builds to show there are of each kind, for one architecture or for all.
    pub(super) async fn counts(&self, architecture: Option<&str>) -> Result<Arc<Vec<Count>>, ApiError> {
        let asked = architecture.map(str::to_owned);
        let key = architecture.unwrap_or_default();
        self.overall
            .counts
            .get(self, key, Changes::OfPublished, |queue| async move {
                queue.counts(asked.as_deref()).await
            })
            .await
    }

    /// How many released files to show there are by component and status.
    pub(super) async fn components(&self, architecture: Option<&str>) -> Result<Arc<Components>, ApiError> {
        let asked = architecture.map(str::to_owned);
        let key = architecture.unwrap_or_default();
        self.overall
            .components
            .get(self, key, Changes::OfPublished, |queue| async move {
                queue.components(asked.as_deref()).await
            })
            .await
    }

    /// How many released files to show there are.
    pub(super) async fn count_binaries(&self, filter: &Filter) -> Result<i64, ApiError> {
        // There are few of one package.
        if filter.name.is_some() || filter.source.is_some() {
            return Ok(self.queue.count_binaries(filter).await?);
        }
        let (key, asked) = (format!("files {filter:?}"), filter.clone());
        let total = self
            .overall
            .totals
            .get(self, &key, Changes::OfPublished, |queue| async move {
                queue.count_binaries(&asked).await
            });
        Ok(*total.await?)
    }

    /// How many builds there are, or how many of them are to show.
    pub(super) async fn count_builds(&self, filter: &Filter, only_newest: bool) -> Result<i64, ApiError> {
        if filter.name.is_some() {
            return Ok(self.queue.count_builds(filter, only_newest).await?);
        }
        let (key, asked) = (format!("builds {only_newest} {filter:?}"), filter.clone());
        let total = self
            .overall
            .totals
            .get(self, &key, Changes::OfPublished, |queue| async move {
                queue.count_builds(&asked, only_newest).await
            });
        Ok(*total.await?)
    }

    /// The different values of a column of what is published.
    pub(super) async fn seen(&self, column: Column, filter: &Filter) -> Result<Arc<Vec<String>>, ApiError> {
        let (key, asked) = (format!("{column:?} {filter:?}"), filter.clone());
        self.overall
            .seen
            .get(self, &key, Changes::OfPublished, |queue| async move {
                queue.seen(column, &asked).await
            })
            .await
    }

    /// The last half year, week by week.
    pub(super) async fn trends(&self) -> Result<Arc<Trends>, ApiError> {
        let last = Span::Week.number(Timestamp::now().as_millisecond());
        let first = last.saturating_sub(WEEKS.saturating_sub(1));
        // With each week begins another answer.
        self.overall
            .trends
            .get(
                self,
                &last.to_string(),
                Changes::OfPublished,
                |queue| async move {
                    Ok(Trends {
                        span: Span::Week,
                        between: (first, last),
                        rates: queue.rates(Span::Week, first).await?,
                        causes: queue.causes_over_time(Span::Week, first).await?,
                    })
                },
            )
            .await
    }

    /// Reasons that packages share.
    pub(super) async fn clusters(&self) -> Result<Arc<Vec<Cluster>>, ApiError> {
        self.overall
            .clusters
            .get(self, "", Changes::OfPublished, |queue| async move {
                queue.clusters(CLUSTERS).await
            })
            .await
    }

    /// How many jobs, verdicts and runs for the signer there are: open ones as of now, and ended ones as of a little earlier if
    /// there are very many. Also gives the age of the latter.
    pub(super) async fn tally(&self) -> Result<(Tally, Duration), ApiError> {
        let ended = self
            .overall
            .ended
            .get(self, "", Changes::Unknown, |queue| async move {
                let begun = Instant::now();
                Ok((begun, queue.ended().await?))
            });
        let (counted, mut tally) = <(Instant, Tally)>::clone(&*ended.await?);
        let open = self.queue.open().await?;
        tally.jobs.extend(open.jobs);
        tally.signing.extend(open.signing);
        Ok((tally, counted.elapsed()))
    }

    /// A job that waits or runs.
    pub(super) async fn open_job(&self, id: i64) -> Result<Option<Open>, ApiError> {
        Ok(self.queue.open_job(id).await?)
    }

    /// Counts everything once, so that the first reader does not wait for it.
    pub(super) async fn warm(self: Arc<Self>) {
        // If the database is away, the first reader counts.
        let _ = self.counts(None).await;
        let _ = self.trends().await;
        let _ = self.clusters().await;
        let _ = self.components(None).await;
        let _ = self.tally().await;
    }
}

//! Answers about all builds, which take long to count: each is counted once for everyone who asks, and a reader never waits
//! for one that takes long if an older one is there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Running;
use super::api::ApiError;
use crate::queue::QueueError;

/// What takes no longer is counted for each reader, if something changed.
const QUICK: Duration = Duration::from_millis(20);
/// What takes longer is counted again only after this many times as long.
const PAUSE: u32 = 10;
/// Two changes in so many milliseconds may have the same time.
const SAME: i64 = 2000;
/// Most answers of one kind that are kept.
const MOST: usize = 64;

/// What tells that an answer has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    /// The time at which something was published last.
    OfPublished,
    /// Nothing.
    Unknown,
}

/// Answers of one kind, by what was asked.
pub(super) struct Cached<T>(Mutex<HashMap<String, Arc<Slot<T>>>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

struct Slot<T> {
    kept: Mutex<Option<Kept<T>>>,
    /// Held by the one that counts.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Kept<T> {
    value: Arc<T>,
    /// The last change that it has seen; `None` if there may be others at the same time.
    seen: Option<i64>,
    at: Instant,
    took: Duration,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            ..*self
        }
    }
}

impl<T> Slot<T> {
    fn kept(&self) -> Option<Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn count(
        &self,
        seen: Option<i64>,
        make: impl Future<Output = Result<T, QueueError>>,
    ) -> Result<Arc<T>, QueueError> {
        let begun = Instant::now();
        let value = Arc::new(make.await?);
        let kept = Kept {
            value: value.clone(),
            seen,
            at: Instant::now(),
            took: begun.elapsed(),
        };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(value)
    }
}

impl<T: Send + Sync + 'static> Cached<T> {
    fn slot(&self, key: &str) -> Arc<Slot<T>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(key) {
            return slot.clone();
        }
        if slots.len() >= MOST {
            slots.clear();
        }
        let slot = Arc::new(Slot {
            kept: Mutex::default(),
            turn: Arc::default(),
        });
        slots.insert(key.to_owned(), slot.clone());
        slot
    }

    /// The answer to `key`, which `make` counts.
    pub(super) async fn get<F>(
        &self,
        running: &Running,
        key: &str,
        changes: Changes,
        make: impl FnOnce(crate::queue::Queue) -> F,
    ) -> Result<Arc<T>, ApiError>
    where
        F: Future<Output = Result<T, QueueError>> + Send + 'static,
    {
        let seen = match changes {
            Changes::OfPublished => {
                let (changed, now) = running.queue.changed().await?;
                (now.saturating_sub(changed) > SAME).then_some(changed)
            }
            Changes::Unknown => None,
        };
        let slot = self.slot(key);
        let make = make(running.queue.clone());
        let Some(kept) = slot.kept() else {
            // The first to ask counts, and the others wait for it.
            let _turn = slot.turn.lock().await;
            if let Some(kept) = slot.kept() {
                return Ok(kept.value);
            }
            return Ok(slot.count(seen, make).await?);
        };
        if kept.seen.is_some() && kept.seen == seen {
            return Ok(kept.value);
        }
        if kept.took <= QUICK {
            return Ok(slot.count(seen, make).await?);
        }
        if kept.at.elapsed() > kept.took.saturating_mul(PAUSE)
            && let Ok(turn) = slot.turn.clone().try_lock_owned()
        {
            tokio::spawn(async move {
                // If the database is away, the older answer stays.
                let _ = slot.count(seen, make).await;
                drop(turn);
            });
        }
        Ok(kept.value)
    }
}

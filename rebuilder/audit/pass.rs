//! One run of an audit: how it begins, what it records in the memory, and how it ends.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::due::{Due, NotDone, due};
use super::summary::Standing;
use super::{AuditError, Journal, ResultLine, remembered, standing};
use crate::artifact::Subject;
use crate::memory::{Audit, Memory, MemoryError, Outcome, Run};

/// Which subjects are rebuilt although they have a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// All of them.
    All,
    /// Those without a verdict.
    Inconclusive,
}

/// What a user asks of an audit.
pub struct Asked<'a> {
    /// Name of the audit.
    pub name: &'a str,
    /// The subjects, with the texts that name them in the list.
    pub subjects: &'a [(String, Subject)],
    /// Folder of the journal and the runs.
    pub folder: &'a Path,
    /// Which subjects to rebuild again.
    pub again: Option<Again>,
    /// Results from before this time are not good enough.
    pub redo_before: Option<Timestamp>,
    /// Whether an equivalent result is as good as a reproduced one.
    pub allow_equivalent: bool,
}

impl Asked<'_> {
    /// The times before which results, and results without a verdict, are not good enough for a run that
    /// begins now.
    fn demands(&self, now: i64) -> (Option<i64>, Option<i64>) {
        let redo = self.redo_before.map(Timestamp::as_millisecond);
        match self.again {
            None => (redo, None),
            Some(Again::All) => (Some(now), None),
            Some(Again::Inconclusive) => (redo, Some(now)),
        }
    }
}

/// A run in progress.
pub(super) struct Pass {
    pub journal: Arc<Journal>,
    /// The subjects that are due.
    pub open: Vec<(String, Subject)>,
    pub audit: Audit,
    run: Run,
    not_done: NotDone,
}

impl Pass {
    /// Resumes the interrupted run of the audit, or begins one, and finds the subjects that are due.
    pub(super) async fn begin(asked: &Asked<'_>, memory: &Memory) -> Result<Self, AuditError> {
        let journal = Arc::new(Journal::open(asked.folder)?);
        let folder = asked.folder.display().to_string();
        let now = Timestamp::now().as_millisecond();
        let audit = memory.audit(asked.name, &folder, now).await?;
        let members: Vec<_> = asked
            .subjects
            .iter()
            .map(|(text, subject)| remembered::member(text, subject))
            .collect();
        memory.set_members(&audit, &members).await?;
        import(&journal, &audit, asked, memory).await?;
        let run = continue_or_begin(&audit, asked, memory, now).await?;
        let newest = memory.latest(&audit).await?;
        let newest: BTreeMap<&str, &Outcome> = newest
            .iter()
            .map(|outcome| (outcome.text.as_str(), outcome))
            .collect();
        let mut not_done = NotDone::default();
        let mut open = Vec::new();
        for (text, subject) in asked.subjects {
            match due(newest.get(text.as_str()).copied(), &run, now) {
                Due::Now => open.push((text.clone(), subject.clone())),
                other => not_done.add(other),
            }
        }
        Ok(Self {
            journal,
            open,
            audit,
            run,
            not_done,
        })
    }

    /// Records the result of a subject in the memory.
    pub(super) async fn record(
        &self,
        memory: &Memory,
        line: &ResultLine,
        subject: &Subject,
    ) -> Result<(), MemoryError> {
        let attempt = remembered::attempt(line, subject, Path::new(&self.audit.folder));
        memory.record(&self.audit, &self.run, &attempt).await.map(drop)
    }

    /// Ends the run; returns its standing, and the newest result of each subject.
    pub(super) async fn end(
        self,
        asked: &Asked<'_>,
        memory: &Memory,
    ) -> Result<(Standing, Vec<ResultLine>), AuditError> {
        memory
            .end_run(&self.run, Timestamp::now().as_millisecond())
            .await?;
        let newest = memory.latest(&self.audit).await?;
        let mut newest: BTreeMap<String, Outcome> = newest
            .into_iter()
            .map(|outcome| (outcome.text.clone(), outcome))
            .collect();
        let mut lines = Vec::new();
        for (text, _) in asked.subjects {
            if let Some(outcome) = newest.remove(text) {
                lines.push(line(outcome, asked.folder)?);
            }
        }
        let past = memory.doubtful(&self.audit).await?;
        let standing = Standing {
            audit: self.audit.name,
            run: self.run.number,
            began: Timestamp::from_millisecond(self.run.started).unwrap_or_default(),
            has_past: self.run.number > 1,
            regressed: standing::regressed(&past, asked.allow_equivalent),
            not_done: self.not_done,
        };
        Ok((standing, lines))
    }
}

/// Records in the memory what only the journal has: results that were finished when the program was killed,
/// or all results of a folder that an earlier version of this program made.
async fn import(
    journal: &Journal,
    audit: &Audit,
    asked: &Asked<'_>,
    memory: &Memory,
) -> Result<(), AuditError> {
    let known = memory.latest(audit).await?;
    let known: BTreeMap<&str, i64> = known.iter().map(|it| (it.text.as_str(), it.finished)).collect();
    let mut lines = journal.lines();
    lines.retain(|line| {
        let newest = known.get(line.subject.as_str());
        newest.is_none_or(|newest| *newest < line.finished.as_millisecond())
    });
    lines.sort_by_key(|line| line.finished);
    let (Some(first), Some(last)) = (
        lines.iter().map(|line| line.started.as_millisecond()).min(),
        lines.last().map(|line| line.finished.as_millisecond()),
    ) else {
        return Ok(());
    };
    let going_on = open_run(&memory.runs(audit).await?).filter(|run| run.started <= first);
    let run = if let Some(run) = going_on {
        run
    } else {
        let run = Run {
            ended: Some(last),
            ..new_run(first, (None, None))
        };
        memory.begin_run(audit, &run).await?
    };
    for line in lines {
        // Lists change; subjects that they no longer name are remembered as well.
        let named = asked.subjects.iter().find(|(text, _)| *text == line.subject);
        let subject = match named {
            Some((_, subject)) => subject.clone(),
            None => match line.subject.parse() {
                Ok(subject) => subject,
                Err(_) => continue,
            },
        };
        let attempt = remembered::attempt(&line, &subject, asked.folder);
        memory.record(audit, &run, &attempt).await?;
    }
    Ok(())
}

/// The run that was interrupted, if there is one.
fn open_run(runs: &[Run]) -> Option<Run> {
    runs.last().filter(|run| run.ended.is_none()).cloned()
}

fn new_run(started: i64, (redo_before, retry_before): (Option<i64>, Option<i64>)) -> Run {
    Run {
        id: 0,
        number: 0,
        started,
        ended: None,
        redo_before,
        retry_before,
    }
}

async fn continue_or_begin(
    audit: &Audit,
    asked: &Asked<'_>,
    memory: &Memory,
    now: i64,
) -> Result<Run, AuditError> {
    let Some(mut run) = open_run(&memory.runs(audit).await?) else {
        return Ok(memory.begin_run(audit, &new_run(now, asked.demands(now))).await?);
    };
    // For an interrupted run, "again" means since it began: what it has finished since then is not repeated.
    let (redo, retry) = asked.demands(run.started);
    (run.redo_before, run.retry_before) = (run.redo_before.max(redo), run.retry_before.max(retry));
    memory.ask_more(&run).await?;
    Ok(run)
}

/// A remembered result, with its run if the folder still has it.
fn line(outcome: Outcome, folder: &Path) -> Result<ResultLine, AuditError> {
    let mut line: ResultLine = serde_json::from_str(&outcome.document).map_err(|_| MemoryError::Value {
        what: "a result",
        value: outcome.document,
    })?;
    line.run = line.run.filter(|run| folder.join(run).is_dir());
    Ok(line)
}

//! What libraries make of the jobs that `tests/it/queue/rates.rs` gives to our queue: `benches/queue.sh` runs both.
//!
//! `drain` enqueues jobs that do nothing, and lets four processes of 16 places end them. `kills` ends one of these
//! processes a second with SIGKILL while jobs of 300 ms run, and starts it again. Every start and end of a job is written
//! to a file by the worker that has it, so what is counted is what was done, whatever the library says about it.

mod crew;
mod journal;
mod library;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};

use crew::{Crew, Settings, Work};
use journal::{Record, microseconds};
use library::{Job, Library, Queue};

const WORKERS: usize = 4;

/// Jobs of which the way to an idle worker is measured, and the pause between two.
const SINGLE: u64 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// What gives the highest rate, with the lease of `rates.rs`; and what loses least to a SIGKILL, with a short lease: apalis
/// records no result before it has handed out all jobs of a batch.
const FAST: Settings = Settings {
    batch: 100,
    lease: 30,
};
const SAFE: Settings = Settings {
    batch: library::PLACES,
    lease: 3,
};

/// How often it is looked whether all jobs have ended.
const LOOK: Duration = Duration::from_millis(20);

/// Time between two kills, and until a killed worker is back.
const KILL: Duration = Duration::from_secs(1);
const BACK: Duration = Duration::from_millis(300);

/// Drains the queues of job libraries.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Enqueues jobs that do nothing, and measures how fast workers end them.
    Drain {
        #[command(flatten)]
        trial: Trial,
        /// Number of jobs.
        #[arg(long, default_value_t = 100_000)]
        jobs: u64,
        /// Seconds after which jobs that have not ended are counted, and the trial is stopped.
        #[arg(long, default_value_t = 180)]
        limit: u64,
    },
    /// Kills workers while jobs run, and counts the jobs that were lost or ended twice.
    Kills {
        #[command(flatten)]
        trial: Trial,
        /// Number of jobs.
        #[arg(long, default_value_t = 5000)]
        jobs: u64,
        /// Duration of each job.
        #[arg(long, value_name = "MILLISECONDS", default_value_t = 300)]
        lasting: u64,
        /// Number of SIGKILLs, one a second.
        #[arg(long, default_value_t = 20)]
        kills: u32,
        /// Starts a killed worker under another name.
        #[arg(long)]
        new_names: bool,
        /// Seconds after which jobs that have not ended are counted.
        #[arg(long, default_value_t = 180)]
        limit: u64,
    },
    /// Is one of the worker processes.
    #[command(hide = true)]
    Work(Work),
}

#[derive(Args)]
struct Trial {
    #[arg(long)]
    library: Library,
    /// Address of an empty database (postgres://…), or for SQLite a new file.
    #[arg(long)]
    database: String,
    /// New folder for what the workers write down.
    #[arg(long)]
    journal: PathBuf,
    /// Seconds without the end of any job after which the rest is not waited for.
    #[arg(long, default_value_t = 45)]
    patience: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    match options.mode {
        Mode::Drain { trial, jobs, limit } => runtime.block_on(drain(&trial, jobs, seconds(limit))),
        Mode::Kills {
            trial,
            jobs,
            lasting,
            kills,
            new_names,
            limit,
        } => {
            let faults = Faults { kills, new_names };
            runtime.block_on(kill(&trial, jobs, lasting, &faults, seconds(limit)))
        }
        Mode::Work(work) => {
            crew::end_with_parent();
            runtime.block_on(library::work(&work))
        }
    }
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

struct Faults {
    kills: u32,
    new_names: bool,
}

/// Waits until all jobs have ended and the library knows it, or nothing ends any more. Returns when the last one ended.
async fn ended(
    trial: &Trial,
    queue: &Queue,
    record: &mut Record,
    jobs: u64,
    limit: Duration,
    mut meanwhile: impl FnMut(Duration) -> Result<bool>,
) -> Result<Duration> {
    let begun = Instant::now();
    let (mut last, mut before) = (Duration::ZERO, (0, i64::MAX));
    loop {
        let busy = meanwhile(begun.elapsed())?;
        record.read()?;
        let done = record.ended();
        // The database is left alone as long as there is work.
        let waiting = if done == jobs {
            queue.unfinished().await?
        } else {
            i64::MAX
        };
        let now = begun.elapsed();
        if (done, waiting) != before {
            (last, before) = (now, (done, waiting));
        }
        let over = done == jobs && waiting == 0;
        if !busy && (over || now > limit || now.saturating_sub(last) > seconds(trial.patience)) {
            return Ok(last);
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn enqueue(queue: &Queue, jobs: u64, milliseconds: u64) -> Result<Duration> {
    let many: Vec<_> = (1..=jobs).map(|number| Job { number, milliseconds }).collect();
    let begun = Instant::now();
    queue.enqueue(&many).await?;
    Ok(begun.elapsed())
}

async fn drain(trial: &Trial, jobs: u64, limit: Duration) -> Result<()> {
    let queue = Queue::open(trial.library, &trial.database).await?;
    let mut record = Record::open(&trial.journal)?;
    let enqueued = enqueue(&queue, jobs, 0).await?;
    let begun = Instant::now();
    let crew = Crew::start(trial.library, &trial.database, &trial.journal, WORKERS, FAST)?;
    let started = begun.elapsed();
    let drained = started + ended(trial, &queue, &mut record, jobs, limit, |_| Ok(false)).await?;
    let drained_jobs = record.ended();

    // Workers that are still busy would say nothing about idle ones.
    let single = if drained_jobs == jobs { SINGLE } else { 0 };
    let mut inserted = Vec::new();
    for number in jobs + 1..=jobs + single {
        inserted.push((number, microseconds()));
        let job = Job {
            number,
            milliseconds: 0,
        };
        queue.enqueue(&[job]).await?;
        tokio::time::sleep(PAUSE).await;
    }
    if single > 0 {
        ended(trial, &queue, &mut record, jobs + single, limit, |_| Ok(false)).await?;
    }
    let mut waits: Vec<_> = inserted
        .iter()
        .filter_map(|(number, at)| Some(record.started(*number)?.saturating_sub(*at)))
        .collect();
    waits.sort_unstable();
    let unfinished = u64::try_from(queue.unfinished().await?)?;
    let twice = record.started_twice();
    let never = unfinished.max(jobs + single - record.ended());
    let rate = f64::from(u32::try_from(drained_jobs)?) / drained.as_secs_f64();
    let (end, idle) = if drained_jobs == jobs {
        let [middle, most] = [50, 99].map(|percent| quantile(&waits, percent));
        let idle = format!("; to an idle worker: p50 {middle:.1} ms, p99 {most:.1} ms");
        ("drained in".to_owned(), idle)
    } else {
        (
            format!("STOPPED with only {drained_jobs} jobs done after"),
            String::new(),
        )
    };
    println!(
        "{}: {jobs} jobs enqueued in {:.1} s, {end} {:.1} s by {WORKERS} workers of {} places: {rate:.0}/s{idle}; run twice or not done: {} ({twice} twice, {never} not done)",
        trial.library,
        enqueued.as_secs_f64(),
        drained.as_secs_f64(),
        library::PLACES,
        twice + never,
    );
    for error in record.errors() {
        println!("    workers met: {error}");
    }
    crew.end();
    Ok(())
}

async fn kill(trial: &Trial, jobs: u64, lasting: u64, faults: &Faults, limit: Duration) -> Result<()> {
    let queue = Queue::open(trial.library, &trial.database).await?;
    let mut record = Record::open(&trial.journal)?;
    enqueue(&queue, jobs, lasting).await?;
    let mut crew = Crew::start(trial.library, &trial.database, &trial.journal, WORKERS, SAFE)?;
    let mut killed = 0;
    let mut missing = None;
    let work = |now: Duration| -> Result<bool> {
        if let Some((worker, at)) = missing
            && now >= at
        {
            crew.back(worker, faults.new_names)?;
            missing = None;
        }
        if killed < faults.kills && missing.is_none() && now >= KILL * (killed + 1) {
            let worker = killed as usize % WORKERS;
            crew.kill(worker);
            missing = Some((worker, now + BACK));
            killed += 1;
        }
        Ok(missing.is_some() || killed < faults.kills)
    };
    let took = ended(trial, &queue, &mut record, jobs, limit, work).await?;
    ensure!(
        killed == faults.kills,
        "only {killed} workers were killed before the jobs had ended"
    );
    let unfinished = queue.unfinished().await?;
    let again = record.again();
    let after = if again.is_empty() {
        String::new()
    } else {
        let [middle, most] = [50, 100].map(|percent| quantile(&again, percent) / 1000.0);
        format!(" (after p50 {middle:.1} s, at most {most:.1} s)")
    };
    println!(
        "{}{}: {jobs} jobs of {lasting} ms, {killed} SIGKILLs; the last end after {:.1} s; never ended: {}, without a recorded end: {unfinished}; started again: {}{after}; ended twice: {}",
        trial.library,
        if faults.new_names { ", new names" } else { "" },
        took.as_secs_f64(),
        jobs - record.ended(),
        again.len(),
        record.ended_twice(),
    );
    for error in record.errors() {
        println!("    workers met: {error}");
    }
    crew.end();
    Ok(())
}

/// A percentile of sorted microseconds, in milliseconds; NaN if the list is empty.
fn quantile(sorted: &[u64], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    let value = sorted.get(place).and_then(|value| u32::try_from(*value).ok());
    value.map_or(f64::NAN, |value| f64::from(value) / 1000.0)
}

//! `rebuilder queue …`: jobs for workers, seen and changed by an operator of the server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::{Code, Failure};
use super::options::memory::MemoryArgs;
use super::options::operator::operator;
use super::{Context, output, suggest};
use crate::artifact::{Ecosystem, Subject};
use crate::queue::wire::{Resources, Task};
use crate::queue::{Enqueued, Listed, NewJob, Queue, Tally};
use crate::text::{one_of, plural};

#[derive(Args)]
pub(crate) struct QueueArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    memory: MemoryArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Queue subjects; those that are already waiting or running are left as they are
    Add(AddArgs),
    /// Queue jobs that do nothing, to check that workers take them, and how fast
    Probe {
        /// Number of jobs
        #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        count: u64,
        /// Duration of each job
        #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
        lasting: u64,
    },
    /// Show how many jobs are in each state
    Status,
    /// List jobs, the newest first
    List {
        /// List only jobs in this state
        #[arg(long, value_name = "STATE", value_parser = ["later", "ready", "running", "done", "dead", "cancelled"])]
        state: Option<String>,
        /// List only jobs with a lower number
        #[arg(long, value_name = "JOB")]
        before: Option<i64>,
        /// Maximum number of jobs to list
        #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        count: i64,
    },
    /// Cancel jobs; a running build is stopped at its worker's next heartbeat
    Cancel {
        /// Job numbers
        #[arg(required = true)]
        jobs: Vec<i64>,
    },
    /// Queue dead or cancelled jobs again, as new jobs
    Retry {
        /// Job numbers
        #[arg(required = true)]
        jobs: Vec<i64>,
    },
    /// Show the limits, or set how many jobs of an ecosystem may run at the same time
    Limit {
        /// Ecosystem: deb, pypi, npm or cargo
        #[arg(requires = "most", value_parser = ecosystem)]
        ecosystem: Option<String>,
        /// Maximum number of jobs at the same time, or "none"
        #[arg(value_parser = limit)]
        most: Option<Limit>,
    },
}

/// The name by which jobs of an ecosystem are limited: the type of their package URLs, which is stored with each of them.
fn ecosystem(text: &str) -> Result<String, String> {
    let registries: Vec<_> = Ecosystem::ALL.iter().filter_map(|one| one.purl_type()).collect();
    // The namespace of a type need not be written.
    let short = |name: &'static str| name.split('/').next().unwrap_or(name);
    // Files that no registry lists, and jobs that only try a worker.
    let mut all = registries.iter().copied().chain(["generic", "probe"]);
    let found = all.find(|name| *name == text || short(name) == text);
    found.map(str::to_owned).ok_or_else(|| {
        let known: Vec<_> = registries.iter().map(|name| short(name)).collect();
        format!("there is no such ecosystem; write {}", one_of(&known))
    })
}

#[derive(Debug, Clone, Copy)]
struct Limit(Option<u32>);

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit(None)),
        number => number
            .parse()
            .map(|most| Limit(Some(most)))
            .map_err(|_| "write a number, or none".into()),
    }
}

#[derive(Args)]
struct AddArgs {
    /// Subjects, or text files with one subject per line; # starts a comment
    #[arg(required = true)]
    subjects: Vec<String>,
    /// Name of the audit that the jobs belong to; audits take turns
    #[arg(long, value_name = "NAME", default_value = "default")]
    audit: String,
    /// Leave out subjects that the audit has a verdict about; those that were inconclusive are queued again
    #[arg(long)]
    due: bool,
    /// Jobs of a higher priority go first
    #[arg(long, value_name = "NUMBER", default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1000..=1000))]
    priority: i64,
    /// Number of workers that rebuild each subject independently
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    agree: u8,
    /// Number of seconds to wait before the jobs can start
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    delay: u32,
    /// Maximum number of attempts, including those whose worker was lost
    #[arg(long, value_name = "COUNT", default_value_t = NewJob::ATTEMPTS, value_parser = clap::value_parser!(i64).range(1..=100))]
    tries: i64,
    /// Maximum number of plans to try for each subject [default: the worker's]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=100))]
    attempts: Option<u16>,
    /// Processor architecture that the worker must have, such as x86_64 or aarch64
    #[arg(long, value_name = "NAME", help_heading = "Resources")]
    architecture: Option<String>,
    /// Free memory that the worker must have, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 0, help_heading = "Resources")]
    needs_memory: u32,
    /// Free disk space that the worker must have, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 0, help_heading = "Resources")]
    needs_disk: u32,
    /// Number of free processors that the worker must have
    #[arg(long, value_name = "COUNT", default_value_t = 0, help_heading = "Resources")]
    needs_cores: u32,
}

pub(crate) async fn run(context: &Context, args: QueueArgs) -> Result<ExitCode, Failure> {
    let queue = args.memory.queue(context).await?;
    match args.command {
        Command::Add(args) => add(context, &queue, &args).await,
        Command::Probe { count, lasting } => {
            let probe = |number| {
                let task = Task::Probe {
                    number,
                    milliseconds: lasting,
                };
                NewJob::new(task, "probe", "probes")
            };
            let jobs: Vec<NewJob> = (1..=count).map(probe).collect();
            tell(context, queue.enqueue(&jobs).await?)
        }
        Command::Status => status(context, &queue).await,
        Command::List { state, before, count } => {
            list(context, &queue.list(state.as_deref(), before, count).await?)
        }
        Command::Cancel { jobs } => {
            for job in jobs {
                let what = job.to_string();
                queue.write_down(&operator(), "cancel-job", &what).await?;
                queue.cancel(job).await?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Retry { jobs } => {
            for job in jobs {
                let what = job.to_string();
                queue.write_down(&operator(), "retry-job", &what).await?;
                let new = queue.retry(job).await?;
                output::note(&format!("job {job} was queued again as job {new}"));
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Limit { ecosystem, most } => {
            let new = ecosystem
                .zip(most)
                .map(|(ecosystem, Limit(most))| (ecosystem, most));
            limits(context, &queue, new).await
        }
    }
}

/// Shows jobs.
fn list(context: &Context, jobs: &[Listed]) -> Result<ExitCode, Failure> {
    if context.json {
        output::print_json_pretty(&json!({"jobs": jobs}))?;
    } else {
        let mut screen = output::screen();
        for job in jobs {
            screen.say(line(job));
        }
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Sets the limit of an ecosystem if there is a new one, and shows all limits.
async fn limits(
    context: &Context,
    queue: &Queue,
    new: Option<(String, Option<u32>)>,
) -> Result<ExitCode, Failure> {
    if let Some((ecosystem, most)) = new {
        let what = most.map_or_else(|| "none".to_owned(), |most| most.to_string());
        let what = format!("{ecosystem}: {what}");
        queue.write_down(&operator(), "limit", &what).await?;
        queue.limit(&ecosystem, most).await?;
    }
    let limits = queue.limits().await?;
    if context.json {
        output::print_json(&json!({"limits": limits}))?;
    } else {
        let mut screen = output::screen();
        for (ecosystem, most) in &limits {
            screen.say(format_args!("{ecosystem}  at most {most} at the same time"));
        }
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The subjects that the arguments name, and those of the lists among them.
fn subjects(texts: &[String]) -> Result<Vec<(String, Subject)>, Failure> {
    let mut all = Vec::new();
    for text in texts {
        let path = PathBuf::from(text);
        if path.is_file() {
            all.extend(suggest::list(Path::new(text))?);
        } else if text.ends_with(".txt") && !text.contains(':') {
            return Err(suggest::missing_file(&path));
        } else {
            all.push((text.clone(), suggest::subject(text)?));
        }
    }
    Ok(all)
}

async fn add(context: &Context, queue: &Queue, args: &AddArgs) -> Result<ExitCode, Failure> {
    let mut subjects: Vec<_> = subjects(&args.subjects)?
        .into_iter()
        .map(|(_, subject)| (subject.purl(), subject))
        .collect();
    let all = subjects.len();
    if args.due {
        let settled = queue.settled(&args.audit).await?;
        subjects.retain(|(purl, _)| !settled.contains(purl));
    }
    let settled = all.saturating_sub(subjects.len());
    let jobs: Vec<NewJob> = subjects
        .into_iter()
        .map(|(purl, subject)| NewJob {
            task: Task::Rebuild {
                subject: purl,
                attempts: args.attempts,
            },
            ecosystem: subject.ecosystem.purl_type().unwrap_or("generic").to_owned(),
            audit: args.audit.clone(),
            priority: args.priority,
            delay: Duration::from_secs(u64::from(args.delay)),
            attempts: args.tries,
            agree: args.agree,
            architecture: args.architecture.clone().unwrap_or_default(),
            needs: Resources {
                memory: i64::from(args.needs_memory),
                disk: i64::from(args.needs_disk),
                cores: i64::from(args.needs_cores),
            },
        })
        .collect();
    let what = format!("{} for the audit {}", plural(jobs.len(), "job"), args.audit);
    queue.write_down(&operator(), "add-jobs", &what).await?;
    let enqueued = queue.enqueue(&jobs).await?;
    if args.due && !context.json {
        let have = if settled == 1 { "has" } else { "have" };
        let settled = plural(settled, "subject");
        output::note(&format!(
            "not queued: {settled} {have} a verdict in the audit {}",
            args.audit
        ));
    }
    tell(
        context,
        Enqueued {
            settled: settled as u64,
            ..enqueued
        },
    )
}

/// The result of queueing jobs.
fn tell(context: &Context, enqueued: Enqueued) -> Result<ExitCode, Failure> {
    if context.json {
        output::print_json(&enqueued)?;
    } else {
        let known = match enqueued.known {
            0 => String::new(),
            known => format!("; {known} already waiting or running"),
        };
        let mut screen = output::screen();
        screen.say(format_args!(
            "{} added{known}",
            plural(usize::try_from(enqueued.added).unwrap_or(usize::MAX), "job")
        ));
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn status(context: &Context, queue: &Queue) -> Result<ExitCode, Failure> {
    let tally = queue.tally().await?;
    if context.json {
        output::print_json(&tally)?;
    } else {
        let mut screen = output::screen();
        let Tally {
            jobs,
            verdicts,
            signing,
        } = &tally;
        for (title, counts) in [
            ("jobs", jobs),
            ("verdicts", verdicts),
            ("for the signer", signing),
        ] {
            let counts: Vec<_> = counts
                .iter()
                .map(|(name, count)| format!("{count} {name}"))
                .collect();
            if !counts.is_empty() {
                screen.say(format_args!("{title}: {}", counts.join(", ")));
            }
        }
        output::print(&screen)?;
    }
    // Dead letters are there to be looked at.
    Ok(if tally.jobs.contains_key("dead") {
        ExitCode::from(Code::Inconclusive as u8)
    } else {
        ExitCode::SUCCESS
    })
}

fn line(job: &Listed) -> String {
    let mut text = format!("{}  {}  {}", job.id, job.state, job.subject);
    if let Some(verdict) = job.verdict.as_deref().filter(|verdict| *verdict != job.state) {
        text.push_str(&format!("  {verdict}"));
    }
    if let Some(worker) = job.worker.as_deref().filter(|worker| !worker.is_empty()) {
        text.push_str(&format!("  on {worker}"));
    }
    if job.attempt > 1 {
        text.push_str(&format!("  attempt {} of {}", job.attempt, job.attempts));
    }
    if let Some(signing) = job.signing.as_deref().filter(|signing| *signing != "no") {
        text.push_str(&format!("  signer: {signing}"));
    }
    if let Some(reason) = &job.reason {
        text.push_str(&format!("  ({reason})"));
    }
    text
}

//! What workers did, written down by themselves: one line at each start and end of a job, each by one `write`, so that a
//! SIGKILL loses nothing that was said before it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

/// Time of this machine's clock, which the workers share.
pub fn microseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A worker's own file.
#[derive(Clone, Debug)]
pub struct Journal(Arc<File>);

impl Journal {
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(std::process::id().to_string());
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self(Arc::new(file)))
    }

    pub fn started(&self, number: u64) -> std::io::Result<()> {
        self.write("s", &number.to_string())
    }

    pub fn ended(&self, number: u64) -> std::io::Result<()> {
        self.write("e", &number.to_string())
    }

    /// An error that a worker met and went on after.
    pub fn error(&self, text: &str) -> std::io::Result<()> {
        self.write("x", &text.replace(['\n', ' '], "\u{a0}"))
    }

    fn write(&self, what: &str, text: &str) -> std::io::Result<()> {
        let line = format!("{what} {text} {}\n", microseconds());
        (&*self.0).write_all(line.as_bytes())
    }
}

#[derive(Default)]
struct Entry {
    starts: Vec<u64>,
    ends: u32,
}

/// The files of all workers, read as they grow.
pub struct Record {
    folder: PathBuf,
    read: HashMap<PathBuf, (File, Vec<u8>)>,
    jobs: HashMap<u64, Entry>,
    ended: u64,
    errors: BTreeMap<String, u64>,
}

impl Record {
    /// Makes the folder, which must not be there.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir(folder).with_context(|| format!("{} is not a new folder", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            read: HashMap::new(),
            jobs: HashMap::new(),
            ended: 0,
            errors: BTreeMap::new(),
        })
    }

    /// Takes in what was written since.
    pub fn read(&mut self) -> Result<()> {
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if !self.read.contains_key(&path) {
                let file = File::open(&path)?;
                self.read.insert(path.clone(), (file, Vec::new()));
            }
            let Some((file, rest)) = self.read.get_mut(&path) else {
                continue;
            };
            file.read_to_end(rest)?;
            // A line that is not whole yet stays for the next time.
            if let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') {
                let next = rest.split_off(end + 1);
                lines.push(std::mem::replace(rest, next));
            }
        }
        for text in lines {
            for line in String::from_utf8(text)?.lines() {
                self.take(line)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let parts: Vec<_> = line.split(' ').collect();
        let [what, text, at] = parts[..] else {
            anyhow::bail!("a journal has the line {line:?}");
        };
        if what == "x" {
            *self.errors.entry(text.replace('\u{a0}', " ")).or_default() += 1;
            return Ok(());
        }
        let (number, at): (u64, u64) = (text.parse()?, at.parse()?);
        let entry = self.jobs.entry(number).or_default();
        if what == "s" {
            entry.starts.push(at);
        } else {
            ensure!(what == "e", "a journal has the line {line:?}");
            entry.ends += 1;
            self.ended += u64::from(entry.ends == 1);
        }
        Ok(())
    }

    /// Number of jobs that ended, each counted once.
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// When a job started first.
    pub fn started(&self, number: u64) -> Option<u64> {
        self.jobs.get(&number)?.starts.iter().min().copied()
    }

    pub fn started_twice(&self) -> u64 {
        self.jobs
            .values()
            .map(|job| u64::from(job.starts.len() > 1))
            .sum()
    }

    pub fn ended_twice(&self) -> u64 {
        self.jobs.values().map(|job| u64::from(job.ends > 1)).sum()
    }

    /// For each job that started again: the time from its first start to the second, sorted.
    pub fn again(&self) -> Vec<u64> {
        let second = |job: &Entry| {
            let mut starts = job.starts.clone();
            starts.sort_unstable();
            Some(starts.get(1)? - starts.first()?)
        };
        let mut times: Vec<_> = self.jobs.values().filter_map(second).collect();
        times.sort_unstable();
        times
    }

    /// What workers met, each with the number of times.
    pub fn errors(&self) -> Vec<String> {
        let said = |(text, times): (&String, &u64)| format!("{text} ({times} times)");
        self.errors.iter().map(said).collect()
    }
}

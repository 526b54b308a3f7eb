//! Statements from the policy's sources, for the commands that judge them.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;
use walkdir::WalkDir;

use crate::agreement::Agreement;
use crate::cli::failure::Failure;
use crate::cli::{Common, Context};
use crate::discover::{self, Asked, Subject};
use crate::ecosystem;
use crate::evidence::assess::Artifact;
use crate::policy::{Policy, SourceKind};
use crate::report;
use crate::text::Screen;

/// Most files that are looked through for envelopes without a log entry.
const MOST_FILES: usize = 256;

/// The questions asked about some artifacts, and the files with the answers.
pub(crate) struct Discovery {
    asked: Vec<Vec<Asked>>,
    files: Vec<(PathBuf, String)>,
    context: Context,
}

/// A conclusion, with the questions asked for it.
#[derive(Serialize)]
pub(crate) struct Told<'a> {
    #[serde(flatten)]
    agreement: &'a Agreement,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<&'a [Asked]>,
}

/// The artifact as sources know it. If nothing else gives its name, its metadata does.
pub(crate) fn subject(artifact: &Artifact) -> Subject {
    let own = || Some(ecosystem::read_off(artifact.path.as_deref()?)?.purl());
    let guess = if artifact.purl.is_none() { own() } else { None };
    Subject::of(artifact, guess)
}

impl Discovery {
    /// Asks the policy's sources about each artifact.
    pub async fn ask(common: Common, artifacts: &[Artifact], policy: &Policy) -> Result<Self, Failure> {
        let sources = policy.file().map_or(&[][..], |file| file.sources());
        if sources.is_empty() {
            return Err(
                Failure::usage("cannot discover attestations: the policy names no source".into()).with_help(
                    "name a policy that has [[discover]] with --policy; docs/discover.md \
                    describes it",
                ),
            );
        }
        let context = Context::open(common)?;
        let now = Timestamp::now();
        let prepared: Vec<_> = artifacts
            .iter()
            .map(|artifact| discover::prepare(sources, subject(artifact), &context.store, now))
            .collect();
        let asked = if context.fetcher.is_offline() {
            prepared.into_iter().map(discover::Prepared::offline).collect()
        } else {
            discover::ask(&context.fetcher, prepared).await
        };
        let mut files = Vec::new();
        for list in &asked {
            files.extend(discover::places(list, &context.store)?);
        }
        files.sort();
        files.dedup_by(|a, b| a.0 == b.0);
        Ok(Self {
            asked,
            files,
            context,
        })
    }

    /// The same places, where the policy's transparency logs have entries for envelopes that came without with those: a
    /// file in the place of one that was named, and beside a folder for one in it.
    pub async fn with_log_entries(
        &mut self,
        mut places: Vec<PathBuf>,
        artifacts: &[Artifact],
        policy: &Policy,
    ) -> Result<Vec<PathBuf>, Failure> {
        let sources = policy.file().map_or(&[][..], |file| file.sources());
        if !sources.iter().any(|source| source.kind == SourceKind::Rekor) {
            return Ok(places);
        }
        let walk = places
            .iter()
            .flat_map(|place| WalkDir::new(place).follow_links(true));
        let files = walk.flatten().filter(|entry| entry.file_type().is_file());
        let files: Vec<_> = files.take(MOST_FILES).map(walkdir::DirEntry::into_path).collect();
        let subjects: Vec<_> = artifacts.iter().map(subject).collect();
        let fetcher = &self.context.fetcher;
        for (file, asked) in discover::ask_logs(fetcher, sources, &subjects, &files).await {
            for (kept, address) in discover::places(std::slice::from_ref(&asked), fetcher.store())? {
                match places.iter_mut().find(|place| **place == file) {
                    Some(place) => place.clone_from(&kept),
                    None => places.push(kept.clone()),
                }
                self.files.push((kept, address));
            }
            for list in &mut self.asked {
                list.push(asked.clone());
            }
        }
        Ok(places)
    }

    /// The files with what was found.
    pub fn places(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.files.iter().map(|(path, _)| path.clone())
    }

    /// Makes attestations name the place where they were found, not their file in the store.
    pub fn name_origins(&self, agreement: &mut Agreement) {
        name_origins(&self.files, agreement);
    }

    /// Shows the questions asked about the artifact with this number.
    pub fn show(&self, number: usize, screen: &mut Screen) {
        if let Some(asked) = self.asked.get(number) {
            report::discovery::terminal(asked, screen);
        }
    }
}

/// Replaces the names of files in the store by their addresses.
pub(crate) fn name_origins(files: &[(PathBuf, String)], agreement: &mut Agreement) {
    for (path, address) in files {
        let path = path.display().to_string();
        for party in &mut agreement.parties {
            party.origin = party.origin.replace(&path, address);
        }
        for aside in &mut agreement.set_aside {
            for example in &mut aside.examples {
                *example = example.replace(&path, address);
            }
        }
    }
}

/// Conclusions for programs.
pub(crate) fn told<'a>(agreements: &'a [Agreement], discovered: Option<&'a Discovery>) -> Vec<Told<'a>> {
    let asked = |number: usize| Some(discovered?.asked.get(number)?.as_slice());
    let all = agreements.iter().enumerate();
    all.map(|(number, agreement)| Told {
        agreement,
        asked: asked(number),
    })
    .collect()
}

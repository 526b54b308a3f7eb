//! Statements from the policy's sources, for the commands that judge them.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::agreement::Agreement;
use crate::cli::failure::Failure;
use crate::cli::{Common, Context};
use crate::discover::{self, Asked, Subject};
use crate::ecosystem;
use crate::evidence::assess::Artifact;
use crate::policy::Policy;
use crate::report;
use crate::text::Screen;

/// The questions asked about some artifacts, and the files with the answers.
pub(crate) struct Discovery {
    asked: Vec<Vec<Asked>>,
    files: Vec<(PathBuf, String)>,
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
        Ok(Self { asked, files })
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

//! What to rebuild, for the commands that plan.

use std::path::{Path, PathBuf};

use clap::Args;

use super::evidence::{self, EvidenceArgs};
use super::released::{self, Listed};
use crate::artifact::Subject;
use crate::artifact::git_source::{self, GitSource};
use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::cli::{output, suggest};
use crate::ecosystem::hints::{Hints, SourceHint};
use crate::ecosystem::{Planner, oss_rebuild};
use crate::inspect::InspectionRequest;
use crate::plan::Origin;
use crate::sandbox::embedded::Embedded;

/// What to rebuild.
#[derive(Args)]
pub(crate) struct Target {
    /// Package URL, deb:NAME[=VERSION], pypi:NAME[==VERSION], npm:NAME[@VERSION], crate:NAME[@VERSION], or a released file
    pub subject: Option<String>,
    /// Package URL of SUBJECT, if SUBJECT is a file
    #[arg(long, value_name = "PURL")]
    pub purl: Option<String>,
    /// Compare only the named artifact, not everything built from its source
    #[arg(long)]
    only: bool,
    /// Recipe to use instead of the built-in one: a file, or c-make, go, npm-scripts, python-wheel or rust-cargo
    #[arg(long, value_name = "FILE|NAME", help_heading = "Plan")]
    recipe: Option<PathBuf>,
    /// Version of a build tool, instead of the version that the evidence suggests (npm packages: node, npm; crates:
    /// cargo; wheels: PyPI projects, such as setuptools=58.0 or "setuptools=<58"; Debian: packages in the archive); may
    /// be repeated
    #[arg(long, value_name = "NAME=VERSION", value_parser = tool, help_heading = "Plan")]
    tool: Vec<(String, String)>,
    /// Build from this commit instead of the released source archive [default: the commit that the package's evidence
    /// names]
    #[arg(long, value_name = "URL@COMMIT[:FOLDER]", value_parser = source, help_heading = "Plan")]
    source: Option<SourceHint>,
    /// Take the source and the tool versions from a build definition of OSS Rebuild (build.yaml)
    #[arg(long, value_name = "FILE", help_heading = "Plan")]
    oss_rebuild: Option<PathBuf>,
    #[command(flatten)]
    pub evidence: EvidenceArgs,
}

fn source(text: &str) -> Result<SourceHint, String> {
    let (address, rest) = text
        .rsplit_once('@')
        .ok_or("write it as https://HOST/PATH@COMMIT")?;
    let (commit, folder) = match rest.split_once(':') {
        Some((commit, folder)) => {
            let inside = git_source::folder(folder);
            let inside = inside.ok_or_else(|| {
                format!(
                    "{folder:?} is not a relative path inside a \
            repository"
                )
            })?;
            (commit, Some(inside.to_owned()))
        }
        None => (rest, None),
    };
    let git = GitSource::new(address, None, Some(commit)).map_err(|error| error.to_string())?;
    Ok(SourceHint {
        git: Some(git),
        folder,
        origin: named_by_the_user(),
    })
}

fn named_by_the_user() -> Origin {
    Origin::Declared("the user who asked for the rebuild".into())
}

fn tool(text: &str) -> Result<(String, String), String> {
    let (name, version) = text.split_once('=').ok_or("write it as NAME=VERSION")?;
    Ok((name.to_owned(), version.to_owned()))
}

impl Target {
    /// The package that the registry lists: the named one, or the one that a released file's metadata name. In the
    /// second case, the registry has confirmed the file. `None` if the user's evidence says what the file is, or if
    /// nothing does.
    pub async fn listed(
        &self,
        context: &Context,
        case: &InspectionRequest,
    ) -> Result<Option<Subject>, Failure> {
        let Some(text) = &self.subject else {
            return Ok(None);
        };
        let path = Path::new(text);
        if self.purl.is_none() && !path.is_file() {
            return Ok(Some(suggest::subject(text)?));
        }
        if self.purl.is_some() || !self.evidence.is_empty() {
            return Ok(None);
        }
        let artifact = evidence::local(path, None, &case.documents, &case.everyone())?;
        let listed = released::listed(context, &artifact, path).await?;
        let Some(Listed {
            subject,
            source,
            name,
            ..
        }) = listed
        else {
            return Ok(None);
        };
        if source {
            return Err(released::is_source(path, &subject));
        }
        if let Some(name) = name {
            output::note(&format!(
                "{text} has the bytes of {name}, which is what is rebuilt"
            ));
        }
        Ok(Some(subject))
    }

    /// Whether to rebuild only the released file, rather than everything built from its source.
    fn is_file(&self) -> bool {
        let subject = self.subject.as_deref();
        subject.is_some_and(|text| Path::new(text).is_file())
    }

    pub fn planner<'a>(
        &self,
        context: &'a Context,
        embedded: &'a Embedded,
        case: &'a InspectionRequest,
    ) -> Result<Planner<'a>, Failure> {
        let mut hints = match &self.oss_rebuild {
            Some(path) => oss_rebuild::read(path)?,
            None => Hints::default(),
        };
        if let Some(git) = self.source.as_ref().and_then(|source| source.git.as_ref()) {
            context.fetcher.choose(&git.repository);
        }
        // The user overrides the definition.
        hints.source = self.source.clone().or(hints.source);
        for (name, version) in &self.tool {
            hints = hints.with_tool(name, version, named_by_the_user());
        }
        Ok(Planner {
            workshop: context.workshop(embedded),
            recipe: self.recipe.as_deref().map(suggest::recipe).transpose()?,
            only: self.only || self.is_file(),
            case,
            released: Vec::new(),
            hints,
        })
    }
}

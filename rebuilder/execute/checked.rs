//! Plans that may be run.

use crate::artifact::{Ecosystem, Sha256};
use crate::credentials::{self, InPlan};
use crate::plan::{Plan, Role};

/// A plan whose form is valid, that contains no credential, and that does not give the build the released bytes.
///
/// Only [`CheckedPlan::check`] makes one, and only one of these is ever run.
#[derive(Debug, Clone)]
pub struct CheckedPlan(Plan);

/// A plan that must not be run.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PlanRefused {
    #[error("cannot run the plan: {reason}")]
    Form { reason: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Credential(#[from] InPlan),
    #[error("the input {place} is the released {name} itself, so a rebuild would prove nothing")]
    #[diagnostic(help(
        "nothing was built; if the package is needed to build itself, the plan must use another version of it"
    ))]
    Answer { place: String, name: String },
}

impl CheckedPlan {
    /// Checks everything that a plan can be refused for before anything of it is run.
    pub fn check(plan: Plan) -> Result<Self, PlanRefused> {
        plan.check_form().map_err(|reason| PlanRefused::Form { reason })?;
        credentials::check_plan(&plan)?;
        without_the_answer(&plan)?;
        Ok(Self(plan))
    }

    /// The plan, which may now be changed and is no longer checked.
    pub fn into_inner(self) -> Plan {
        self.0
    }

    /// The same plan with the digests of its archives from git. Of what was checked, they can only change whether an
    /// input is the released file.
    pub(super) fn with_archives(mut self, archives: &[Sha256]) -> Result<Self, PlanRefused> {
        for (git, archive) in self.0.git.iter_mut().zip(archives) {
            git.archive = Some(*archive);
        }
        without_the_answer(&self.0)?;
        Ok(self)
    }
}

impl std::ops::Deref for CheckedPlan {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.0
    }
}

/// Refuses a plan that gives the released bytes to the build, which could copy them.
///
/// Debian's own archive is the exception. Its compilers and its tools for packages are built with themselves, so their
/// build dependencies hold what was released, as they did when the archive built it; the plan lists each one.
fn without_the_answer(plan: &Plan) -> Result<(), PlanRefused> {
    let bootstraps = plan.ecosystem == Ecosystem::Debian;
    let inputs = plan.inputs.iter();
    let inputs = inputs
        .filter(|input| !(bootstraps && input.role == Role::Dependency))
        .map(|input| (&input.place, input.file.sha256));
    let files = plan
        .files
        .iter()
        .map(|file| (&file.place, Sha256::of(&file.text)));
    let git = plan.git.iter().filter_map(|git| Some((&git.place, git.archive?)));
    for (place, sha256) in inputs.chain(files).chain(git) {
        if let Some(expected) = plan
            .expected
            .iter()
            .find(|expected| expected.file.sha256 == sha256)
        {
            return Err(PlanRefused::Answer {
                place: place.clone(),
                name: expected.file.name.clone(),
            });
        }
    }
    Ok(())
}

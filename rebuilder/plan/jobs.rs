//! What a plan has a sandbox do: the script of each phase, its environment, and what it may see.

use std::collections::BTreeMap;

use super::{IMAGE_ENTRYPOINT, Phase, Plan, Role, quote, shell_command};
use crate::artifact::Sha256;
use crate::artifact::serialise::SerialiseError;
use crate::rootfs::ImageConfig;

/// The work of a plan, ready to be run on the root that its container gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jobs {
    /// The plan's subject, for people.
    pub title: String,
    /// What installs the build dependencies, if anything does.
    pub setup: Option<SetupJob>,
    /// What makes the outputs, on a root in which the setup was done.
    pub build: Work,
    /// Both, one after the other in one sandbox, for backends that keep no layers.
    pub together: Work,
}

/// Installs the build dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupJob {
    /// Names the layer that it makes: everything that the layer depends on.
    pub digest: Sha256,
    /// What it runs.
    pub work: Work,
}

/// A script and what it is run with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Shell text for `/bin/sh -eu`.
    pub script: String,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// The inputs that it sees, by their role.
    pub roles: Vec<Role>,
}

impl Plan {
    /// The jobs of this plan on a root whose image, if it comes from one, says `image` about running it.
    pub fn jobs(&self, image: &ImageConfig) -> Result<Jobs, SerialiseError> {
        let work = |phase: &Phase, roles: &[Role]| Work {
            script: phase.script(),
            env: environment(phase, image),
            roles: roles.to_vec(),
        };
        let setup = if self.setup.steps.is_empty() {
            None
        } else {
            Some(SetupJob {
                digest: self.setup_digest()?,
                work: work(&self.setup, &[Role::Dependency]),
            })
        };
        let build = work(&self.build, &[Role::Source]);
        let together = match &setup {
            None => build.clone(),
            // Each phase has its own environment.
            Some(setup) => Work {
                script: [&setup.work, &build]
                    .map(|work| shell_command(&work.env, &work.script))
                    .join("\n"),
                env: BTreeMap::new(),
                roles: vec![Role::Source, Role::Dependency],
            },
        };
        Ok(Jobs {
            title: self.title(),
            setup,
            build,
            together,
        })
    }
}

/// A phase's variables over those of the image, whose entrypoint is added as shell words.
fn environment(phase: &Phase, image: &ImageConfig) -> BTreeMap<String, String> {
    let pairs = image.env.iter().filter_map(|pair| pair.split_once('='));
    let mut env: BTreeMap<_, _> = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if !image.entrypoint.is_empty() {
        let words: Vec<_> = image.entrypoint.iter().map(|word| quote(word)).collect();
        env.insert(IMAGE_ENTRYPOINT.to_owned(), words.join(" "));
    }
    env.extend(phase.env.clone());
    env
}

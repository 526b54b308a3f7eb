//! The assumptions of a plan for a wheel, and what each is inferred from.

use super::interpreter;
use super::plan::Draft;
use super::requirements::Solution;
use super::wheel::WheelFacts;
use crate::ecosystem::compressor;
use crate::plan::{Assumption, Origin, assume};

/// Name of the assumption from the `Generator` line of the released wheel.
pub(super) const GENERATOR: &str = "version of the backend";

/// Name of the assumption with the list of build requirements.
pub(super) const REQUIREMENTS: &str = "build requirements";

/// Name of the assumption about Windows.
pub(super) const HOST_SYSTEM: &str = "host system, as shown to the build";

/// Name of the assumption about an option of setuptools, and the value for wheels of Python 2 and 3.
pub(super) const OPTION: &str = "setuptools option";
pub(super) const UNIVERSAL: &str = "universal = 1";

impl Draft<'_> {
    /// All assumptions, in the order in which the plan lists them.
    pub(super) fn assumptions(&self, required: &[String], chosen: &Solution) -> Vec<Assumption> {
        let mut all = self.source.assumptions.clone();
        all.extend(self.of_tools(required));
        all.extend(self.of_system());
        all.extend(self.of_requirements(required, chosen));
        all.extend(of_installation(chosen));
        all.extend(self.of_files());
        all.extend(self.compressor.iter().map(|(_, assumption)| assumption.clone()));
        all
    }

    fn of_tools(&self, required: &[String]) -> Vec<Assumption> {
        let dialect = self.facts.dialect.iter();
        let dialect = dialect.filter(|dialect| required.contains(&dialect.requirement));
        let dialect = dialect.map(|dialect| {
            let origin = Origin::Inferred(format!("the released wheel has {}", dialect.evidence));
            assume(
                "version of the tool that wrote METADATA",
                dialect.requirement.clone(),
                origin,
            )
        });
        let tools = self.planner.hints.tools.iter();
        let tools = tools.filter(|(name, _)| *name != compressor::TOOL);
        let hints = tools.map(|(name, hint)| {
            assume(
                &format!("version of {name}"),
                hint.value.clone(),
                hint.origin.clone(),
            )
        });
        let options = self.options().into_iter().map(|(name, value)| {
            assume(
                OPTION,
                format!("[bdist_wheel] {name} = {value}"),
                Origin::Inferred("the tags of the released wheel".into()),
            )
        });
        dialect.take(1).chain(hints).chain(options).collect()
    }

    fn of_system(&self) -> Vec<Assumption> {
        let mut all = Vec::new();
        if self.facts.windows {
            all.push(assume(
                HOST_SYSTEM,
                "Windows: CR LF and cp1252 for text files, paths in order without regard to case, its mark in the archive",
                Origin::Inferred("system of all entries of the released wheel".into()),
            ));
        }
        if let Some(origin) = &self.planner.hints.settings.markers
            && let lacking = self.lacking_markers()
            && !lacking.is_empty()
        {
            all.push(assume(
                "files that the source distribution lacks",
                format!(
                    "empty, and part of the wheel only if the setup names them: {}",
                    lacking.join(", ")
                ),
                origin.clone(),
            ));
        }
        if let Some(origin) = &self.planner.hints.settings.description
            && self.is_described()
        {
            all.push(assume(
                "description",
                "as PKG-INFO of the source distribution has it, whatever its setup composes now",
                origin.clone(),
            ));
        }
        if let Some(origin) = &self.planner.hints.settings.order
            && self.is_ordered()
        {
            all.push(assume(
                "order of requirements and extras",
                "as the source distribution's own list has it, where only the order differs",
                origin.clone(),
            ));
        }
        if let Some(origin) = &self.planner.hints.settings.installed {
            all.push(assume(
                "further build requirements",
                "what the source requires when it is used",
                origin.clone(),
            ));
        }
        if self.facts.no_mode && !self.python.interpreter.is_python_2() {
            all.push(assume(
                interpreter::ARCHIVE_WRITER,
                "as Python 2's: a member that was given no mode keeps none",
                Origin::Inferred("RECORD of the released wheel has no mode".into()),
            ));
        }
        if self.facts.sorted {
            all.push(assume(
                "order of requirements",
                "by name, as the setuptools of Debian and its derivatives writes them",
                Origin::Inferred("order of Requires-Dist in the released wheel".into()),
            ));
        }
        if let (Some(shown), Some(sign)) = (self.shown_python(), &self.facts.python) {
            all.push(assume(
                "version of Python in file names",
                if shown.is_empty() { "none" } else { shown },
                Origin::Inferred(sign.evidence.clone()),
            ));
        }
        if self.without_extensions() {
            all.push(assume(
                "compiled code",
                "none, even if the setup has extensions",
                Origin::Inferred("names in the released wheel".into()),
            ));
        }
        if self.facts.impure && self.without_extensions() {
            all.push(assume(
                "layout of the wheel",
                "as if the setup had compiled code",
                Origin::Inferred("Root-Is-Purelib in WHEEL of the released wheel".into()),
            ));
        }
        if let Some(of_day) = self.python.of_day {
            all.push(assume(
                interpreter::OF_DAY,
                of_day.version(),
                Origin::Inferred("time of the release".into()),
            ));
        }
        if !self.source.system.backend_path.is_empty() && self.backend_path().is_empty() {
            all.push(assume(
                "backend in the source's own folder",
                "not used",
                Origin::Inferred("another version of it in WHEEL of the released wheel".into()),
            ));
        }
        all
    }

    fn of_requirements(&self, required: &[String], chosen: &Solution) -> [Assumption; 4] {
        let names: Vec<_> = chosen.files.iter().map(|file| file.name.clone()).collect();
        let later = match &chosen.later[..] {
            [] => String::new(),
            later => format!(
                "; later, since none ran on this Python before: {}",
                later.join(", ")
            ),
        };
        let tried = self.planner.hints.settings.later.as_ref();
        let weeks = tried.map_or(
            "",
            |_| "; some weeks after the release, as those of its day do not work",
        );
        [
            assume(
                "build backend",
                self.source.system.build_backend.clone(),
                self.source.backend.clone(),
            ),
            assume(
                GENERATOR,
                self.facts.generator.clone(),
                Origin::Inferred("Generator in WHEEL of the released wheel".into()),
            ),
            assume(
                REQUIREMENTS,
                required.join(", "),
                Origin::Declared("the source, and the line above".into()),
            ),
            assume(
                "versions of the build requirements",
                names.join(", "),
                Origin::Inferred(format!(
                    "pip's choice among files uploaded before {}{later}{weeks}",
                    self.newest()
                )),
            ),
        ]
    }

    fn of_files(&self) -> [Assumption; 4] {
        let (time, clock_origin) = clock(&self.facts);
        [
            assume("clock", time, clock_origin),
            assume(
                "file modes",
                "as stored in the released wheel: of the source's files of the same names, and of what the build writes",
                Origin::Inferred("entries of the released wheel".into()),
            ),
            assume(
                "umask",
                format!("{:03o}", self.facts.umask),
                Origin::Inferred("mode of METADATA of the released wheel".into()),
            ),
            assume(
                "Python",
                format!(
                    "{} of {}{}",
                    interpreter::version_of(Some(&self.lock)),
                    self.python.interpreter.distribution,
                    if self.python.interpreter.is_python_2() {
                        ""
                    } else {
                        ", with the names that it dropped from its library"
                    }
                ),
                self.python.origin.clone(),
            ),
        ]
    }
}

/// How the build requirements are installed, if no document says so.
fn of_installation(chosen: &Solution) -> Vec<Assumption> {
    let installer = chosen.installer.iter().map(|file| {
        let from = "the pip of the container is too old; this is the newest one that runs on its Python and takes the versions of its day";
        assume(
            "installer of the build requirements",
            file.name.clone(),
            Origin::Inferred(from.into()),
        )
    });
    let sources = chosen.files.iter().filter(|file| !file.name.ends_with(".whl"));
    let sources: Vec<_> = sources.map(|file| file.name.clone()).collect();
    let built = (!sources.is_empty()).then(|| {
        assume(
            "build requirements without a wheel",
            format!("built by the tools of the container: {}", sources.join(", ")),
            Origin::Inferred("what they need for it is not known before they run".into()),
        )
    });
    installer.chain(built).collect()
}

fn clock(facts: &WheelFacts) -> (String, Origin) {
    match facts.clock.uniform {
        Some(time) => (
            format!("SOURCE_DATE_EPOCH={time}"),
            Origin::Inferred("the one time of all entries of the released wheel".into()),
        ),
        None => (
            "a time for each file, as stored in the released wheel".into(),
            Origin::Inferred(
                "entries of the released wheel; files that the build writes show these times as well".into(),
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{PinnedFile, Sha256};

    #[test]
    fn how_requirements_are_installed_is_said_and_not_declared() {
        let file = |name: &str| PinnedFile {
            name: name.to_owned(),
            urls: Vec::new(),
            sha256: Sha256::of(name),
            size: 1,
        };
        for (files, installer, expected) in [
            (&["a-1-py3-none-any.whl"][..], None, &[][..]),
            (
                &["a-1-py3-none-any.whl"],
                Some("pip-24.0-py3-none-any.whl"),
                &["pip-24.0-py3-none-any.whl"],
            ),
            (
                &["a-1-py3-none-any.whl", "b-1.tar.gz", "c-1.zip"],
                None,
                &["built by the tools of the container: b-1.tar.gz, c-1.zip"],
            ),
        ] {
            let said = of_installation(&Solution {
                files: files.iter().map(|name| file(name)).collect(),
                later: Vec::new(),
                installer: installer.map(file),
            });
            let values: Vec<_> = said.iter().map(|it| it.value.as_str()).collect();
            assert_eq!(values, expected);
            assert!(said.iter().all(|it| !it.is_declared()));
        }
    }
}

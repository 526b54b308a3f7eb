//! Asks pip, inside the sandbox, what it would install.

use super::bounds;
use super::interpreter::Series;
use super::registry::ReleasedFile;
use super::requirements::Index;
use crate::container::Root;
use crate::ecosystem::PlanError;
use crate::evidence::json::member;
use crate::ledger::Work;
use crate::plan::places::INSTALLER;
use crate::plan::{INPUTS, OUT, quote};
use crate::run::failure::log::shortened;
use crate::sandbox::Input;

/// The first Python whose distribution has a pip that can report what it would install, and install for another
/// Python.
const FIRST_WITH_PIP: Series = (3, 11);
/// The last pip that runs on all earlier Pythons, and accepts the versions and requirements of their time.
const OTHER_PIP: &str = "pip<24.1";

/// The answer of pip.
pub(super) enum Answer {
    Solved(Vec<String>),
    WantsFile(String),
    WantsProject(String),
    WantsSource(String),
    Unsolved(String),
}

impl Index<'_> {
    /// Whether pip can report what it would install: those for Python 2 can only install.
    pub(super) fn can_ask(&self) -> bool {
        self.series > (3, 0)
    }

    /// Fetches another pip, if the container's is too old.
    pub(super) async fn fetch_installer(&mut self) -> Result<(), PlanError> {
        if self.series >= FIRST_WITH_PIP {
            return Ok(());
        }
        let Some((name, bounds)) = bounds::plain(OTHER_PIP) else {
            return Ok(());
        };
        self.project(&name).await?;
        let files = self.projects.get(&name).and_then(Option::as_ref);
        let fits = |file: &&ReleasedFile| {
            file.wheel
                && !file.version.any_prerelease()
                && !self.released.contains(&file.file.sha256)
                && bounds.contains(&file.version)
                && file.runs_on(&self.python)
        };
        let fitting = files.iter().flat_map(|project| &project.files).filter(fits);
        let newest = fitting.max_by_key(|file| &file.version);
        self.installer = newest.map(|file| file.file.clone());
        if let Some(file) = newest.cloned() {
            let blob = self.planner.workshop.fetcher.get(&file.file).await?;
            let name = format!("{INSTALLER}/{}", file.file.name);
            let path = blob.path;
            self.files.insert(name.clone(), Input { name, path });
        }
        Ok(())
    }

    /// The index pages, in the form that pip reads (PEP 503).
    fn pages(&self) -> Result<Vec<Input>, PlanError> {
        let mut inputs = Vec::new();
        for name in self.projects.keys() {
            let mut page = String::from("<!doctype html>\n");
            for file in self.candidates(name) {
                let yanked = if file.yanked { " data-yanked=\"\"" } else { "" };
                let (name, sha256) = (&file.file.name, file.file.sha256);
                page.push_str(&format!(
                    "<a href=\"file://{INPUTS}/files/{name}#sha256={sha256}\"{yanked}>{name}</a>\n"
                ));
            }
            let blob = self.planner.workshop.fetcher.store().keep(page.as_bytes())?;
            inputs.push(Input {
                name: format!("index/{name}/index.html"),
                path: blob.path,
            });
        }
        Ok(inputs)
    }

    pub(super) async fn ask(
        &self,
        root: &Root,
        requirements: &[String],
        bar: &crate::progress::ProgressBar,
    ) -> Result<Answer, PlanError> {
        let words: Vec<_> = requirements
            .iter()
            .map(|requirement| quote(requirement))
            .collect();
        let pip = command(self.installer.as_ref().map(|pip| pip.name.as_str()));
        // They are built with the distribution's own packages: their build requirements are not known before they run.
        let sources = self
            .from_source
            .iter()
            .map(|name| format!("--no-binary {}", quote(name)));
        let mut sources: Vec<_> = sources.collect();
        if !sources.is_empty() {
            sources.push("--no-build-isolation".into());
        }
        let sources = sources.join(" ");
        let script = format!(
            "{pip} install --quiet --disable-pip-version-check --no-cache-dir --break-system-packages \
             --dry-run --ignore-installed --only-binary :all: {sources} --index-url file://{INPUTS}/index \
             --report {OUT}/report.json {} 2> {OUT}/errors || true\n",
            words.join(" ")
        );
        let mut inputs = self.pages()?;
        inputs.extend(self.files.values().cloned());
        let reply = self
            .planner
            .workshop
            .sandbox
            .query(&root.layers(), inputs, script, bar)
            .await?;
        self.planner
            .workshop
            .fetcher
            .ledger()
            .ended(Work::Resolve, reply.took);
        if !reply.ended.succeeded() {
            return Ok(Answer::Unsolved(format!("it {}", reply.ended)));
        }
        Ok(match reply.file("report.json") {
            Some(report) => read_report(&report),
            None => self.read_errors(&reply.text("errors")),
        })
    }

    fn read_errors(&self, errors: &str) -> Answer {
        if let Some((_, rest)) = errors.split_once(&format!("{INPUTS}/files/")) {
            let name: String = rest.chars().take_while(|c| !"'\"\n #".contains(*c)).collect();
            if !self.files.contains_key(&name) {
                return Answer::WantsFile(name);
            }
        }
        let missing = "Could not find a version that satisfies the requirement ";
        if let Some((_, rest)) = errors.split_once(missing) {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
                .collect();
            if let Ok(name) = name
                .parse::<pep508_rs::PackageName>()
                .map(|name| name.to_string())
            {
                if !self.projects.contains_key(&name) {
                    return Answer::WantsProject(name);
                }
                let has_source = self.candidates(&name).any(|file| !file.wheel);
                if has_source && !self.from_source.contains(&name) {
                    return Answer::WantsSource(name);
                }
            }
        }
        let telling = errors
            .lines()
            .filter(|line| line.starts_with("ERROR:"))
            .take(3)
            .map(shortened)
            .collect::<Vec<_>>()
            .join(" ");
        if telling.is_empty() {
            return Answer::Unsolved(shortened(errors.trim()));
        }
        Answer::Unsolved(telling)
    }
}

/// The call of pip, as shell text: the container's, or the wheel of another one.
fn command(installer: Option<&str>) -> String {
    match installer {
        Some(name) => format!("python3 {}", quote(&format!("{INPUTS}/{INSTALLER}/{name}/pip"))),
        None => "python3 -m pip".into(),
    }
}

/// File names in pip's installation report.
fn read_report(report: &[u8]) -> Answer {
    let Ok(report) = serde_json::from_slice::<serde_json::Value>(report) else {
        return Answer::Unsolved("its report is not JSON".into());
    };
    let items = member(&report, ["install"])
        .as_array()
        .cloned()
        .unwrap_or_default();
    let url = |item: &serde_json::Value| member(item, ["download_info", "url"]).as_str().map(str::to_owned);
    let name = |url: String| {
        url.rsplit('/')
            .next()
            .map(|name| name.replace("%2B", "+").replace("%21", "!"))
    };
    Answer::Solved(items.iter().filter_map(url).filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_pip_is_one_word() {
        for (name, expected) in [
            (None, "python3 -m pip"),
            (
                Some("pip-24.0-py3-none-any.whl"),
                "python3 /inputs/installer/pip-24.0-py3-none-any.whl/pip",
            ),
            (
                Some("pip-1; id $(id).whl"),
                "python3 '/inputs/installer/pip-1; id $(id).whl/pip'",
            ),
        ] {
            assert_eq!(command(name), expected);
        }
    }
}

//! The program that calls the backend inside the sandbox, and what it is told.

use serde_json::json;

use super::plan::Draft;
use super::source::Place;
use crate::plan::InlineFile;

const DRIVER: &str = include_str!("../../../recipes/pypi/build_wheel.py");

impl Draft<'_> {
    /// The driver, and what it needs to know.
    pub(super) fn files(&self, hook: &str) -> Vec<InlineFile> {
        let version = &self.released.version;
        let (archive, top, folder) = match &self.source.place {
            Place::Sdist(file) => (format!("source/{}", file.file.name), None, ""),
            Place::Git { pinned, folder } => (
                pinned.place.clone(),
                Some(format!("{}-{version}", self.project.name)),
                folder.as_str(),
            ),
        };
        let platform = self.native.then(|| {
            let stem = self.released.file.name.trim_end_matches(".whl");
            stem.rsplit('-')
                .next()
                .and_then(|tags| tags.split('.').next())
                .unwrap_or_default()
        });
        let build = json!({
            "archive": archive,
            "top": top,
            "folder": folder,
            "backend": self.source.system.build_backend,
            "backend_path": self.backend_path(),
            "hook": hook,
            "options": self.options(),
            "uniform": self.facts.clock.uniform,
            "entries": self.facts.clock.shown(),
            "windows": self.facts.windows,
            "python": self.facts.python,
            "sorted": self.facts.sorted,
            "platform": platform
        });
        vec![
            InlineFile {
                place: "recipe/build_wheel.py".into(),
                text: DRIVER.into(),
            },
            InlineFile {
                place: "recipe/build.json".into(),
                text: format!("{build}\n"),
            },
        ]
    }

    /// Options of bdist_wheel that the wheel's tags show.
    pub(super) fn options(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut options = serde_json::Map::new();
        let name = &self.released.file.name;
        if self.facts.generator.starts_with("bdist_wheel") && !self.native {
            if name.contains("-py2.py3-none-any") {
                options.insert("universal".into(), json!(1));
            } else if name.contains("-py2-none-any") {
                options.insert("python_tag".into(), json!("py2"));
            }
        }
        options
    }

    /// The folders of the source in which the backend itself is, unless another version of that backend built the
    /// wheel.
    pub(super) fn backend_path(&self) -> &[String] {
        let generator = self.facts.generator.split_once(' ');
        let bootstraps = generator.is_none_or(|(name, version)| {
            name != self.project.name
                || version == self.released.version.to_string()
                || version.contains("+local")
        });
        if bootstraps {
            &self.source.system.backend_path
        } else {
            &[]
        }
    }
}

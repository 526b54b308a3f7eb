//! Changes of source files by rules, and the unified diff of what was changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use regex::{Captures, NoExpand, Regex};

use super::unified;

/// A language that rules are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Makefiles, `debian/rules`, and what automake makes them from.
    Make,
    /// Shell scripts.
    Shell,
    Python,
    /// JavaScript and TypeScript.
    JavaScript,
    /// `package.json`, for its scripts.
    PackageJson,
    Rust,
    Go,
    /// C and C++.
    C,
    Perl,
    Ruby,
    Lua,
    Awk,
    CMake,
    /// `meson.build`.
    Meson,
    /// `Cargo.toml`.
    CargoToml,
    /// `pyproject.toml`, and the settings of build backends.
    PythonSettings,
    /// `rebuilder.toml`, for the commands in it.
    Settings,
}

impl Kind {
    /// The language of a file, by its name, or without an extension by its interpreter.
    pub fn of(path: &str, text: &str) -> Option<Self> {
        let base = path.rsplit('/').next().unwrap_or(path);
        let lower = base.to_ascii_lowercase();
        let by_name = match base {
            "rebuilder.toml" => Some(Self::Settings),
            "Cargo.toml" => Some(Self::CargoToml),
            "package.json" => Some(Self::PackageJson),
            "pyproject.toml" | "setup.cfg" => Some(Self::PythonSettings),
            "CMakeLists.txt" => Some(Self::CMake),
            "meson.build" => Some(Self::Meson),
            "Rakefile" => Some(Self::Ruby),
            "rules" => Some(Self::Make),
            _ if lower.contains("makefile") => Some(Self::Make),
            _ => None,
        };
        let end = lower.rsplit_once('.').map_or("", |(_, end)| end);
        let by_end = || match end {
            "mk" | "am" => Some(Self::Make),
            // Most of what autoconf makes a script from is shell text.
            "sh" | "bash" | "ac" | "m4" => Some(Self::Shell),
            "py" => Some(Self::Python),
            "js" | "mjs" | "cjs" | "ts" => Some(Self::JavaScript),
            "rs" => Some(Self::Rust),
            "go" => Some(Self::Go),
            "c" | "h" | "cc" | "cpp" | "cxx" | "hpp" => Some(Self::C),
            "pl" | "pm" => Some(Self::Perl),
            "rb" | "gemspec" => Some(Self::Ruby),
            "lua" => Some(Self::Lua),
            "awk" => Some(Self::Awk),
            "cmake" => Some(Self::CMake),
            _ => None,
        };
        let by_interpreter = || {
            let first = text.lines().next()?.strip_prefix("#!")?;
            [
                ("python", Self::Python),
                ("node", Self::JavaScript),
                ("perl", Self::Perl),
                ("ruby", Self::Ruby),
                ("lua", Self::Lua),
                ("awk", Self::Awk),
                ("make", Self::Make),
                ("sh", Self::Shell),
            ]
            .into_iter()
            .find_map(|(word, kind)| first.contains(word).then_some(kind))
        };
        by_name.or_else(by_end).or_else(by_interpreter)
    }

    /// The start of a one-line comment.
    fn comment(self) -> &'static str {
        match self {
            Self::JavaScript | Self::Rust | Self::Go | Self::C => "//",
            Self::Lua => "--",
            _ => "#",
        }
    }
}

/// One replacement, made in each matching line.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The languages.
    pub kinds: &'static [Kind],
    /// What is replaced: a regular expression, in which `ARGS` stands for a capture of balanced arguments, `CMD` for
    /// where a command of a shell may begin, and `END` for where its name ends.
    pub find: &'static str,
    /// The replacement: a template, in which `§` stands for the shell's dollar, and `EPOCH` for the language's
    /// expression for SOURCE_DATE_EPOCH: in seconds, or in Rust as a `SystemTime`.
    pub put: &'static str,
    /// Lines that are not changed, as a regular expression; empty for none.
    pub unless: &'static str,
    /// Modules that the replacement needs.
    pub imports: &'static [&'static str],
}

impl Rule {
    /// A replacement without imports or exceptions.
    pub const fn new(kinds: &'static [Kind], find: &'static str, put: &'static str) -> Self {
        Self {
            kinds,
            find,
            put,
            unless: "",
            imports: &[],
        }
    }

    /// The same rule, except for lines like this.
    #[must_use]
    pub const fn unless(self, unless: &'static str) -> Self {
        Self { unless, ..self }
    }

    /// The same rule, with the modules that it needs.
    #[must_use]
    pub const fn importing(self, imports: &'static [&'static str]) -> Self {
        Self { imports, ..self }
    }
}

#[cfg(test)]
impl Rule {
    /// Whether its expressions can be read.
    pub fn is_sound(&self, kind: Kind) -> bool {
        Ready::new(self, kind).is_some() && (self.unless.is_empty() || Regex::new(self.unless).is_ok())
    }
}

/// Balanced arguments, four deep.
const ARGS: &str = r"((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*)";
/// Where a command may begin, kept by the first group: at the start of a recipe or line, or after what separates commands.
const CMD: &str = r#"(^\s*[@+-]*|[;&|(`{!]\s*|esyscmd(?:_s)?\(\[|\b(?:then|do|else|shell|exec|xargs|sudo|time|env|run:?|fakeroot)\s+|(?:-c|=|:)\s*["'])"#;
/// Where the name of a command ends; the second group.
const END: &str = r#"($|[\s;)\]`|&>"'])"#;

fn epoch(kind: Kind) -> &'static str {
    match kind {
        Kind::Python => "int(os.environ.get(\"SOURCE_DATE_EPOCH\", time.time()))",
        Kind::JavaScript => {
            "(process.env.SOURCE_DATE_EPOCH ? Number(process.env.SOURCE_DATE_EPOCH) : Date.now() / 1000)"
        }
        Kind::Perl => "($ENV{SOURCE_DATE_EPOCH} || CORE::time())",
        Kind::Ruby => "(ENV[\"SOURCE_DATE_EPOCH\"] || Time.now.to_i).to_i",
        Kind::Lua => "(tonumber(os.getenv(\"SOURCE_DATE_EPOCH\")) or os.time())",
        // The standard library's time, which other libraries make theirs from.
        Kind::Rust => {
            "std::time::UNIX_EPOCH + std::time::Duration::from_secs(std::env::var(\"SOURCE_DATE_EPOCH\").ok().and_then(|time| time.parse().ok()).unwrap_or(0))"
        }
        Kind::C => {
            "(getenv(\"SOURCE_DATE_EPOCH\") ? (time_t)strtoll(getenv(\"SOURCE_DATE_EPOCH\"), 0, 10) : time(0))"
        }
        _ => "${SOURCE_DATE_EPOCH:-0}",
    }
}

/// A rule made ready for one language.
struct Ready {
    find: Regex,
    unless: Option<Regex>,
    put: String,
    imports: &'static [&'static str],
}

impl Ready {
    fn new(rule: &Rule, kind: Kind) -> Option<Self> {
        if !rule.kinds.contains(&kind) {
            return None;
        }
        let find = rule
            .find
            .replace("ARGS", ARGS)
            .replace("CMD", CMD)
            .replace("END", END);
        let epoch = epoch(kind).replace("${", "§{").replace("$ENV", "§ENV");
        let dollar = if kind == Kind::Make { "$$$$" } else { "$$" };
        // `SOURCE_DATE_EPOCH` and `UNIX_EPOCH` are no placeholders.
        let placeholder = Regex::new(r"\bEPOCH\b").ok()?;
        let put = placeholder.replace_all(rule.put, NoExpand(&epoch));
        let put = put.replace('§', dollar);
        // In strings of JSON and TOML, quotes are written with a backslash.
        let put = if matches!(kind, Kind::PackageJson | Kind::Settings) {
            put.replace('"', "\\\"")
        } else {
            put
        };
        Some(Self {
            find: Regex::new(&find).ok()?,
            unless: (!rule.unless.is_empty())
                .then(|| Regex::new(rule.unless).ok())
                .flatten(),
            put,
            imports: rule.imports,
        })
    }

    fn apply(&self, line: &str) -> Option<String> {
        if self.unless.as_ref().is_some_and(|unless| unless.is_match(line)) {
            return None;
        }
        let changed = self.find.replace_all(line, |found: &Captures<'_>| {
            let mut put = String::new();
            found.expand(&self.put, &mut put);
            put
        });
        (changed != line).then(|| changed.into_owned())
    }
}

/// The text with the rules applied to every line, or to `only` these (numbers from 1); `None` if nothing changes.
pub fn rewritten(rules: &[Rule], kind: Kind, text: &str, only: Option<&[usize]>) -> Option<String> {
    let ready: Vec<_> = rules.iter().filter_map(|rule| Ready::new(rule, kind)).collect();
    if ready.is_empty() {
        return None;
    }
    let (mut changed, mut imports) = (String::with_capacity(text.len()), Vec::new());
    for (number, whole) in (1..).zip(text.split_inclusive('\n')) {
        let (mut line, end) = match whole.strip_suffix('\n') {
            Some(line) => (line.to_owned(), "\n"),
            None => (whole.to_owned(), ""),
        };
        let chosen = only.is_none_or(|only| only.contains(&number));
        if chosen && !line.trim_start().starts_with(kind.comment()) {
            for rule in &ready {
                if let Some(other) = rule.apply(&line) {
                    line = other;
                    imports.extend(rule.imports);
                }
            }
        }
        changed.push_str(&line);
        changed.push_str(end);
    }
    if changed == text {
        return None;
    }
    Some(match kind {
        Kind::Python => with_python_imports(&changed, &imports),
        Kind::Go => without_unused_go_imports(&with_go_imports(&changed, &imports)),
        Kind::C => with_c_includes(&changed, &imports),
        _ => changed,
    })
}

/// With `import NAME` lines for what is not imported yet, before the first import.
pub(super) fn with_python_imports(text: &str, names: &[&str]) -> String {
    let missing = |name: &&&str| {
        let imported = format!(r"(?m)^import (?:.*,\s*)?{}\s*(?:,|#|$)", regex::escape(name));
        !Regex::new(&imported).is_ok_and(|imported| imported.is_match(text))
    };
    let mut wanted: Vec<_> = names.iter().filter(missing).copied().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let first = text.lines().position(|line| {
        (line.starts_with("import ") || line.starts_with("from ")) && !line.contains("__future__")
    });
    insert_at(
        text,
        first,
        wanted.iter().flat_map(|name| ["import ", name, "\n"]).collect(),
    )
}

/// With the packages in the import block, or in one of their own behind the package clause.
fn with_go_imports(text: &str, names: &[&str]) -> String {
    let mut wanted: Vec<_> = names
        .iter()
        .filter(|name| !text.contains(&format!("\"{name}\"")))
        .copied()
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let package = text.lines().position(|line| line.starts_with("package "));
    let lines: String = wanted
        .iter()
        .flat_map(|name| ["import \"", name, "\"\n"])
        .collect();
    insert_at(text, package.map(|line| line.saturating_add(1)), lines)
}

/// Go does not compile a file that imports what it no longer uses.
fn without_unused_go_imports(text: &str) -> String {
    let unused = |line: &str| {
        let name = line.trim().trim_start_matches("import ").trim_matches('"');
        let replaced = ["os", "runtime", "time"].contains(&name) && line.trim().ends_with('"');
        let used = || Regex::new(&format!(r"\b{name}\.")).is_ok_and(|used| used.is_match(text));
        replaced && !used()
    };
    text.split_inclusive('\n').filter(|line| !unused(line)).collect()
}

/// With the headers before the first one.
fn with_c_includes(text: &str, names: &[&str]) -> String {
    let mut wanted: Vec<_> = names
        .iter()
        .filter(|name| !text.contains(&format!("<{name}>")))
        .copied()
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let first = text.lines().position(|line| line.starts_with("#include"));
    let lines = wanted
        .iter()
        .flat_map(|name| ["#include <", name, ">\n"])
        .collect();
    insert_at(text, first.or(Some(0)), lines)
}

/// With lines before the line with this index; without one behind the first line if that names an interpreter.
fn insert_at(text: &str, index: Option<usize>, lines: String) -> String {
    if lines.is_empty() {
        return text.to_owned();
    }
    let index = index.unwrap_or_else(|| usize::from(text.starts_with("#!")));
    let mut all: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
    all.insert(index.min(all.len()), lines);
    all.concat()
}

/// The text with lines put behind its interpreter line and the comments and settings that scripts begin with.
pub fn prefixed(text: &str, lines: &str) -> String {
    let starts = |line: &&str| line.starts_with('#') || line.starts_with("set ") || line.trim().is_empty();
    let index = text.lines().take_while(starts).count();
    insert_at(text, Some(index), lines.to_owned())
}

/// Changed files of a project: name, old and new text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    files: BTreeMap<String, (String, String)>,
}

impl Patch {
    /// The text of a file as the patch leaves it, or `original`.
    pub fn text<'a>(&'a self, file: &str, original: &'a str) -> &'a str {
        self.files.get(file).map_or(original, |(_, new)| new)
    }

    /// Sets the new text of a file.
    pub fn set(&mut self, file: &str, original: &str, text: String) {
        let entry = self.files.entry(file.to_owned());
        entry.or_insert_with(|| (original.to_owned(), String::new())).1 = text;
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.files.values().all(|(old, new)| old == new)
    }

    /// The changed files with their new texts.
    pub fn changed(&self) -> impl Iterator<Item = (&str, &str)> {
        let changed = self.files.iter().filter(|(_, (old, new))| old != new);
        changed.map(|(name, (_, new))| (name.as_str(), new.as_str()))
    }

    /// A unified diff that `patch -p1` and `git apply` accept.
    pub fn diff(&self) -> String {
        self.diff_from(&Self::default())
    }

    /// The same, for a project that already has another patch.
    pub fn diff_from(&self, base: &Self) -> String {
        let mut all = String::new();
        let texts = self
            .files
            .iter()
            .map(|(name, (original, new))| (name, base.text(name, original), new));
        for (name, old, new) in texts.filter(|(_, old, new)| old != new) {
            let hunks = unified::hunks(old, new);
            let from = if old.is_empty() {
                "/dev/null".to_owned()
            } else {
                format!("a/{name}")
            };
            let _ = write!(all, "--- {from}\n+++ b/{name}\n{hunks}");
        }
        all
    }
}

//! Finds a command in the project: the line of a makefile's recipe, or the line of a script.
//!
//! It searches for the traced words, so a line is only named if its text produces the command: a variable of a makefile
//! can expand to anything, but all other text must match.

use std::path::Path;

use regex::Regex;

use crate::bounded;

/// A line of the project.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Line {
    /// The file, relative to the project.
    pub file: String,
    /// Its number, from 1.
    pub line: usize,
    /// Its text, without the spaces around it.
    pub text: String,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The project's files, in the build and on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The folder of the source in the build, such as `/build/NAME`.
    pub seen: &'a str,
    /// The same folder on this machine.
    pub folder: &'a Path,
    /// The script that the build runs, and the file of the project that contains its text, if any.
    pub script: Option<(&'static str, &'static str)>,
}

/// Maximum size of a script that is searched.
const LONGEST: u64 = 4 << 20;

impl Sources<'_> {
    /// A path of the build relative to the project, if it is inside.
    pub fn relative<'p>(&self, path: &'p str) -> Option<&'p str> {
        if let Some((_, file)) = self.script.filter(|(script, _)| *script == path) {
            return Some(file);
        }
        path.strip_prefix(self.seen)?.strip_prefix('/')
    }

    /// The text of a file of the project, by its path in the project. Links out of the project are not followed.
    pub fn text(&self, relative: &str) -> Option<String> {
        let top = self.folder.canonicalize().ok()?;
        let path = top.join(relative).canonicalize().ok()?;
        if !path.starts_with(&top) || !path.is_file() {
            return None;
        }
        bounded::read_text(&path, LONGEST).ok()
    }
}

/// A line with its continuation lines.
struct Logical<'a> {
    number: usize,
    lines: Vec<&'a str>,
}

impl<'a> Logical<'a> {
    fn all(text: &'a str) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let mut goes_on = false;
        for (number, line) in (1..).zip(text.lines()) {
            match all.last_mut().filter(|_| goes_on) {
                Some(last) => last.lines.push(line),
                None => all.push(Self {
                    number,
                    lines: vec![line],
                }),
            }
            goes_on = line.ends_with('\\');
        }
        all
    }

    fn joined(&self) -> String {
        let parts = self
            .lines
            .iter()
            .map(|line| line.strip_suffix('\\').unwrap_or(line));
        parts.collect::<Vec<_>>().join(" ")
    }

    /// The physical line that contains the word, or the first one.
    fn line_with(&self, word: &str) -> (usize, &'a str) {
        let mut numbered = (self.number..).zip(self.lines.iter().copied());
        let first = (self.number, self.lines.first().copied().unwrap_or(""));
        if word.is_empty() {
            return first;
        }
        numbered.find(|(_, line)| has_word(line, word)).unwrap_or(first)
    }
}

/// The line of a makefile whose recipe is this shell text; `leaf` is the program to point at if there are several lines.
pub(super) fn in_makefile(text: &str, command: &str, leaf: &str) -> Option<(usize, String)> {
    let command = spaced(command);
    let mut best: Option<(usize, usize, String)> = None;
    for logical in Logical::all(text) {
        let joined = logical.joined();
        // A recipe may stand behind its rule, after a semicolon.
        let recipe = match joined.strip_prefix('\t') {
            Some(recipe) => recipe,
            None => match joined.split_once(';') {
                Some((rule, recipe)) if rule.contains(':') => recipe,
                _ => continue,
            },
        };
        let recipe = recipe.trim().trim_start_matches(['@', '-', '+']).trim_start();
        let Some(literal) = matches(&spaced(recipe), &command) else {
            continue;
        };
        if best.as_ref().is_none_or(|(most, ..)| literal > *most) {
            let (number, line) = logical.line_with(leaf);
            best = Some((literal, number, line.trim().to_owned()));
        }
    }
    best.map(|(_, number, line)| (number, line))
}

/// The number of characters of a recipe that are literally in a command, if the recipe can produce the command.
fn matches(recipe: &str, command: &str) -> Option<usize> {
    let (mut pattern, mut literal) = (String::from("^"), 0_usize);
    let mut chars = recipe.chars().peekable();
    while let Some(char) = chars.next() {
        if char != '$' {
            // What make runs without a shell comes without its quotes.
            if char == '"' || char == '\'' {
                pattern.push_str("[\"']?");
            } else {
                pattern.push_str(&regex::escape(char.encode_utf8(&mut [0; 4])));
                literal = literal.saturating_add(1);
            }
            continue;
        }
        match chars.next()? {
            '$' => {
                pattern.push_str(r"\$");
                literal = literal.saturating_add(1);
            }
            open @ ('(' | '{') => {
                let close = if open == '(' { ')' } else { '}' };
                let mut depth = 1_usize;
                for inner in chars.by_ref() {
                    if inner == open {
                        depth = usize::saturating_add(depth, 1);
                    } else if inner == close {
                        depth = depth.saturating_sub(1);
                    }
                    if depth == 0 {
                        break;
                    }
                }
                pattern.push_str("(?s:.*?)");
            }
            _ => pattern.push_str("(?s:.*?)"),
        }
    }
    // Spaces around something that is empty go with it.
    let pattern = pattern
        .replace("(?s:.*?) ", "(?s:.*?) ?")
        .replace(" (?s:.*?)", " ?(?s:.*?)");
    let found = regex::RegexBuilder::new(&format!("{pattern}$"))
        .size_limit(1 << 22)
        .build()
        .ok()?;
    (literal > 0 && found.is_match(command)).then_some(literal)
}

fn spaced(text: &str) -> String {
    text.replace("\\\n", " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The line of a script that has the most words of a command, including its program.
pub(super) fn in_script(text: &str, argv: &[String]) -> Option<(usize, String)> {
    let program = argv.first()?.rsplit('/').next()?;
    let mut best: Option<(usize, usize, String)> = None;
    for logical in Logical::all(text) {
        let joined = logical.joined();
        let code = without_comment(&joined);
        if !has_word(code, program) {
            continue;
        }
        let found = argv
            .iter()
            .skip(1)
            .filter(|word| !word.is_empty() && code.contains(word.as_str()));
        let score = found.map(|word| word.len().saturating_add(1)).sum::<usize>();
        if best.as_ref().is_none_or(|(most, ..)| score > *most) {
            let (number, line) = logical.line_with(program);
            best = Some((score, number, line.trim().to_owned()));
        }
    }
    best.map(|(_, number, line)| (number, line))
}

/// The line of a script that names a file, with the longest part of its path.
pub(super) fn naming(text: &str, path: &str) -> Option<(usize, String)> {
    let mut end = path;
    loop {
        let quoted = Regex::new(&format!(r#"(^|[\s"'=>/(`]){}($|[\s"'),;`])"#, regex::escape(end))).ok()?;
        let mut lines = (1..).zip(text.lines());
        // The line that opens it for writing is the one that counts.
        let writes = |line: &str| line.contains('>') || line.contains("open") || line.contains("write");
        let all: Vec<_> = lines
            .by_ref()
            .filter(|(_, line)| quoted.is_match(without_comment(line)))
            .collect();
        let best = all.iter().find(|(_, line)| writes(line)).or(all.first());
        if let Some((number, line)) = best {
            return Some((*number, line.trim().to_owned()));
        }
        end = end.split_once('/')?.1;
    }
}

/// The line, or nothing if it is only a comment in a scripting language.
fn without_comment(line: &str) -> &str {
    let code = line.trim_start();
    if code.starts_with('#') || code.starts_with("//") {
        ""
    } else {
        line
    }
}

/// Whether a line contains the word by itself, or at the end of a path.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    if word.is_empty() {
        return false;
    }
    let inner = |char: char| char.is_alphanumeric() || char == '_' || char == '-' || char == '.';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|front| front.chars().next_back());
        let after = line
            .get(at.saturating_add(word.len())..)
            .and_then(|rest| rest.chars().next());
        !before.is_some_and(|char| inner(char) && char != '-') && !after.is_some_and(inner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "#!/usr/bin/make -f\nexport X = 1\n%:\n\tdh $@\n\noverride_dh_install:\n\tdh_install\n\tcp x.1 debian/x/\n\tgzip -9 debian/x/x.1\n\t@cd debian && \\\n\t  date -R > $(STAMP) && \\\n\t  tar cf $(OUT)/a.tar \"$$x\"\nall: a ; echo $(A) done\n";

    #[test]
    fn recipes_are_found_by_what_they_expand_to() {
        for (command, leaf, line) in [
            ("dh build", "dh", Some(4)),
            ("gzip -9 debian/x/x.1", "gzip", Some(9)),
            (
                "cd debian &&   date -R > st && tar cf out/a.tar \"$x\"",
                "tar",
                Some(12),
            ),
            (
                "cd debian && \\\n  date -R > st && \\\n  tar cf /out/a.tar \"$x\"",
                "date",
                Some(11),
            ),
            ("echo done", "echo", Some(13)),
            ("gzip -9 debian/y/x.1", "gzip", None),
        ] {
            assert_eq!(
                in_makefile(RULES, command, leaf).map(|(line, _)| line),
                line,
                "{command}"
            );
        }
    }

    #[test]
    fn lines_of_scripts_are_found_by_their_words() {
        let script = "# gzip -9 a\nset -e\nfor f in a b; do\n  gzip -9 \"$f\"\ndone\n/usr/bin/gzip -c c > c.gz\nsubprocess.run([\"tar\", \"cf\", \"x.tar\", d])\n";
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (command, line) in [
            ("gzip -9 a", Some(4)),
            ("gzip -c c", Some(6)),
            ("/bin/tar cf x.tar d", Some(7)),
            ("zip x", None),
        ] {
            assert_eq!(
                in_script(script, &words(command)).map(|(line, _)| line),
                line,
                "{command}"
            );
        }
        assert_eq!(naming(script, "/b/c.gz").unwrap().0, 6);
        assert_eq!(naming(script, "/b/z"), None);
    }
}

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

/// A line of a script that may have started a command.
pub(super) struct Candidate {
    /// Its number, from 1.
    pub line: usize,
    /// Its text, without the spaces around it.
    pub text: String,
    /// How much of the command it gives.
    pub score: usize,
}

impl Candidate {
    /// The line, as one of this file.
    pub fn of(self, file: &str) -> Line {
        Line {
            file: file.to_owned(),
            line: self.line,
            text: self.text,
        }
    }
}

/// The line of a script that has the most words of a command, including its program. A line without any other word of
/// the command must have something that can stand for them.
pub(super) fn in_script(text: &str, argv: &[String]) -> Option<Candidate> {
    in_lines(text, argv, |_| true)
}

/// The same for what make runs outside recipes, such as `$(shell date)`.
pub(super) fn in_expansion(text: &str, argv: &[String]) -> Option<Candidate> {
    in_lines(text, argv, |code| {
        !code.starts_with('\t')
            && (code.contains("$(shell ") || code.contains("${shell ") || code.contains("!="))
    })
}

/// How many lines behind the name of a program its arguments are looked for, if its own line has none.
const BEHIND: usize = 3;

fn in_lines(text: &str, argv: &[String], chosen: impl Fn(&str) -> bool) -> Option<Candidate> {
    let program = argv.first()?.rsplit('/').next()?;
    let words: Vec<_> = argv.iter().skip(1).filter(|word| !word.is_empty()).collect();
    // An interpreter can be named in other ways, such as `sys.executable`; its script cannot.
    let script = words.iter().find(|word| !word.starts_with('-'));
    let script = script.filter(|_| is_interpreter(program));
    let logical = Logical::all(text);
    let mut best: Option<Candidate> = None;
    for (index, line) in logical.iter().enumerate() {
        let joined = line.joined();
        let code = without_comment(&joined);
        let calls = has_word(code, program) || script.is_some_and(|script| has_word(code, script));
        if !calls || !chosen(code) {
            continue;
        }
        let found = words.iter().filter(|word| has_word(code, word));
        let score = found.map(|word| word.len().saturating_add(1)).sum::<usize>();
        let has_one = |line: &Logical<'_>| words.iter().any(|word| has_word(&line.joined(), word));
        let mut behind = logical.iter().skip(index).skip(1).take(BEHIND);
        if score == 0 && !words.is_empty() && !expands(code, program) && !behind.any(has_one) {
            continue;
        }
        if best.as_ref().is_none_or(|best| score > best.score) {
            let named = script.filter(|_| !has_word(code, program));
            let (number, text) = line.line_with(named.map_or(program, |script| script.as_str()));
            best = Some(Candidate {
                line: number,
                text: text.trim().to_owned(),
                score,
            });
        }
    }
    best
}

/// Whether a program runs scripts, by its name without a version.
fn is_interpreter(program: &str) -> bool {
    const ALL: [&str; 8] = ["python", "perl", "ruby", "node", "sh", "bash", "dash", "lua"];
    ALL.contains(&program.trim_end_matches(|char: char| char.is_ascii_digit() || char == '.'))
}

/// Whether something behind the name of a program can stand for words that are not in the line.
fn expands(code: &str, program: &str) -> bool {
    let behind = code
        .split_once(program)
        .map_or("", |(_, behind)| behind.trim_start_matches(['"', '\'']));
    let joined = [" + ", " % "].iter().any(|operator| behind.contains(operator));
    joined || behind.starts_with(',') || behind.contains(['$', '@', '*', '{'])
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
    if code.starts_with('#') || code.starts_with("//") || code.starts_with("dnl ") {
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
    fn what_make_runs_outside_recipes_is_found() {
        let text = "date:\n\tdate +%F\nDAY := $(shell date +%F)\nYEAR != date -u +%Y\n";
        let line = |command: &str| {
            let words: Vec<_> = command.split(' ').map(str::to_owned).collect();
            in_expansion(text, &words).map(|found| found.line)
        };
        assert_eq!(line("date +%F"), Some(3));
        assert_eq!(line("date -u +%Y"), Some(4));
        assert_eq!(line("date -R"), None);
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
                in_script(script, &words(command)).map(|found| found.line),
                line,
                "{command}"
            );
        }
        // The name of a program alone is not a call of it, unless its arguments can come from elsewhere.
        let setup = "\"\"\" Makes a python representation \"\"\"\nfrom x import y\ncheck_call([sys.executable, '-B', 'make.py'])\n";
        let found = in_script(setup, &words("/venv/bin/python3 -B make.py")).unwrap();
        assert_eq!(found.line, 3);
        let macros = "dnl date +%Y\nthe date of a release\nAC_DEFINE([YEAR], [m4_esyscmd([date +%Y])])\n";
        let found = in_script(macros, &words("date +%Y")).unwrap();
        assert_eq!((found.line, found.score), (3, 4));
        assert!(in_script("the date of a release\n", &words("date +%Y")).is_none());
        assert_eq!(in_script("date \"$@\"\n", &words("date +%Y")).unwrap().line, 1);
        let chained = "use x;\nCommand::new(\"date\")\n    .arg(\"+%Y\")\n";
        assert_eq!(in_script(chained, &words("date +%Y")).unwrap().line, 2);
        assert_eq!(naming(script, "/b/c.gz").unwrap().0, 6);
        assert_eq!(naming(script, "/b/z"), None);
    }
}

//! The makefile or script of the project that a process was started from.

use std::collections::HashSet;

use super::lines::{self, Line, Sources};
use crate::trace::{Command, Hand, Writers};

/// The line of the project that starts a process: the nearest in its chain that can be found. A script that writes the
/// file itself is searched for the name of the file. `path` is empty if there is no file.
pub(super) fn locate(
    writers: &Writers,
    sources: Sources<'_>,
    chain: &[(Hand, &Command)],
    path: &str,
) -> Option<Line> {
    let line = |file: &str, (line, text): (usize, String)| Line {
        file: file.to_owned(),
        line,
        text,
    };
    for (index, (hand, command)) in chain.iter().enumerate() {
        if index == 0 && !path.is_empty() {
            let named = scripts(writers, sources, hand.process, command)
                .into_iter()
                .find_map(|file| {
                    let text = sources.text(&file)?;
                    Some(line(&file, lines::naming(&text, path)?))
                });
            if named.is_some() {
                return named;
            }
        }
        let Some((parent, above)) = chain.get(index.saturating_add(1)) else {
            break;
        };
        let leaf = command_word(command);
        let found = if ["make", "gmake"].contains(&above.program()) {
            let text = shell_text(command).map_or_else(|| command.line(), str::to_owned);
            makefiles(writers, sources, parent.process)
                .into_iter()
                .find_map(|file| {
                    Some(line(
                        &file,
                        lines::in_makefile(&sources.text(&file)?, &text, leaf)?,
                    ))
                })
        } else {
            scripts(writers, sources, parent.process, above)
                .into_iter()
                .find_map(|file| {
                    Some(line(
                        &file,
                        lines::in_script(&sources.text(&file)?, &command.argv)?,
                    ))
                })
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The program to look for. A shell that runs a text has none, because any program may be meant.
fn command_word(command: &Command) -> &str {
    if shell_text(command).is_some() {
        ""
    } else {
        command.program()
    }
}

/// The text that a shell was given (`sh -c TEXT`).
fn shell_text(command: &Command) -> Option<&str> {
    if !command.is_shell() {
        return None;
    }
    let mut words = command
        .argv
        .iter()
        .skip(1)
        .skip_while(|word| !(word.starts_with('-') && word.ends_with('c')));
    words.next()?;
    words.next().map(String::as_str)
}

/// The makefiles that a process read, by their names in the project.
pub(super) fn makefiles(writers: &Writers, sources: Sources<'_>, make: u32) -> Vec<String> {
    let is_makefile = |name: &str| {
        let base = name.rsplit('/').next().unwrap_or(name);
        base.to_ascii_lowercase().contains("makefile") || base.ends_with(".mk") || base == "rules"
    };
    let read = writers.reads(make).filter_map(|path| sources.relative(path));
    let mut read: Vec<_> = read.filter(|name| is_makefile(name)).map(str::to_owned).collect();
    // A makefile that another program made is named only if the project has the text that it was made from.
    let templates: Vec<_> = read
        .iter()
        .flat_map(|name| [format!("{name}.am"), format!("{name}.in")])
        .collect();
    read.extend(templates);
    read
}

/// The scripts of the project that a process ran: the one it was given, then those it sourced.
pub(super) fn scripts(
    writers: &Writers,
    sources: Sources<'_>,
    process: u32,
    command: &Command,
) -> Vec<String> {
    const ENDS: [&str; 14] = [
        ".py",
        ".sh",
        ".pl",
        ".js",
        ".mjs",
        ".cjs",
        ".rb",
        ".lua",
        ".awk",
        ".cmake",
        "CMakeLists.txt",
        "meson.build",
        ".bash",
        ".go",
    ];
    let absolute = |word: &str| {
        if word.starts_with('/') {
            word.to_owned()
        } else {
            format!("{}/{}", command.cwd, word.trim_start_matches("./"))
        }
    };
    let mut found = Vec::new();
    if shell_text(command).is_none() {
        let given = command
            .argv
            .iter()
            .skip(1)
            .filter(|word| !word.starts_with('-'))
            .take(2);
        let given = given.map(|word| absolute(word));
        found.extend(given.filter_map(|path| sources.relative(&path).map(str::to_owned)));
    }
    // What cargo compiles and then runs in the folder of its package.
    if command.program().starts_with("build-script-") {
        found.extend(sources.relative(&absolute("build.rs")).map(str::to_owned));
    }
    let read = writers.reads(process).filter_map(|path| sources.relative(path));
    found.extend(
        read.filter(|name| ENDS.iter().any(|end| name.ends_with(end)))
            .map(str::to_owned),
    );
    found.retain(|name| sources.text(name).is_some());
    let mut seen = HashSet::new();
    found.retain(|name| seen.insert(name.clone()));
    found
}

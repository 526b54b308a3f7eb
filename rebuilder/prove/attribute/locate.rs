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
            let files = makefiles(writers, sources, parent.process);
            let recipe = files
                .iter()
                .find_map(|file| Some(line(file, lines::in_makefile(&sources.text(file)?, &text, leaf)?)));
            recipe.or_else(|| {
                let words = words_of(&text);
                nearest(&files, sources, |text| lines::in_expansion(text, &words))
            })
        } else {
            let files = scripts(writers, sources, parent.process, above);
            // The line has the text that a shell was given, but need not name the shell.
            let words = shell_text(command).map_or_else(|| command.argv.clone(), words_of);
            nearest(&files, sources, |text| lines::in_script(text, &words))
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The line that gives the most of a command; of equal ones, the first file's.
fn nearest(
    files: &[String],
    sources: Sources<'_>,
    find: impl Fn(&str) -> Option<lines::Candidate>,
) -> Option<Line> {
    let mut best: Option<(&str, lines::Candidate)> = None;
    for file in files {
        let Some(found) = sources.text(file).and_then(|text| find(&text)) else {
            continue;
        };
        if best.as_ref().is_none_or(|(_, best)| found.score > best.score) {
            best = Some((file.as_str(), found));
        }
    }
    best.map(|(file, found)| found.of(file))
}

/// The program to look for. A shell that runs a text has none, because any program may be meant.
fn command_word(command: &Command) -> &str {
    if shell_text(command).is_some() {
        ""
    } else {
        command.program()
    }
}

fn words_of(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
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
    words.find(|word| *word != "--").map(String::as_str)
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
    let mut paths = Vec::new();
    if shell_text(command).is_none() {
        let given = command.argv.iter().skip(1);
        let given = given.filter(|word| !word.starts_with('-')).take(2);
        paths.extend(given.map(|word| absolute(word)));
    }
    // What cargo compiles and then runs in the folder of its package.
    if command.program().starts_with("build-script-") {
        paths.push(absolute("build.rs"));
    }
    let read = writers.reads(process);
    let read = read.filter(|path| ENDS.iter().any(|end| path.ends_with(end)));
    paths.extend(read.map(str::to_owned));
    let mut seen = HashSet::new();
    let found = paths.iter().filter_map(|path| of_project(writers, sources, path));
    found.filter(|name| seen.insert(name.clone())).collect()
}

/// The file of the project that a path is, or that it is a copy of.
fn of_project(writers: &Writers, sources: Sources<'_>, path: &str) -> Option<String> {
    let known = |path: &str| {
        let name = sources.relative(path)?;
        sources.text(name).is_some().then(|| name.to_owned())
    };
    known(path).or_else(|| {
        let steps = writers.whence(path);
        steps.iter().find_map(|step| known(step.from.as_deref()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line that is named for the last program that ran in a build of these files in `/b`.
    fn named(files: &[(&str, &str)], events: &str, path: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let place = folder.path().join(name);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, text).unwrap();
        }
        let sources = Sources {
            seen: "/b",
            folder: folder.path(),
            script: None,
        };
        let writers = Writers::read(events.as_bytes()).unwrap();
        let last = u32::try_from(writers.count()).unwrap() - 1;
        let chain = writers.chain(Hand {
            process: last,
            at: usize::MAX,
        });
        locate(&writers, sources, &chain, path).map_or("none".to_owned(), |line| line.to_string())
    }

    const M4: &str = r#"{"start":{"p":0}}
{"exec":{"p":0,"argv":["/usr/bin/m4","--reload-state=autoconf.m4f","aclocal.m4","configure.ac"],"cwd":"/b"}}
{"start":{"p":1,"by":0}}
{"exec":{"p":1,"argv":["sh","-c","--","date +%Y"],"cwd":"/b"}}
{"start":{"p":2,"by":1}}
{"exec":{"p":2,"argv":["date","+%Y"],"cwd":"/b"}}
"#;

    #[test]
    fn of_several_scripts_the_one_that_gives_the_command_is_named() {
        let prose = "# Calls install-sh.\n[the date of the last release]\ninstall_sh=\"$dir/install-sh\"\n";
        let call = "AC_INIT\nAC_DEFINE([YEAR], [m4_esyscmd([date +%Y])])\n";
        let files = [("aclocal.m4", prose), ("configure.ac", call)];
        assert_eq!(named(&files, M4, ""), "configure.ac:2");
        // A line that only has the name of the program, or of a shell, is not named at all.
        assert_eq!(named(&files[..1], M4, ""), "none");
    }

    const MAKE: &str = r#"{"start":{"p":0}}
{"exec":{"p":0,"argv":["make"],"cwd":"/b"}}
{"read":{"p":0,"path":"/b/Makefile"}}
{"start":{"p":1,"by":0}}
{"exec":{"p":1,"argv":["/bin/sh","-c","date +%F | tr - /"],"cwd":"/b"}}
{"start":{"p":2,"by":1}}
{"exec":{"p":2,"argv":["date","+%F"],"cwd":"/b"}}
"#;

    #[test]
    fn what_make_runs_while_it_reads_a_makefile_is_named() {
        let text = "# date +%F\nVERSION = 1\nDAY := $(shell date +%F | tr - /)\nall:\n\techo $(DAY)\n";
        assert_eq!(named(&[("Makefile", text)], MAKE, ""), "Makefile:3");
    }

    const COPY: &str = r#"{"start":{"p":0}}
{"exec":{"p":0,"argv":["python3","setup.py","install"],"cwd":"/b"}}
{"read":{"p":0,"path":"/b/setup.py"}}
{"read":{"p":0,"path":"/b/p/make.py"}}
{"open":{"p":0,"path":"/b/build/lib/p/make.py"}}
{"read":{"p":0,"path":"/b/build/lib/p/make.py"}}
{"open":{"p":0,"path":"/b/build/wheel/p/make.py"}}
{"start":{"p":1,"by":0}}
{"exec":{"p":1,"argv":["/usr/bin/python3","-B","make.py"],"cwd":"/b/build/wheel/p"}}
{"open":{"p":1,"path":"/b/build/wheel/p/table.py"}}
"#;

    #[test]
    fn the_line_of_a_script_is_named_if_a_copy_of_it_ran() {
        let setup = "\"\"\" makes a python package \"\"\"\ncheck_call([sys.executable, '-B', 'make.py'])\n";
        let make = "# table.py\nwith open('table.py', 'w') as file: file.write('')\n";
        let files = [("setup.py", setup), ("p/make.py", make)];
        assert_eq!(named(&files, COPY, "/b/build/wheel/p/table.py"), "p/make.py:2");
        // If the script does not name the file, the line that runs the script is named.
        let files = [("setup.py", setup), ("p/make.py", "write()\n")];
        assert_eq!(named(&files, COPY, "/b/build/wheel/p/table.py"), "setup.py:2");
    }
}

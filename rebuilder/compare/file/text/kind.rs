//! The kind of a text file, which tells the meaning of its lines and their order.

use crate::compare::package::FilePath;

/// Properties of a text that follow from its name and its first line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kind {
    /// A program, a configuration, or a program's data: the order of lines matters, and values may be used. Every text
    /// is one unless its name says that people read it.
    pub code: bool,
    /// Elements and scripts in it are read by a program, the text between them by people.
    pub markup: bool,
    /// A shell or `make` reads it, so blanks and line ends may be part of a word.
    pub blanks_matter: bool,
    /// A list of files or names, one on each line.
    pub list: bool,
    /// Commits in it are those of dependencies.
    pub pins: bool,
    /// Trailing blanks break a line.
    pub markdown: bool,
    /// A catalogue of translations: everything except its header is shown to users.
    pub catalogue: bool,
    /// It records how something was built.
    pub record: bool,
}

/// Languages in which blanks at the end of a line have no meaning.
const LANGUAGES: &[&str] = &[
    "asm",
    "awk",
    "bash",
    "bat",
    "bzl",
    "c",
    "c++",
    "cc",
    "cfg",
    "cjs",
    "cl",
    "clj",
    "cljs",
    "cmake",
    "cmd",
    "conf",
    "config",
    "cpp",
    "cr",
    "cs",
    "csh",
    "css",
    "cnf",
    "cron",
    "csv",
    "cu",
    "dat",
    "desktop",
    "env",
    "list",
    "plist",
    "reg",
    "json5",
    "tsv",
    "cxx",
    "d",
    "dart",
    "diff",
    "ebuild",
    "el",
    "elm",
    "erl",
    "ex",
    "exs",
    "f",
    "f90",
    "fish",
    "fs",
    "go",
    "gradle",
    "groovy",
    "h",
    "hcl",
    "hh",
    "hpp",
    "hrl",
    "hs",
    "hxx",
    "inc",
    "ini",
    "ipynb",
    "java",
    "jl",
    "js",
    "json",
    "jsonc",
    "jsx",
    "ksh",
    "kt",
    "kts",
    "less",
    "lisp",
    "lock",
    "lua",
    "m",
    "m4",
    "mak",
    "mf",
    "mjs",
    "mk",
    "ml",
    "mli",
    "mm",
    "mod",
    "mount",
    "nim",
    "nix",
    "nu",
    "pas",
    "patch",
    "path",
    "php",
    "pl",
    "pm",
    "policy",
    "postinst",
    "postrm",
    "preinst",
    "prerm",
    "properties",
    "proto",
    "ps1",
    "psm1",
    "pxd",
    "py",
    "pyi",
    "pyw",
    "pyx",
    "r",
    "rake",
    "rb",
    "repo",
    "rs",
    "rules",
    "s",
    "sass",
    "scala",
    "scm",
    "scss",
    "service",
    "sh",
    "slice",
    "socket",
    "sources",
    "spec",
    "sql",
    "ss",
    "svelte",
    "swift",
    "target",
    "tcl",
    "tf",
    "timer",
    "toml",
    "ts",
    "tsx",
    "v",
    "vala",
    "vb",
    "vbs",
    "vhd",
    "vim",
    "vue",
    "wat",
    "xml",
    "xsl",
    "xslt",
    "yaml",
    "yml",
    "zig",
    "zsh",
];

/// Texts that people read, by ending. Pages of a manual end with their section.
const PROSE: &[&str] = &[
    "adoc", "asciidoc", "changes", "htm", "html", "info", "log", "markdown", "md", "mkd", "nfo", "org", "po",
    "pod", "pot", "qmd", "rdoc", "rmd", "rst", "rtf", "svg", "texi", "texinfo", "text", "textile", "txt",
    "wiki", "xhtml",
];

const MARKUP: &[&str] = &["htm", "html", "svg", "xhtml"];

/// Texts that people read, by the first word of a name without an ending.
const PROSE_NAMES: &[&str] = &[
    "about",
    "announce",
    "authors",
    "bugs",
    "changelog",
    "changes",
    "contributing",
    "contributors",
    "copying",
    "copyright",
    "credits",
    "faq",
    "hacking",
    "history",
    "licence",
    "license",
    "maintainers",
    "metadata",
    "news",
    "notice",
    "pkg",
    "readme",
    "release",
    "releases",
    "thanks",
    "todo",
    "version",
    "wheel",
];

/// What may follow such a name: `README.Debian`, `COPYING.LIB`.
const PROSE_VARIANTS: &[&str] = &[
    "", "apache", "bsd", "debian", "gnu", "gpl", "lesser", "lgpl", "lib", "mit", "mpl", "source",
];

/// Programs and configurations whose ending is that of a text for people.
const CODE_NAMES: &[&str] = &[
    "CMakeLists.txt",
    "constraints.txt",
    "entry_points.txt",
    "robots.txt",
];

/// Programs and configurations without an ending, in lower case.
const PROGRAM_NAMES: &[&str] = &[
    "build",
    "config",
    "configure",
    "containerfile",
    "control",
    "crontab",
    "fstab",
    "gemfile",
    "gnumakefile",
    "hosts",
    "jenkinsfile",
    "justfile",
    "passwd",
    "pipfile",
    "pkgbuild",
    "postinst",
    "postrm",
    "preinst",
    "prerm",
    "procfile",
    "rakefile",
    "rules",
    "sconscript",
    "sconstruct",
    "sudoers",
    "triggers",
    "workspace",
];

const SHELLS: &[&str] = &[
    "sh",
    "bash",
    "ksh",
    "zsh",
    "csh",
    "fish",
    "mk",
    "mak",
    "awk",
    "postinst",
    "postrm",
    "preinst",
    "prerm",
    "diff",
    "patch",
    "ebuild",
    "configure",
];

/// Lists whose readers read each line independently.
const LISTS: &[&str] = &[
    "SOURCES.txt",
    "RECORD",
    "installed-files.txt",
    "top_level.txt",
    "namespace_packages.txt",
    "md5sums",
    "conffiles",
    "package-list",
    "element-list",
    ".packlist",
    "INSTALLED_FILES",
    "dependency_links.txt",
    "native_libs.txt",
];

const LIST_ENDINGS: &[&str] = &["install", "dirs", "docs", "manpages", "examples"];

/// Endings of files that may record a build; a program of such a name is one.
const RECORD_ENDINGS: &[&str] = &[
    "",
    "buildinfo",
    "ini",
    "json",
    "log",
    "properties",
    "text",
    "toml",
    "txt",
    "xml",
    "yaml",
    "yml",
];

/// Parts of the names of files that record a build.
const RECORDS: &[&str] = &[
    "buildinfo",
    "build-info",
    "build_info",
    "build.properties",
    "git.properties",
    "config.log",
    "build.log",
];

/// Suffixes of files that may pin dependencies.
const PINS: &[&str] = &[
    "toml",
    "lock",
    "yml",
    "yaml",
    "json",
    "mod",
    "sum",
    "nix",
    "cfg",
    "gitmodules",
    "json5",
    "jsonc",
    "ini",
    "conf",
    "xml",
    "gradle",
];

impl Kind {
    pub fn of(path: FilePath, released: &[u8], rebuilt: &[u8]) -> Self {
        let name = path.name;
        let ending = name
            .rsplit_once('.')
            .map_or("", |(_, ending)| ending)
            .to_ascii_lowercase();
        let has_shebang = [released, rebuilt].iter().any(|text| text.starts_with(b"#!"));
        let listed = |list: &[&str], item: &str| list.contains(&item);
        let lower = name.to_ascii_lowercase();
        let record = RECORDS.iter().any(|word| lower.contains(word))
            && listed(RECORD_ENDINGS, &ending)
            && !has_shebang;
        let list = listed(LISTS, name)
            || listed(LIST_ENDINGS, &ending) && ![released, rebuilt].into_iter().any(is_script);
        let unit = path.whole.contains("/systemd/") || path.whole.contains("/cron.");
        // Compared alone, a name without an ending tells nothing, unless it is that of a program.
        let lone = ending.is_empty() && !path.whole.contains('/') && !is_program(&lower);
        let prose = is_prose(&lower, &ending) || lone;
        let requirements = lower.starts_with("requirements");
        let code =
            !list && !record && (has_shebang || unit || !prose || requirements || listed(CODE_NAMES, name));
        Self {
            code,
            blanks_matter: has_shebang
                || listed(SHELLS, &ending)
                || listed(SHELLS, name)
                || lower.contains("makefile")
                || code && !prose && !listed(LANGUAGES, &ending),
            list,
            markup: listed(MARKUP, &ending),
            pins: listed(PINS, &ending) || requirements,
            catalogue: matches!(&*ending, "po" | "pot"),
            markdown: matches!(&*ending, "md" | "markdown" | "mkd" | "rmd" | "qmd"),
            record,
        }
    }
}

/// Whether a name without an ending is one that programs and configurations have.
fn is_program(name: &str) -> bool {
    PROGRAM_NAMES.contains(&name) || name.starts_with("makefile") || name.starts_with("dockerfile")
}

/// Whether the name says that people read the text.
fn is_prose(name: &str, ending: &str) -> bool {
    let is_section = |ending: &str| {
        let (section, rest) = ending.split_at_checked(1).unwrap_or_default();
        section.bytes().all(|byte| matches!(byte, b'1'..=b'9'))
            && !section.is_empty()
            && rest.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    let (stem, variant) = name.split_once('.').unwrap_or((name, ""));
    let first = stem.split(['-', '_', ' ']).next().unwrap_or_default();
    PROSE.contains(&ending)
        || name.ends_with("sums")
        || is_section(ending)
        || PROSE_NAMES.contains(&first) && PROSE_VARIANTS.contains(&variant)
}

/// Whether a list of files has lines that only a shell reads: pacman's `.INSTALL` has functions.
fn is_script(text: &[u8]) -> bool {
    text.starts_with(b"#!")
        || text
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .any(|line| line.contains(&b'(') || line.contains(&b';') || line.ends_with(b"{"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_a_first_line_tells_the_kind() {
        let kind = |path, text: &str| Kind::of(FilePath::new(path), text.as_bytes(), text.as_bytes());
        for path in [
            "a/x.py",
            "Makefile",
            "lib/systemd/system/x.service",
            "b.SQL",
            "debian/rules",
            "makefile.gnu",
            "x.gemspec",
            "usr/bin/x",
            "etc/default/x",
            "CMakeLists.txt",
            "readme.sh",
            "version.py",
            "x.so.conf",
        ] {
            assert!(kind(path, "").code, "{path}");
        }
        for path in [
            "README",
            "README.Debian",
            "LICENSE-MIT",
            "x.3pm",
            "x.html",
            "PKG-INFO",
        ] {
            assert!(!kind(path, "").code, "{path}");
        }
        assert!(kind("etc/x", "").blanks_matter && !kind("x.py", "").blanks_matter);
        assert!(kind("bin/x", "#!/bin/sh\n").code && kind("bin/x", "#!/bin/sh\n").blanks_matter);
        assert!(kind("x.egg-info/SOURCES.txt", "").list && !kind("x.install", "#!/bin/sh\n").list);
        assert!(!kind("README.md", "").code && !kind("notes.txt", "").list);
        // pacman runs the functions of this one.
        let functions = "post_install() {\n  a\n  b\n}\n";
        assert!(kind(".INSTALL", functions).code && !kind(".INSTALL", functions).list);
        assert!(kind("buildinfo.py", "").code && !kind("buildinfo.py", "").record);
        assert!(
            kind("META-INF/build-info.properties", "").record
                && !kind("META-INF/build-info.properties", "").code
        );
    }
}

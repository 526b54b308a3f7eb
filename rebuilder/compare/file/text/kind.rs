//! The kind of a text file, which tells the meaning of its lines and their order.

use crate::compare::package::FilePath;

/// Properties of a text that follow from its name and its first line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kind {
    /// A program, a configuration, or a program's data: the order of lines matters, and values may be used.
    pub code: bool,
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

const CODE: &[&str] = &[
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

const CODE_NAMES: &[&str] = &[
    "BUILD",
    "BUILD.bazel",
    "CMakeLists.txt",
    "Cargo.lock",
    "Containerfile",
    "Dockerfile",
    "Gemfile",
    "GNUmakefile",
    "Jenkinsfile",
    "Justfile",
    "Makefile",
    "Makefile.am",
    "Makefile.in",
    "PKGBUILD",
    "Pipfile",
    "Procfile",
    "Rakefile",
    "SConstruct",
    "SConscript",
    "WORKSPACE",
    "config",
    "configure",
    "configure.ac",
    "crontab",
    "control",
    "fstab",
    "hosts",
    "justfile",
    "makefile",
    "meson.build",
    "passwd",
    "postinst",
    "postrm",
    "preinst",
    "prerm",
    "requirements.txt",
    "rules",
    "sudoers",
    "triggers",
    ".gitignore",
    ".gitattributes",
    ".npmrc",
    ".bashrc",
    ".profile",
    ".htaccess",
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
        let record = RECORDS.iter().any(|word| lower.contains(word));
        let list = listed(LISTS, name) || listed(LIST_ENDINGS, &ending) && !has_shebang;
        let unit = path.whole.contains("/systemd/") || path.whole.contains("/cron.");
        let code = !list
            && !record
            && (has_shebang
                || unit
                || listed(CODE, &ending)
                || listed(CODE_NAMES, name)
                || lower.starts_with("makefile")
                || lower.starts_with("dockerfile"));
        Self {
            code,
            blanks_matter: has_shebang
                || listed(SHELLS, &ending)
                || listed(SHELLS, name)
                || lower.contains("makefile"),
            list,
            pins: listed(PINS, &ending) || lower.starts_with("requirements"),
            catalogue: matches!(&*ending, "po" | "pot"),
            markdown: matches!(&*ending, "md" | "markdown" | "mkd" | "rmd" | "qmd"),
            record,
        }
    }
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
        ] {
            assert!(kind(path, "").code, "{path}");
        }
        assert!(kind("bin/x", "#!/bin/sh\n").code && kind("bin/x", "#!/bin/sh\n").blanks_matter);
        assert!(kind("x.egg-info/SOURCES.txt", "").list && !kind("x.install", "#!/bin/sh\n").list);
        assert!(!kind("README.md", "").code && !kind("notes.txt", "").list);
        assert!(
            kind("META-INF/build-info.properties", "").record
                && !kind("META-INF/build-info.properties", "").code
        );
    }
}

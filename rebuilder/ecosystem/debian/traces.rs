//! Versions of build dependencies that released packages reveal.
//!
//! Debhelper and similar tools write the version of a build dependency into some packages: `Depends` on what was
//! installed, `Built-Using`, and a line in maintainer scripts; compilers write theirs into their output. Nothing here
//! is trusted: it leads to a plan, and only the bytes that the plan produces count.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use object::{Object as _, ObjectSection as _};
use serde::{Deserialize, Serialize};

use crate::artifact::Sha256;
use crate::compare;
use crate::deadline::Deadline;
use crate::ecosystem::packaging::field;
use crate::store::{Blob, Store};

/// The package that a version belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Of {
    /// A binary package.
    Binary(String),
    /// A source package, and so all its binary packages.
    Source(String),
}

/// The version of a package that took part in the build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Trace {
    pub of: Of,
    pub version: String,
    /// Whether a build writes this version only if it is installed. A bound in `Depends` may be older.
    pub exact: bool,
    /// Where it was found, for messages.
    pub seen: String,
}

/// Changed if traces are read in another way.
const FORM: u32 = 2;
/// Maximum size of a package whose files are searched; of larger ones, only the control files are.
const PACKAGE: u64 = 16 << 20;
/// Maximum size of a file that is searched.
const FILE: u64 = 16 << 20;
/// Maximum duration of searching one package.
const PATIENCE: Duration = Duration::from_mins(1);
/// The first bytes of ELF files.
const ELF: &[u8; 4] = b"\x7fELF";
/// Fields that name the exact sources of a package's content; the third is for Rust packages.
const BUILT_USING: [&str; 3] = ["Built-Using", "Static-Built-Using", "X-Cargo-Built-Using"];
/// Maximum number of traces of one package: the publisher controls them.
const MOST: usize = 1000;

/// The traces in some released packages.
pub(super) fn read(store: &Store, released: &[Blob]) -> Vec<Trace> {
    let all: BTreeSet<_> = released.iter().flat_map(|blob| kept(store, blob)).collect();
    all.into_iter().collect()
}

/// The names of binary and source packages in some traces.
pub(super) fn names(traces: &[Trace]) -> BTreeSet<&str> {
    let names = traces.iter().map(|trace| match &trace.of {
        Of::Binary(name) | Of::Source(name) => name.as_str(),
    });
    names.collect()
}

/// The traces in a package; each package is read only once.
fn kept(store: &Store, blob: &Blob) -> Vec<Trace> {
    let key = Sha256::of(format!("traces {FORM} {}", blob.sha256));
    let known = store.derived(key);
    if let Some(traces) = known.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return traces;
    }
    let deadline = Deadline::within(PATIENCE);
    let traces = of_package(&blob.path, blob.size, &deadline);
    if deadline.check().is_ok()
        && let Ok(bytes) = serde_json::to_vec(&traces)
    {
        // If the result cannot be kept, the package is read again next time.
        let _ = store.keep_derived(key, &bytes);
    }
    traces
}

/// Searches any file for traces.
pub(super) fn look_into(path: &Path) {
    of_package(path, 0, &Deadline::within(PATIENCE));
}

fn of_package(path: &Path, size: u64, deadline: &Deadline) -> Vec<Trace> {
    let mut found = Reading::default();
    let is_small = size <= PACKAGE;
    let mut take = |path: &str, content: &mut dyn io::Read| {
        let control = path.starts_with("control.tar");
        if !control && path.starts_with("data.tar") && !is_small {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::new();
        let mut content = content.take(FILE);
        content.by_ref().take(4).read_to_end(&mut bytes)?;
        let is_program = bytes == ELF;
        if control || is_program {
            content.read_to_end(&mut bytes)?;
        }
        if control {
            found.control(path, &String::from_utf8_lossy(&bytes));
        } else if is_program {
            found.elf(path, &bytes);
        }
        Ok(())
    };
    // An unreadable package has no traces; the comparison reports what is wrong with it.
    let _ = compare::each_file(path, deadline, &mut take);
    found.traces.into_iter().take(MOST).collect()
}

#[derive(Default)]
struct Reading {
    package: String,
    traces: BTreeSet<Trace>,
}

impl Reading {
    fn control(&mut self, path: &str, text: &str) {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name {
            "control" => self.fields(text),
            "preinst" | "postinst" | "prerm" | "postrm" | "config" => self.script(name, text),
            _ => {}
        }
    }

    fn fields(&mut self, text: &str) {
        field(text, "Package")
            .unwrap_or_default()
            .clone_into(&mut self.package);
        for name in ["Pre-Depends", "Depends", "Recommends"] {
            for (package, relation, version) in relations(field(text, name).unwrap_or_default()) {
                // dh_perl writes the very perl that a module was compiled for; other bounds come from lists of
                // symbols.
                let exact = package == "perl" && version.contains('-');
                if relation == ">=" || relation == "=" {
                    let seen = format!("{name}: {package} ({relation} {version})");
                    self.add(Of::Binary(package.to_owned()), version, exact, &seen);
                }
            }
        }
        for name in BUILT_USING {
            for (package, relation, version) in relations(field(text, name).unwrap_or_default()) {
                if relation == "=" {
                    let seen = format!("{name}: {package} (= {version})");
                    self.add(Of::Source(package.to_owned()), version, true, &seen);
                }
            }
        }
    }

    /// Reads lines such as `# Automatically added by dh_installdeb/13.11.4`.
    fn script(&mut self, name: &str, text: &str) {
        let lines = text.lines().filter_map(|line| {
            let (tool, version) = line.strip_prefix("# Automatically added by ")?.split_once('/')?;
            let own = ["dh_install", "dh_makeshlibs", "dh_ucf"];
            own.iter()
                .any(|prefix| tool.starts_with(prefix))
                .then_some((tool, version))
        });
        for (tool, version) in lines {
            if version.parse::<debversion::Version>().is_ok() {
                let seen = format!("{name}: {tool}/{version}");
                self.add(Of::Source("debhelper".into()), version, true, &seen);
            }
        }
    }

    /// Reads `GCC: (Debian 12.2.0-14+deb12u1) 12.2.0`, which `strip` leaves in kernel modules and a few others.
    fn elf(&mut self, path: &str, bytes: &[u8]) {
        let Ok(file) = object::File::parse(bytes) else {
            return;
        };
        let section = file.section_by_name(".comment");
        let data = section
            .and_then(|section| section.data().ok())
            .unwrap_or_default();
        let compilers: BTreeSet<_> = data.split(|byte| *byte == 0).filter_map(gcc).collect();
        // A file linked from the objects of several compilers does not tell which one compiled this package.
        let [one] = &compilers.into_iter().collect::<Vec<_>>()[..] else {
            return;
        };
        let (source, version) = one;
        let name = path.strip_prefix("data.tar").unwrap_or(path);
        let seen = format!("compiler of {}", name.trim_start_matches(['!', '/', '.']));
        // The C library's start files have this section too: in a program in another language, it comes from them.
        self.add(Of::Source(source.clone()), version, false, &seen);
    }

    fn add(&mut self, of: Of, version: &str, exact: bool, seen: &str) {
        let seen = format!("{seen} in {}", self.package);
        let version = version.to_owned();
        self.traces.insert(Trace {
            of,
            version,
            exact,
            seen,
        });
    }
}

/// Source package and version of a Debian GCC with this comment.
fn gcc(comment: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(comment).ok()?;
    let (version, _) = text.strip_prefix("GCC: (Debian ")?.split_once(')')?;
    let (major, _) = version.split_once('.')?;
    let is_number = !major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit());
    let is_version = version.parse::<debversion::Version>().is_ok();
    (is_number && is_version).then(|| (format!("gcc-{major}"), version.to_owned()))
}

/// Each `NAME[:ARCH] (RELATION VERSION)` of a field, including alternatives.
fn relations(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    text.split([',', '|']).filter_map(|relation| {
        let (name, rest) = relation.trim().split_once('(')?;
        let name = name.trim().split(':').next().unwrap_or_default();
        let (relation, version) = rest.split_once(')')?.0.trim().split_once(' ')?;
        let version = version.trim();
        let is_version = version.parse::<debversion::Version>().is_ok();
        (!name.is_empty() && is_version).then_some((name, relation, version))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(reading: Reading) -> Vec<String> {
        let lines = reading.traces.into_iter().map(|trace| {
            let of = match &trace.of {
                Of::Binary(name) => format!("binary {name}"),
                Of::Source(name) => format!("source {name}"),
            };
            let sure = if trace.exact { "exact" } else { "bound" };
            format!("{of} {} {sure}", trace.version)
        });
        lines.collect()
    }

    #[test]
    fn each_field_says_what_it_can() {
        let mut reading = Reading::default();
        reading.control(
            "control.tar/./control",
            "Package: libjson-xs-perl\nVersion: 4.040-1\n\
             Depends: perl (>= 5.36.0-7+deb12u3), perlapi-5.36.0, libc6 (>= 2.14), libfoo:any (= 1:2-3) | bar (<< 2)\n\
             Built-Using: gcc-12 (= 12.2.0-14), odd (>= 1)\n\
             Static-Built-Using: rustc (= 1.63.0+dfsg1-2)\n\
             X-Cargo-Built-Using: rust-libc (= 0.2.139-1)\n",
        );
        assert_eq!(
            seen(reading),
            [
                "binary libc6 2.14 bound",
                "binary libfoo 1:2-3 bound",
                "binary perl 5.36.0-7+deb12u3 exact",
                "source gcc-12 12.2.0-14 exact",
                "source rust-libc 0.2.139-1 exact",
                "source rustc 1.63.0+dfsg1-2 exact",
            ]
        );
    }

    #[test]
    fn scripts_name_the_debhelper_that_wrote_into_them() {
        let mut reading = Reading::default();
        reading.control(
            "control.tar/./postinst",
            "#!/bin/sh\nset -e\n# Automatically added by dh_installsystemd/13.11.4\n# End automatically added section\n\
             # Automatically added by dh_python3\n# Automatically added by dh_apache2/2.4.57-2\n\
             # Automatically added by dh_installdeb/no version\n",
        );
        assert_eq!(seen(reading), ["source debhelper 13.11.4 exact"]);
    }

    #[test]
    fn only_compilers_of_debian_are_known_by_their_signature() {
        for (comment, expected) in [
            (
                "GCC: (Debian 12.2.0-14+deb12u1) 12.2.0",
                Some(("gcc-12", "12.2.0-14+deb12u1")),
            ),
            ("GCC: (GNU) 12.2.0", None),
            ("GCC: (Debian x.2) x", None),
            ("Debian clang version 14.0.6", None),
            ("", None),
        ] {
            let found = gcc(comment.as_bytes());
            let found = found
                .as_ref()
                .map(|(source, version)| (source.as_str(), version.as_str()));
            assert_eq!(found, expected, "{comment}");
        }
    }
}

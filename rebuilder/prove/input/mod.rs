//! Which kind of project a folder contains, and how to build it: detected, or set in its `rebuilder.toml`.
//!
//! `KINDS` is the table: a file that marks the kind, the built-in recipe whose container, dependencies and setup it
//! takes, how it is built, and what comes out. Whatever `rebuilder.toml` says comes before the table.

mod debian;
mod missing;
mod settings;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::plan::{Dependencies, Recipe};
use crate::prove::ProveError;

pub(super) use missing::packages as missing_packages;
#[doc(hidden)]
pub use settings::READERS;
pub use settings::{SETTINGS, Settings, template};

/// A kind of project.
pub(super) struct Kind {
    /// The name in `rebuilder.toml` and in reports.
    pub name: &'static str,
    /// Files of which one must be at the top of the folder.
    marks: &'static [&'static str],
    /// The built-in recipe with the container, dependencies, setup and environment.
    recipe: &'static str,
    /// How it is built, as shell text for `sh -eu` in the source folder.
    build: &'static str,
    /// Its outputs: patterns below the source folder. If there are none, what `make install` installs.
    outputs: &'static [&'static str],
    /// Folders of the root that the build writes to.
    owns: &'static [&'static str],
    /// Packages of the container's archive that it needs.
    packages: &'static [&'static str],
}

/// Every kind, the surest marks first.
static KINDS: &[Kind] = &[
    Kind {
        name: "debian",
        marks: &["debian/control"],
        recipe: "debian",
        build: debian::BUILD,
        outputs: &["../*.deb", "../*.udeb"],
        owns: &[],
        packages: &[],
    },
    Kind {
        name: "cargo",
        marks: &["Cargo.toml"],
        recipe: "rust-cargo",
        build: "cargo build --release --locked --offline\n",
        outputs: &["target/release/*"],
        owns: &["/opt/cargo"],
        packages: &[],
    },
    Kind {
        name: "go",
        marks: &["go.mod"],
        recipe: "go",
        build: "go build -o \"$SOURCE/$FOLDER/.built/\" ./...\n",
        outputs: &[".built/*"],
        owns: &[],
        packages: &[],
    },
    Kind {
        name: "python",
        marks: &["pyproject.toml", "setup.py"],
        recipe: "python-wheel",
        build: "/usr/bin/python3 -m pip --python /build/venv/bin/python wheel --quiet --disable-pip-version-check \\\n  \
                --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir .built .\n",
        outputs: &[".built/*"],
        owns: &[],
        packages: &[],
    },
    Kind {
        name: "npm",
        marks: &["package.json"],
        recipe: "npm",
        build: "npm pack\n",
        outputs: &["*.tgz"],
        owns: &["/opt/cache"],
        packages: &[],
    },
    Kind {
        name: "meson",
        marks: &["meson.build"],
        recipe: "c-make",
        build: "meson setup --prefix=/usr .built\nninja -C .built\nDESTDIR=\"$INSTALLED\" ninja -C .built install\n",
        outputs: &[],
        owns: &[],
        packages: &["meson", "ninja-build"],
    },
    Kind {
        name: "cmake",
        marks: &["CMakeLists.txt"],
        recipe: "c-make",
        build: "cmake -S . -B .built -DCMAKE_INSTALL_PREFIX=/usr\ncmake --build .built\n\
                umask 022\nDESTDIR=\"$INSTALLED\" cmake --install .built\n",
        outputs: &[],
        owns: &[],
        packages: &["cmake"],
    },
    Kind {
        name: "autotools",
        marks: &["configure"],
        recipe: "c-make",
        build: "./configure --prefix=/usr\nmake\nmake install DESTDIR=\"$INSTALLED\"\n",
        outputs: &[],
        owns: &[],
        packages: &[],
    },
    Kind {
        name: "autoreconf",
        marks: &["configure.ac"],
        recipe: "c-make",
        build: "autoreconf -fi\n./configure --prefix=/usr\nmake\nmake install DESTDIR=\"$INSTALLED\"\n",
        outputs: &[],
        owns: &[],
        packages: &["autoconf", "automake", "libtool"],
    },
    Kind {
        name: "make",
        marks: &["GNUmakefile", "Makefile", "makefile"],
        recipe: "c-make",
        build: "make\nif grep -q '^install[ :]' GNUmakefile Makefile makefile 2>/dev/null; then\n  \
                make install DESTDIR=\"$INSTALLED\" PREFIX=/usr prefix=/usr\nfi\n",
        outputs: &[],
        owns: &[],
        packages: &[],
    },
];

/// How a project is built.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its name, which can be the name of a folder.
    pub name: String,
    /// Its kind, or what says how it is built.
    pub kind: String,
    /// What gives container, setup and environment.
    pub recipe: Recipe,
    /// How it is built.
    pub build: String,
    /// Patterns of its outputs, below the source folder; none for what is installed and, without that, all that is new.
    pub outputs: Vec<String>,
    /// Whether the project itself named these patterns.
    pub names_outputs: bool,
    /// Folders of the root that the build writes to.
    pub owns: Vec<String>,
    /// Additional packages of the container's archive that it needs.
    pub packages: Vec<String>,
    /// Those of them that were added because the build needs files in them.
    pub provided: Vec<String>,
    /// Variables that its settings name.
    pub env: BTreeMap<String, String>,
}

impl Project {
    /// Looks at a folder.
    pub fn find(folder: &Path) -> Result<Self, ProveError> {
        let name = name_of(folder)?;
        let settings = Settings::read(folder)?;
        let wanted = settings.kind.as_deref();
        let kind = match wanted {
            Some(wanted) => Some(KINDS.iter().find(|kind| kind.name == wanted).ok_or_else(|| {
                ProveError::UnknownKind {
                    kind: wanted.to_owned(),
                    known: names().join(", "),
                }
            })?),
            None => KINDS
                .iter()
                .find(|kind| kind.marks.iter().any(|mark| folder.join(mark).is_file())),
        };
        let (kind, said) = match (kind, &settings.build) {
            (Some(kind), _) => (kind, kind.name),
            // Whoever says how it is built needs no kind; a compiler and make are what most steps need.
            (None, Some(_)) => (by_name("make"), SETTINGS),
            (None, None) => {
                return Err(ProveError::NoRecipe {
                    folder: folder.display().to_string(),
                });
            }
        };
        let mut recipe = Recipe::built_in(kind.recipe)?;
        if let Some(container) = &settings.container {
            recipe.container.clone_from(container);
        }
        if let Some(image) = &settings.image {
            recipe.image = Some(image.clone());
        }
        if settings.build.is_some() && wanted.is_none() && said == SETTINGS {
            recipe.dependencies = Dependencies::None;
        }
        if let Some(dependencies) = settings.dependencies {
            recipe.dependencies = dependencies;
        }
        let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Ok(Self {
            name,
            kind: said.to_owned(),
            recipe,
            build: settings.build.clone().unwrap_or_else(|| kind.build.to_owned()),
            names_outputs: settings.outputs.is_some(),
            outputs: match &settings.outputs {
                Some(outputs) => outputs.clone(),
                None if settings.build.is_some() => Vec::new(),
                None => strings(kind.outputs),
            },
            owns: strings(kind.owns),
            packages: strings(kind.packages)
                .into_iter()
                .chain(settings.packages.clone())
                .collect(),
            provided: Vec::new(),
            env: settings.env,
        })
    }

    /// The same project with a change: built as its own settings say, in what was made for the one without.
    pub(super) fn changed(&self, folder: &Path) -> Result<Self, ProveError> {
        let other = Self::find(folder)?;
        Ok(Self {
            build: other.build,
            outputs: other.outputs,
            names_outputs: other.names_outputs,
            env: other.env,
            ..self.clone()
        })
    }

    /// Adds packages that the build asked for; whether there are any that it did not have.
    pub(super) fn provide(&mut self, packages: &[String]) -> bool {
        let new: Vec<_> = packages
            .iter()
            .filter(|name| !self.packages.contains(*name))
            .cloned()
            .collect();
        self.packages.extend(new.iter().cloned());
        self.provided.extend(new.iter().cloned());
        !new.is_empty()
    }

    /// Whether its own settings have the text of the script that builds it.
    pub(super) fn says_how(folder: &Path) -> bool {
        Settings::read(folder).is_ok_and(|settings| settings.build.is_some())
    }

    /// The script that hands the outputs out, for `sh -eu` in the source folder.
    pub(super) fn hand_out(&self) -> String {
        hand_out(&self.outputs, self.names_outputs)
    }
}

fn by_name(name: &str) -> &'static Kind {
    let found = KINDS.iter().find(|kind| kind.name == name);
    found.unwrap_or(&KINDS[0])
}

/// Names of the kinds.
pub fn names() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name).collect()
}

/// The name of a folder, with nothing in it that a shell, a path or a package URL takes for something else.
fn name_of(folder: &Path) -> Result<String, ProveError> {
    let error = |source| ProveError::Folder {
        path: folder.display().to_string(),
        source,
    };
    let whole = fs::canonicalize(folder).map_err(error)?;
    if !whole.is_dir() {
        return Err(error(std::io::ErrorKind::NotADirectory.into()));
    }
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._+-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let name = name.trim_matches(['.', '-']);
    Ok(if name.is_empty() {
        "project".to_owned()
    } else {
        name.to_owned()
    })
}

/// Hands one file out, or all that are in a folder. Each has its own name, or else that of its path; two never have one. Where
/// a link leads is handed out as a text.
const TAKE: &str = r#"
take() {
  if [ -d "$1" ] && [ ! -L "$1" ]; then
    find "$1" ! -type d | LC_ALL=C sort > /tmp/prove-inside
    while IFS= read -r inner; do take "$inner"; done < /tmp/prove-inside
    return
  fi
  name=$(basename "$1")
  if [ -L "$1" ]; then name=$name.link; fi
  if [ -e "/out/$name" ]; then name=$(echo "$1" | sed 's,^[./]*,,; s,/,_,g'); fi
  free=$name
  number=2
  while [ -e "/out/$free" ]; do free=$name.$number; number=$((number + 1)); done
  if [ -L "$1" ]; then readlink "$1" > "/out/$free"; else cp -- "$1" "/out/$free"; fi
}
# Lists of dependencies, which compilers and cargo leave beside what they make, are no outputs.
listed() {
  case "$1" in *.d) ;; *) return 1 ;; esac
  for made in "${1%.d}" "${1%.d}.o" "${1%.d}.rlib" "${1%.d}.so" "${1%.d}.a"; do
    if [ -f "$made" ]; then return 0; fi
  done
  return 1
}
"#;

/// What was installed as one archive, or else all files that the build made or changed.
const TAKE_ALL: &str = r#"
if [ -d "$INSTALLED" ] && [ -n "$(ls -A "$INSTALLED")" ]; then
  # Times of installed files are those of the build, and mean nothing.
  tar cf /out/installed.tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$INSTALLED" .
else
  tar tf /inputs/prove/source.tar | sed 's,^,./,' | LC_ALL=C sort > /tmp/prove-source
  find . \( -type f -o -type l \) ! -name '*.o' ! -path '*/.git/*' | LC_ALL=C sort > /tmp/prove-found
  LC_ALL=C comm -13 /tmp/prove-source /tmp/prove-found > /tmp/prove-new
  LC_ALL=C tar df /inputs/prove/source.tar 2>/dev/null | sed -n 's,: \(Contents differ\|Size differs\|Symlink differs\)$,,p' |
    LC_ALL=C sort -u | sed 's,^,./,' > /tmp/prove-changed
  cat /tmp/prove-new /tmp/prove-changed > /tmp/prove-all
  while IFS= read -r file; do
    if ! listed "$file"; then take "$file"; fi
  done < /tmp/prove-all
fi
"#;

/// What fits each pattern. The project's own patterns name folders too, and one that nothing fits is an error; those of its kind
/// are for files, and for some projects only.
const TAKE_FITTING: &str = r#"
  set +f
  fits=
  if [ -z "$named" ]; then fits=1; fi
  for file in $pattern; do
    if [ ! -e "$file" ] && [ ! -L "$file" ]; then continue; fi
    if [ -z "$named" ] && [ -d "$file" ]; then continue; fi
    fits=1
    if ! listed "$file"; then take "$file"; fi
  done
  set -f
  if [ -z "$fits" ]; then
    echo "no file matches the output $pattern"
    exit 1
  fi
done
"#;

/// The script for what fits the patterns, or without patterns for all that was made.
fn hand_out(patterns: &[String], named: bool) -> String {
    if patterns.is_empty() {
        return format!("{TAKE}{TAKE_ALL}");
    }
    let patterns: Vec<_> = patterns
        .iter()
        .map(|pattern| crate::plan::quote(pattern))
        .collect();
    let named = if named { "1" } else { "" };
    let patterns = patterns.join(" ");
    format!("{TAKE}named={named}\nset -f\nfor pattern in {patterns}; do{TAKE_FITTING}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_recipe_and_a_name_of_its_own() {
        let mut known = names();
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len(), KINDS.len());
        for kind in KINDS {
            Recipe::built_in(kind.recipe).unwrap();
        }
    }

    #[test]
    fn a_folder_is_known_by_its_marks_and_its_own_settings_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("my project");
        fs::create_dir(&project).unwrap();
        let error = Project::find(&project).unwrap_err();
        assert!(matches!(error, ProveError::NoRecipe { .. }));
        fs::write(project.join("Makefile"), "all:\n").unwrap();
        let found = Project::find(&project).unwrap();
        assert_eq!((found.kind.as_str(), found.name.as_str()), ("make", "my-project"));
        fs::write(project.join("Cargo.toml"), "").unwrap();
        assert_eq!(Project::find(&project).unwrap().kind, "cargo");
        fs::write(
            project.join(SETTINGS),
            "kind = \"make\"\noutputs = [\"x\"]\n[env]\nCC = \"gcc\"\n",
        )
        .unwrap();
        let found = Project::find(&project).unwrap();
        assert_eq!(
            (found.kind.as_str(), &found.outputs[..]),
            ("make", &["x".to_owned()][..])
        );
        assert_eq!(found.env["CC"], "gcc");
        for bad in ["kind = \"nothing\"\n", "kinds = \"make\"\n"] {
            fs::write(project.join(SETTINGS), bad).unwrap();
            Project::find(&project).unwrap_err();
        }
    }

    #[test]
    fn nothing_that_a_build_makes_is_left_out_in_silence() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        let tree = place.join("tree");
        for inner in ["a", "b", "folder"] {
            fs::create_dir_all(tree.join(inner)).unwrap();
        }
        fs::write(tree.join("tracked"), "as released").unwrap();
        let status = std::process::Command::new("tar")
            .args(["cf", "../source.tar", "tracked"])
            .current_dir(&tree)
            .status();
        assert!(status.unwrap().success());
        for (name, text) in [
            ("tracked", "changed"),
            ("a/x", "1"),
            ("b/x", "2"),
            ("b_x", "3"),
            ("dates.d", "4"),
            ("unit.o", "5"),
            ("unit.d", "6"),
            ("program", "8"),
            ("program.d", "9"),
            ("folder/in it", "7"),
        ] {
            fs::write(tree.join(name), text).unwrap();
        }
        symlink("elsewhere", tree.join("link")).unwrap();
        let handed = |patterns: &[&str], named: bool| {
            let out = place.join("out");
            let _ = fs::remove_dir_all(&out);
            fs::create_dir(&out).unwrap();
            let patterns: Vec<_> = patterns.iter().map(|text| (*text).to_owned()).collect();
            let script = hand_out(&patterns, named)
                .replace("\"/out/", &format!("\"{}/", out.display()))
                .replace(
                    "/inputs/prove/source.tar",
                    &place.join("source.tar").display().to_string(),
                )
                .replace("/tmp/prove-", &format!("{}/", place.display()));
            let mut shell = std::process::Command::new("sh");
            shell
                .args(["-eu", "-c", &script])
                .current_dir(&tree)
                .env("INSTALLED", place.join("none"));
            let ended = shell.output().unwrap();
            let mut found: Vec<_> = fs::read_dir(&out)
                .unwrap()
                .map(|entry| entry.unwrap())
                .map(|entry| {
                    let text = fs::read_to_string(entry.path()).unwrap();
                    format!("{}={}", entry.file_name().to_string_lossy(), text.trim_end())
                })
                .collect();
            found.sort();
            (ended.status.success(), found.join(" "))
        };
        let three = "b_x.2=3 b_x=2";
        for (patterns, named, succeeds, found) in [
            (
                &[][..],
                false,
                true,
                &*format!("{three} dates.d=4 in it=7 link.link=elsewhere program=8 tracked=changed x=1"),
            ),
            (&["a/x", "b/x", "b_x"], true, true, &format!("{three} x=1")),
            (&["folder", "link"], true, true, "in it=7 link.link=elsewhere"),
            (&["a/x", "none*"], true, false, "x=1"),
            (
                &["a/*", "*", "none*"],
                false,
                true,
                "b_x=3 dates.d=4 link.link=elsewhere program=8 tracked=changed unit.o=5 x=1",
            ),
        ] {
            assert_eq!(
                handed(patterns, named),
                (succeeds, found.to_owned()),
                "{patterns:?}"
            );
        }
    }
}

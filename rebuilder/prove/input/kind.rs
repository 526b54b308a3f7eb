//! Kinds of projects, in one table: a file that marks the kind, the built-in recipe whose container, dependencies and
//! setup it takes, how it is built, and what comes out.

use std::path::Path;

use super::debian;

/// A kind of project.
pub(super) struct Kind {
    /// The name in `rebuilder.toml` and in reports.
    pub name: &'static str,
    /// Files of which one must be at the top of the folder.
    marks: &'static [&'static str],
    /// The built-in recipe with the container, dependencies, setup and environment.
    pub recipe: &'static str,
    /// How it is built, as shell text for `sh -eu` in the source folder.
    pub build: &'static str,
    /// Its outputs: patterns below the source folder. If there are none, what `make install` installs.
    pub outputs: &'static [&'static str],
    /// Folders of the root that the build writes to.
    pub owns: &'static [&'static str],
    /// Packages of the container's archive that it needs.
    pub packages: &'static [&'static str],
}

impl Kind {
    /// The kind with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// The kind of a folder, by its marks.
    pub fn of_folder(folder: &Path) -> Option<&'static Self> {
        let is_marked = |kind: &&Self| kind.marks.iter().any(|mark| folder.join(mark).is_file());
        KINDS.iter().find(is_marked)
    }

    /// The kind for a project that itself says how it is built: most such builds need a compiler and make.
    pub fn plain() -> &'static Self {
        &MAKE
    }
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
    MAKE,
];

/// Projects with a makefile of their own.
const MAKE: Kind = Kind {
    name: "make",
    marks: &["GNUmakefile", "Makefile", "makefile"],
    recipe: "c-make",
    build: "make\nif grep -q '^install[ :]' GNUmakefile Makefile makefile 2>/dev/null; then\n  \
            make install DESTDIR=\"$INSTALLED\" PREFIX=/usr prefix=/usr\nfi\n",
    outputs: &[],
    owns: &[],
    packages: &[],
};

/// Names of the kinds.
pub fn names() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Recipe;

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
}

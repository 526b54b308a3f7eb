//! The version of Python that wrote a file, by its magic number (`Lib/importlib/_bootstrap_external.py`), and its
//! format.

/// A line of releases with the same layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    /// The first and the last magic number, including alphas.
    magics: (u16, u16),
    name: &'static str,
    /// Length of the header, in bytes.
    pub header: usize,
    pub layout: &'static Layout,
}

/// The layout of a code object in `Python/marshal.c` of that version: numbers, values, the first line, more values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub numbers: &'static [&'static str],
    pub before_line: &'static [&'static str],
    pub after_line: &'static [&'static str],
    /// Whether the top bit of a type byte means that the value may be referred to later.
    pub flagged: bool,
}

impl Layout {
    /// The names of all values of a code object, in stored order.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.before_line.iter().chain(self.after_line).copied()
    }
}

const CODE: &[&str] = &[
    "instructions",
    "constants",
    "names",
    "variables",
    "free variables",
    "cell variables",
    "file name",
    "name",
];
const LINES: &[&str] = &["line numbers"];

static PYTHON_2: Layout = Layout {
    numbers: &[
        "number of arguments",
        "number of variables",
        "size of the stack",
        "flags",
    ],
    before_line: CODE,
    after_line: LINES,
    flagged: false,
};

static PYTHON_3_4: Layout = Layout {
    numbers: &[
        "number of arguments",
        "number of keyword-only arguments",
        "number of variables",
        "size of the stack",
        "flags",
    ],
    before_line: CODE,
    after_line: LINES,
    flagged: true,
};

static PYTHON_3_8: Layout = Layout {
    numbers: &[
        "number of arguments",
        "number of positional-only arguments",
        "number of keyword-only arguments",
        "number of variables",
        "size of the stack",
        "flags",
    ],
    before_line: CODE,
    after_line: LINES,
    flagged: true,
};

static PYTHON_3_11: Layout = Layout {
    numbers: &[
        "number of arguments",
        "number of positional-only arguments",
        "number of keyword-only arguments",
        "size of the stack",
        "flags",
    ],
    before_line: &[
        "instructions",
        "constants",
        "names",
        "variables",
        "kinds of variables",
        "file name",
        "name",
        "qualified name",
    ],
    after_line: &["line numbers", "exception table"],
    flagged: true,
};

const fn version(magics: (u16, u16), name: &'static str, header: usize, layout: &'static Layout) -> Version {
    Version {
        magics,
        name,
        header,
        layout,
    }
}

static VERSIONS: &[Version] = &[
    version((62171, 62211), "2.7", 8, &PYTHON_2),
    version((3250, 3310), "3.4", 12, &PYTHON_3_4),
    version((3320, 3351), "3.5", 12, &PYTHON_3_4),
    version((3360, 3379), "3.6", 12, &PYTHON_3_4),
    version((3390, 3394), "3.7", 16, &PYTHON_3_4),
    version((3400, 3413), "3.8", 16, &PYTHON_3_8),
    version((3420, 3425), "3.9", 16, &PYTHON_3_8),
    version((3430, 3439), "3.10", 16, &PYTHON_3_8),
    version((3450, 3495), "3.11", 16, &PYTHON_3_11),
    version((3500, 3531), "3.12", 16, &PYTHON_3_11),
    version((3550, 3571), "3.13", 16, &PYTHON_3_11),
    version((3600, 3627), "3.14", 16, &PYTHON_3_11),
];

/// The version that writes this magic number, if it is known here.
pub(super) fn of(magic: u16) -> Option<Version> {
    VERSIONS
        .iter()
        .copied()
        .find(|version| (version.magics.0..=version.magics.1).contains(&magic))
}

/// A description of the version.
pub(super) fn told(magic: u16) -> String {
    match of(magic) {
        Some(version) => format!("Python {} (magic {magic})", version.name),
        None => format!("Python of an unknown version (magic {magic})"),
    }
}

//! Values that no input pins, and their origin.

use serde::{Deserialize, Serialize};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The document named here declares it.
    Declared(String),
    /// No document declares it; it was inferred from what is named here.
    Inferred(String),
    /// No document declares it; it is what this tool or the distribution usually does.
    Convention(String),
    /// No document declares it; it was tried because an earlier plan did not reproduce the release, for the reason
    /// named here.
    Tried(String),
}

/// A value that affects the outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assumption {
    /// What it is, such as `SOURCE_DATE_EPOCH`.
    pub what: String,
    /// Its value, shortened if long.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// The part of a build that a value decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// The inputs and the tools: source, tools, packages, options, steps.
    Inputs,
    /// The time and the place of the build, as the build sees them.
    Circumstances,
    /// Which permissions files have before the build and get from it.
    Modes,
}

impl Assumption {
    /// Whether a document or the user declares it; anything else is this tool's guess.
    pub fn is_declared(&self) -> bool {
        matches!(self.origin, Origin::Declared(_))
    }

    /// What it decides. An unknown value may decide anything.
    pub fn aspect(&self) -> Aspect {
        match self.what.as_str() {
            "SOURCE_DATE_EPOCH" | "clock" | "build path" => Aspect::Circumstances,
            "umask" | "file modes" => Aspect::Modes,
            _ => Aspect::Inputs,
        }
    }
}

/// An assumption, in one line.
pub(crate) fn assume(what: &str, value: impl Into<String>, origin: Origin) -> Assumption {
    Assumption {
        what: what.into(),
        value: value.into(),
        origin,
    }
}

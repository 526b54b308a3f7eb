//! Remedies, one file for each class, one line in the table.

mod archiver;
mod build_folder;
mod build_id;
mod cargo_paths;
mod date_command;
mod fixed_layout;
mod gzip_header;
mod hash_order;
mod locale;
mod machine;
mod other_clocks;
mod parallel_order;
mod prefix_map;
mod preprocessor_date;
mod python_time;
mod random;
mod shell_dialect;
mod sorted_listing;
mod tar_metadata;
mod umask;
mod zip_metadata;

use super::edit::{Kind, Rule, rewritten};
use crate::compare::Cause;
use crate::prove::Knob;

/// A known way to make a build independent of something.
#[derive(Debug, Clone, Copy)]
pub struct Remedy {
    /// Name in reports.
    pub name: &'static str,
    /// What it does, in words: an imperative.
    pub title: &'static str,
    /// Knobs that it makes harmless; empty for plain randomness.
    pub knobs: &'static [Knob],
    /// Causes that it is for.
    pub causes: &'static [Cause],
    /// Replacements in lines.
    pub rules: &'static [Rule],
    /// A change of a whole file, made after those; `None` if there is nothing to change.
    pub whole: Option<fn(Kind, &str) -> Option<String>>,
}

/// All remedies. If several fit equally well, the first is tried first.
pub const ALL: &[Remedy] = &[
    gzip_header::REMEDY,
    tar_metadata::REMEDY,
    zip_metadata::REMEDY,
    archiver::REMEDY,
    date_command::REMEDY,
    python_time::REMEDY,
    other_clocks::REMEDY,
    preprocessor_date::REMEDY,
    sorted_listing::REMEDY,
    hash_order::SORTED,
    hash_order::SEED,
    locale::SORT,
    locale::EXPORT,
    prefix_map::REMEDY,
    cargo_paths::REMEDY,
    build_folder::REMEDY,
    machine::REMEDY,
    shell_dialect::REMEDY,
    umask::INSTALL,
    umask::MASK,
    parallel_order::REMEDY,
    random::REMEDY,
    fixed_layout::REMEDY,
    build_id::REMEDY,
];

impl Remedy {
    /// A file with the remedy, in the lines `only` (numbers from 1) or all; `None` if it changes nothing there.
    pub fn apply(&self, kind: Kind, text: &str, only: Option<&[usize]>) -> Option<String> {
        let lines = rewritten(self.rules, kind, text, only);
        // A change of the whole file belongs to those lines, or stands for itself.
        let whole = match (self.whole, only) {
            (Some(whole), _) if lines.is_some() || only.is_none() => {
                whole(kind, lines.as_deref().unwrap_or(text))
            }
            _ => None,
        };
        whole.or(lines)
    }
}

//! The version of the lock file format that cargo writes into a crate whose source has no lock file.
//!
//! Cargo chooses the version by the workspace's `rust-version`, but keeps that of an existing lock file, and many
//! publishers have one that git ignores. See `ResolveVersion` in cargo's `core/resolver/resolve.rs`.

use super::package::Package;
use crate::ecosystem::{PlanError, Planner};
use crate::plan::{Assumption, Origin, assume};

/// The name under which a hint gives the form.
pub(super) const TOOL: &str = "Cargo.lock";
/// The versions of the format, as `version` in a lock file names them; files of the first two have no such line.
pub(super) const FORMS: [&str; 4] = ["1", "2", "3", "4"];

/// A version of the format that cargo would not choose by default.
#[derive(Clone)]
pub(super) struct LockForm {
    pub name: &'static str,
    origin: Origin,
}

/// The format version of a lock file.
pub(super) fn of(lock: &str) -> &'static str {
    let mut lines = lock.lines();
    if let Some(version) = lines.find_map(|line| line.strip_prefix("version = "))
        && let Some(form) = FORMS.iter().find(|form| **form == version)
    {
        return form;
    }
    let has_checksums = lock.lines().any(|line| line.starts_with("checksum = "));
    if has_checksums { "2" } else { "1" }
}

/// The format version that cargo chooses for a `rust-version` since Rust 1.83; earlier releases choose as for none.
fn usual(package: &Package) -> &'static str {
    let minor = package.rust_version.as_deref().and_then(|version| {
        let mut parts = version.split('.').map(|part| part.parse::<i64>().ok());
        let (major, minor) = (parts.next()??, parts.next().flatten().unwrap_or(0));
        (major == 1).then_some(minor)
    });
    match minor {
        // If the release may be older or newer than 1.83, as for a program, either is possible: 4 is taken.
        None if package.age.last < 83 => "3",
        None | Some(83..) => "4",
        Some(53..) => "3",
        Some(41..) => "2",
        Some(_) => "1",
    }
}

impl LockForm {
    /// The version that a hint names, or that of the released lock file; `None` if cargo chooses it by default.
    pub fn choose(
        planner: &Planner<'_>,
        purl: &str,
        lock: &str,
        package: &Package,
    ) -> Result<Option<Self>, PlanError> {
        if let Some(hint) = planner.hints.tools.get(TOOL) {
            let known = FORMS.iter().find(|form| **form == hint.value);
            let origin = hint.origin.clone();
            return match known {
                Some(name) => Ok(Some(Self { name, origin })),
                // The default of cargo.
                None if hint.value == "none" => Ok(None),
                None => Err(PlanError::NotRebuildable {
                    subject: purl.to_owned(),
                    reason: format!("{:?} is not a form of Cargo.lock", hint.value),
                    help: "use 1, 2, 3 or 4, or \"none\" for cargo's own choice".into(),
                }),
            };
        }
        let name = of(lock);
        let from =
            "the Cargo.lock of the released crate, which has another form than cargo gives it by itself";
        let origin = Origin::Inferred(from.into());
        Ok((name != usual(package)).then_some(Self { name, origin }))
    }

    pub fn assumption(self) -> Assumption {
        let value = format!("{}, as in a lock file that git ignores", self.name);
        assume("form of Cargo.lock", value, self.origin)
    }
}

//! Who would have to mend a failure, and when it is worth another try.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::FailureCode;

/// Where the reason of a failure lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The network, a registry or this machine: it passes, and says nothing about the package.
    Infrastructure,
    /// Something that the rebuild needs is not offered: it may be offered again, or on another mirror.
    Inputs,
    /// The build, or what this tool knows of it: the same build would fail in the same way.
    Build,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Infrastructure, Self::Inputs, Self::Build];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Infrastructure => "infrastructure",
            Self::Inputs => "inputs",
            Self::Build => "build",
        }
    }

    /// The wait before the second try, and the longest one. It doubles with each try.
    fn waits(self) -> Option<(Duration, Duration)> {
        match self {
            Self::Infrastructure => Some((MINUTE, HOUR.saturating_mul(6))),
            Self::Inputs => Some((HOUR.saturating_mul(6), HOUR.saturating_mul(7 * 24))),
            Self::Build => None,
        }
    }

    /// How long to wait after `tries` failures in a row; `None` if another try would end in the same way.
    pub fn again_after(self, tries: u32) -> Option<Duration> {
        let (first, longest) = self.waits()?;
        let factor = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
        Some(first.saturating_mul(factor).min(longest))
    }
}

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

impl FailureCode {
    /// Where the reason lies.
    pub const fn fault(self) -> Fault {
        match self {
            Self::Unreachable | Self::SandboxFailed | Self::DiskFull | Self::OutOfMemory | Self::TimedOut => {
                Fault::Infrastructure
            }
            // A registry may list a release later than it announces it, and a mirror may come back whole.
            Self::UnknownPackage | Self::SourceGone | Self::DependencyGone | Self::UnreadableDocument => {
                Fault::Inputs
            }
            Self::SourceUnknown
            | Self::SourceIncomplete
            | Self::UnsupportedPackage
            | Self::UnsupportedPython
            | Self::UnsupportedNode
            | Self::UnsupportedRust
            | Self::UnknownBackend
            | Self::DependencyConflict
            | Self::MissingTool
            | Self::NeedsNetwork
            | Self::TestsFailed
            | Self::SetupFailed
            | Self::BuildFailed => Fault::Build,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_builds_are_not_tried_again() {
        let minutes = |fault: Fault, tries| fault.again_after(tries).map(|wait| wait.as_secs() / 60);
        for (fault, tries, expected) in [
            (Fault::Infrastructure, 1, Some(1)),
            (Fault::Infrastructure, 2, Some(2)),
            (Fault::Infrastructure, 5, Some(16)),
            (Fault::Infrastructure, 10, Some(360)),
            (Fault::Infrastructure, u32::MAX, Some(360)),
            (Fault::Inputs, 1, Some(360)),
            (Fault::Inputs, 3, Some(24 * 60)),
            (Fault::Inputs, 40, Some(7 * 24 * 60)),
            (Fault::Build, 1, None),
        ] {
            assert_eq!(minutes(fault, tries), expected, "{fault:?} after {tries}");
        }
    }

    /// The page tells which failures are tried again.
    #[test]
    fn the_page_has_the_fault_of_every_code() {
        const PAGE: &str = include_str!("../../../docs/audits.md");
        for code in FailureCode::ALL {
            let about = code.about();
            let row = PAGE
                .lines()
                .find(|line| line.contains(&format!("`{}`", about.name)));
            let row = row.unwrap_or_else(|| panic!("docs/audits.md lacks {}", about.name));
            assert!(row.starts_with(&format!("| {} |", code.fault().word())), "{row}");
        }
    }
}

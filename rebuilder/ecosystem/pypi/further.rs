//! Files that a wheel has although its source lacks them, and the commit that they are taken from.
//!
//! Many publishers build in the folder in which they work. It holds the files of the commit, and what was made in it: a
//! source distribution has only a part of the first, a commit nothing of the second.

use super::source::{Place, Source};
use crate::plan::{Origin, PinnedGit, assume, places};

/// The files of a commit that a source distribution lacks.
pub(super) struct Further {
    pub pinned: PinnedGit,
    /// Where the package is in the commit.
    pub folder: String,
}

impl Source {
    /// The source distribution, with what it lacks of the commit that `whole` is.
    pub(super) fn completed_from(mut self, whole: Self, origin: &Origin) -> Self {
        let (Place::Sdist(sdist), Place::Git { pinned, folder }) = (&self.place, whole.place) else {
            return self;
        };
        let commit = pinned.source.commit.as_deref().unwrap_or_default();
        let value = format!(
            "{}, and what it lacks of {} at {commit}, folder /{folder}",
            sdist.file.name, pinned.source.repository
        );
        self.assumptions = vec![assume("source", value, origin.clone())];
        self.assumptions.extend(whole.assumptions.into_iter().skip(1));
        self.further = Some(Further {
            pinned: elsewhere(pinned),
            folder,
        });
        self
    }
}

/// The same commit, where it does not stand for the source.
fn elsewhere(pinned: PinnedGit) -> PinnedGit {
    PinnedGit {
        place: places::FURTHER.into(),
        ..pinned
    }
}

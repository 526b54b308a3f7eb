//! Lowers a claim that is about other bytes, or that gives them another name.

use super::names;
use crate::evidence::Standing;
use crate::evidence::assessment::Assessment;
use crate::evidence::statement::Descriptor;

impl Assessment {
    /// Whether the signature is good and nothing has lowered the claim yet.
    pub(super) fn is_verified(&self) -> bool {
        self.claim.standing == Standing::Verified
    }

    /// Gives the claim a worse standing than its signature's; the reason is put first in its meaning.
    pub(super) fn lower(&mut self, standing: Standing, reason: &str) {
        self.claim.standing = standing;
        self.claim.meaning = format!("{reason}; {}", self.claim.meaning);
    }

    /// What is signed contradicts itself: that refutes it if the signature is good, and is told otherwise.
    pub(super) fn contradict(&mut self, reason: &str) {
        let standing = if self.is_verified() {
            Standing::Invalid
        } else {
            self.claim.standing
        };
        self.lower(standing, reason);
    }

    /// Lowers a verified claim that covers only some of the artifacts, or none.
    pub(super) fn cover(&mut self, covered: usize, all: usize) {
        if !self.is_verified() || all == 0 {
            return;
        }
        if covered == 0 {
            self.lower(Standing::SubjectMismatch, "it is about other bytes");
        } else if covered < all {
            let reason = format!("it covers {covered} of {all} artifacts");
            self.lower(Standing::Partial, &reason);
        }
    }

    /// Notes what the evidence calls the artifacts; another name also goes into the meaning, which plans and reports
    /// keep.
    pub(super) fn name<'a>(
        &mut self,
        subjects: impl Iterator<Item = &'a Descriptor>,
        other_name: Option<String>,
    ) {
        self.subjects = names::labels(subjects);
        if let Some(other) = &other_name
            && !self.claim.meaning.contains(other.as_str())
        {
            self.claim.meaning = format!("{other}; {}", self.claim.meaning);
        }
        self.other_name = other_name;
    }
}

//! Crates: what cargo writes into them beside the sources.

use super::{JsonValue, Package};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

pub(super) static CRATE: Package = Package {
    normalisations: &[Normalisation::CargoVcsHash],
    value: commit,
    ..Package::new("crate")
};

fn commit(value: &JsonValue) -> Option<Finding> {
    (value.file == ".cargo_vcs_info.json" && value.pointer == "/git/sha1").then(|| {
        value
            .finding()
            .because(Cause::SourceRevision, Confidence::Proven)
            .keyed("commit of the source")
            .set_aside_by(Normalisation::CargoVcsHash)
    })
}

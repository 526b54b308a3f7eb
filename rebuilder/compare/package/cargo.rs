//! Crates: the files that cargo adds to the sources.

use super::{JsonValue, Located, Package, READ_AND_WRITE};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

pub(super) static CRATE: Package = Package {
    normalisations: &[Normalisation::CargoVcsHash],
    // Only `cargo package` writes these two.
    recognises: |archive| {
        archive.format == "tar"
            && (archive.has_below_top(".cargo_vcs_info.json") || archive.has_below_top("Cargo.toml.orig"))
    },
    ignores_owners: true,
    // cargo applies the umask, and the same user builds what it unpacked.
    ignored_modes: READ_AND_WRITE,
    // cargo decodes the first gzip stream alone.
    first_stream: |member| member.is_none(),
    value: commit,
    ..Package::new("crate")
};

fn commit(located: Located, value: &JsonValue) -> Option<Finding> {
    let (_, file) = located.top()?.split_once('/')?;
    let is_commit =
        |text: &str| matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let are_commits = is_commit(value.released) && is_commit(value.rebuilt);
    (file == ".cargo_vcs_info.json" && value.pointer == "/git/sha1" && are_commits).then(|| {
        value
            .finding()
            .because(Cause::SourceRevision, Confidence::Proven)
            .keyed("commit of the source")
            .set_aside_by(Normalisation::CargoVcsHash)
    })
}

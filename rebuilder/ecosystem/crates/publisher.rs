//! Who published a version, according to crates.io's API.

use super::registry::Version;
use crate::evidence::trusted_publisher::{self, API};
use crate::evidence::{Claim, Question, Standing};
use crate::store::{Blob, FetchError, Fetcher};

/// Maximum number of bytes of the answer about one version.
const LIMIT: u64 = 1 << 20;

/// The claim about the workflow that published a version; also made if the registry does not name one, or cannot be
/// asked.
pub(super) async fn claim(fetcher: &Fetcher, version: &Version, commit: Option<&str>) -> Claim {
    let url = format!("{API}/{}/{}", version.name, version.version);
    let read = |blob: &Blob| {
        let bytes = blob.bytes()?;
        Ok::<_, FetchError>(trusted_publisher::claim(
            &bytes,
            &version.name,
            &version.version,
            version.checksum,
            commit,
        ))
    };
    let asked = fetcher
        .get_unpinned("the publisher of the crate", &[url], LIMIT, read)
        .await;
    match asked {
        Ok((claim, _)) => claim,
        Err(error) => Claim {
            question: Question::Provenance,
            claim: format!(
                "the registry may say who published {} {}",
                version.name, version.version
            ),
            by: Some(API.to_owned()),
            standing: Standing::Unverifiable,
            meaning: format!("it could not be asked: {error}"),
            document: None,
        },
    }
}

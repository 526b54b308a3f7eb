//! Referrers of a manifest in a registry of images. The artifact's digest is that of the manifest.

use super::{Asking, Given, STATEMENT_LIMIT, Silence};
use crate::artifact::PinnedImage;
use crate::text::plural;

pub(super) async fn ask(asking: &Asking<'_>) -> Result<Given, Silence> {
    let name = asking.base.trim_start_matches("docker://");
    let image = format!("{name}@sha256:{}", asking.subject.sha256);
    let image = PinnedImage::parse(&image, None).map_err(|error| Silence::NotAsked(error.to_string()))?;
    // The registry is the user's choice, as the policy names it.
    let host = image.repository.split('/').next().unwrap_or_default();
    for scheme in ["https", "http"] {
        asking.fetcher.choose(&format!("{scheme}://{host}/"));
    }
    let referrers = asking.fetcher.referrers(&image, STATEMENT_LIMIT).await?;
    let mut given = Given::default();
    for (manifest, blob) in referrers.files {
        let bytes = blob.bytes()?;
        let address = format!("{}@sha256:{manifest}", image.repository);
        asking.keep_all(&address, [bytes], &mut given)?;
    }
    if referrers.unread > 0 {
        given
            .says
            .push(format!("{} were not read", plural(referrers.unread, "referrer")));
    }
    Ok(given)
}

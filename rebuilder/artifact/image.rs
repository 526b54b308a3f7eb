//! Container images, named by the digest of their manifest or index.

use serde::{Deserialize, Serialize};

use super::Sha256;

/// An image that is pinned: whatever its tags mean now, the digest names these bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedImage {
    /// Registry and repository, such as `docker.io/library/bash`.
    pub repository: String,
    /// SHA-256 of the manifest, or of the index that lists one for each platform.
    pub digest: Sha256,
}

/// A text that does not pin an image.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("cannot use the image {image:?}: {reason}")]
pub struct ImageError {
    image: String,
    reason: &'static str,
}

impl ImageError {
    /// Why not, in one sentence.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl PinnedImage {
    /// Reads `[docker://]NAME[:TAG]@sha256:…`; a digest given beside the name must be the same.
    pub fn parse(text: &str, beside: Option<&str>) -> Result<Self, ImageError> {
        let error = |reason| ImageError {
            image: text.to_owned(),
            reason,
        };
        let name = text.strip_prefix("docker://").unwrap_or(text);
        let reference: oci_client::Reference = name.parse().map_err(|_| error("it is not an image name"))?;
        let named = reference
            .digest()
            .map(|digest| digest.strip_prefix("sha256:").unwrap_or(digest));
        let digits = match (named, beside) {
            (Some(named), Some(beside)) if named != beside => {
                return Err(error("its name and its digest field name different images"));
            }
            (Some(digits), _) | (None, Some(digits)) => digits,
            (None, None) => return Err(error("it is named by a tag alone, which can mean any image")),
        };
        Ok(Self {
            digest: digits.parse().map_err(|_| error("its digest is not a SHA-256"))?,
            repository: format!("{}/{}", reference.registry(), reference.repository()),
        })
    }
}

impl std::fmt::Display for PinnedImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@sha256:{}", self.repository, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_digests_and_no_tags() {
        let digits = "9e2ba52487d945504d250de186cb4fe2e3ba023ed2921dd6ac8b97ed43e76af9";
        let other = "0".repeat(64);
        let pinned = PinnedImage::parse(&format!("bash@sha256:{digits}"), Some(digits)).unwrap();
        assert_eq!(
            pinned.to_string(),
            format!("docker.io/library/bash@sha256:{digits}")
        );
        assert!(PinnedImage::parse("ghcr.io/o/i:v1", Some(digits)).is_ok());
        for (text, beside, expected) in [
            ("bash:latest".to_owned(), None, "by a tag alone"),
            (
                format!("bash@sha256:{digits}"),
                Some(other.as_str()),
                "different images",
            ),
            ("bash".to_owned(), Some("00"), "not a SHA-256"),
            ("--privileged".to_owned(), None, "not an image name"),
        ] {
            let error = PinnedImage::parse(&text, beside).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}

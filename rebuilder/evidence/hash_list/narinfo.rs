//! Nix's `.narinfo`: a cache's description of a store path, with its signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{HashList, HashListError, descriptor};

impl HashList {
    /// Whether a text is a `.narinfo`.
    pub fn is_narinfo(text: &str) -> bool {
        text.starts_with("StorePath: ") && text.contains("\nNarHash: ")
    }

    /// Reads a `.narinfo`; the file that it is about is the NAR of the store path.
    pub fn parse_narinfo(text: &str) -> Result<Self, HashListError> {
        let fields = || text.lines().filter_map(|line| line.split_once(": "));
        let field = |name: &'static str| {
            let found = fields().find(|(key, _)| *key == name);
            found.map(|(_, value)| value).ok_or(HashListError::Field(name))
        };
        let (path, size) = (field("StorePath")?, field("NarSize")?);
        let hash = field("NarHash")?;
        let digits = hash
            .strip_prefix("sha256:")
            .ok_or(HashListError::Field("NarHash"))?;
        let digest = if digits.len() == 64 {
            digits.to_ascii_lowercase()
        } else {
            let bytes = nix_base32::from_nix_base32(digits).filter(|bytes| bytes.len() == 32);
            hex::encode(bytes.ok_or(HashListError::Field("NarHash"))?)
        };
        let (folder, name) = path.rsplit_once('/').ok_or(HashListError::Field("StorePath"))?;
        let references = field("References").unwrap_or_default();
        let references: Vec<_> = references
            .split_whitespace()
            .map(|reference| format!("{folder}/{reference}"))
            .collect();
        // The bytes that Nix signs (`ValidPathInfo::fingerprint`).
        let signed = format!("1;{path};{hash};{size};{}", references.join(","));
        let signatures = fields()
            .filter(|(key, _)| *key == "Sig")
            .filter_map(|(_, value)| {
                let (name, signature) = value.split_once(':')?;
                Some((name.to_owned(), STANDARD.decode(signature).ok()?))
            });
        Ok(Self {
            entries: vec![descriptor(&format!("{name}.nar"), "sha256", &digest)],
            own: Some((signed.into_bytes(), signatures.collect())),
            remark: None,
        })
    }
}

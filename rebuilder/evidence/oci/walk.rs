//! Walks from the manifests of a layout or a registry to the images in it, and to the documents about each.

use super::blobs::{self, Blobs};
use super::{Descriptor, MOST_LAYERS, MOST_MANIFESTS, MOST_NESTED, Manifest, OciError, is_evidence, layer};
use crate::artifact::{Digests, Sha256};
use crate::evidence::assessment::Artifact;
use crate::evidence::document::{Document, Kind, Unreadable};

/// The images that were found, and everything that is attached to them.
pub struct Images {
    /// Where they were found, for messages.
    pub origin: String,
    /// Every image and every index of images, the requested one first.
    all: Vec<Image>,
    attached: Vec<Attached>,
}

struct Image {
    digest: Sha256,
    bytes: Vec<u8>,
    /// Position of the index that lists it.
    inside: Option<usize>,
}

/// A document, and the image that it is attached to.
pub struct Attached {
    /// Digest of that image; `None` if the document's place does not tell.
    pub to: Option<Sha256>,
    /// The document.
    pub document: Document,
}

/// Reads an OCI layout: a folder, or a tar archive of one.
pub fn images(path: &std::path::Path) -> Result<Images, OciError> {
    let (blobs, index) = blobs::open(path)?;
    let origin = path.display().to_string();
    let unusable = |reason: String| OciError::Unusable {
        origin: origin.clone(),
        reason,
    };
    let index = Manifest::parse(&index).map_err(|reason| unusable(format!("its index.json: {reason}")))?;
    let roots = index
        .manifests
        .ok_or_else(|| unusable("its index.json lists no manifests".into()))?;
    Images::walk(&origin, &blobs, &roots).map_err(unusable)
}

impl Images {
    /// Walks through manifests and everything that they list.
    pub fn walk(origin: &str, blobs: &Blobs, roots: &[Descriptor]) -> Result<Self, String> {
        let mut found = Self {
            origin: origin.to_owned(),
            all: Vec::new(),
            attached: Vec::new(),
        };
        let mut seen = Vec::new();
        for root in roots {
            found.visit(blobs, root, None, 0, &mut seen)?;
        }
        Ok(found)
    }

    fn visit(
        &mut self,
        blobs: &Blobs,
        descriptor: &Descriptor,
        inside: Option<usize>,
        depth: usize,
        seen: &mut Vec<Sha256>,
    ) -> Result<(), String> {
        let digest = descriptor.sha256()?;
        if depth > MOST_NESTED || seen.len() >= MOST_MANIFESTS {
            return Err("it has more manifests, or deeper ones, than any real image".into());
        }
        let to = place(descriptor);
        if seen.contains(&digest) {
            return Ok(());
        }
        seen.push(digest);
        let (manifest, bytes) = match manifest(blobs, descriptor) {
            Ok(read) => read,
            // An index may list images for platforms that were not copied.
            Err(reason) => {
                let what = format!("the manifest {}", descriptor.digest);
                let unread = Kind::Unreadable(Unreadable::part(what, reason));
                let about = to.and_then(|beside| beside.0);
                self.attach(about, &descriptor.digest, digest, unread);
                return Ok(());
            }
        };
        if let Some(listed) = &manifest.manifests {
            // The tag of the referrers API names an index that is not an image.
            let own = to.is_none().then(|| self.image(digest, bytes, inside));
            for entry in listed {
                self.visit(blobs, entry, own.or(inside), depth.saturating_add(1), seen)?;
            }
            return Ok(());
        }
        let layers = manifest.layers.unwrap_or_default();
        let subject = manifest.subject.as_ref().map(Descriptor::sha256).transpose()?;
        let is_attached =
            to.is_some() || subject.is_some() || layers.iter().any(|layer| is_evidence(&layer.media_type));
        if !is_attached {
            self.image(digest, bytes, inside);
            return Ok(());
        }
        let about = subject.or(to.and_then(|beside| beside.0));
        for (number, layer) in layers.iter().enumerate() {
            let place = format!("{}, layer {}", descriptor.digest, number.saturating_add(1));
            let read = if number < MOST_LAYERS {
                attachment(blobs, layer)
            } else {
                Err(format!("its manifest has more than {MOST_LAYERS} layers"))
            };
            let (own, kind) = read.unwrap_or_else(|reason| {
                let what = format!("an attachment of the type {:?}", layer.media_type);
                (digest, Kind::Unreadable(Unreadable::part(what, reason)))
            });
            self.attach(about, &place, own, kind);
        }
        Ok(())
    }

    fn image(&mut self, digest: Sha256, bytes: Vec<u8>, inside: Option<usize>) -> usize {
        self.all.push(Image {
            digest,
            bytes,
            inside,
        });
        self.all.len().saturating_sub(1)
    }

    fn attach(&mut self, to: Option<Sha256>, place: &str, digest: Sha256, kind: Kind) {
        self.attached.push(Attached {
            to,
            document: Document {
                origin: format!("{} ({place})", self.origin),
                digest,
                kind,
            },
        });
    }

    /// Chooses the image to judge, with the documents to judge it by.
    ///
    /// Without `digest`, it is the only image that is not in an index. If that is an index of a single image, and
    /// nothing is attached to the index itself, the image inside is chosen, as BuildKit attests that one. Documents of
    /// other images are not judged, but reported.
    pub fn choose(self, digest: Option<Sha256>) -> Result<(Artifact, Vec<Document>), OciError> {
        let unusable = |reason: String| OciError::Unusable {
            origin: self.origin.clone(),
            reason,
        };
        let chosen = match digest {
            Some(digest) => self.all.iter().position(|image| image.digest == digest),
            None => self.main(),
        };
        let names = || {
            let all = self
                .all
                .iter()
                .take(20)
                .map(|image| format!("sha256:{}", image.digest));
            all.collect::<Vec<_>>().join(", ")
        };
        let chosen = chosen.ok_or_else(|| match (digest, self.all.is_empty()) {
            (Some(digest), _) => unusable(format!("it has no image sha256:{digest}")),
            (None, true) => unusable("it has no image".into()),
            (None, false) => unusable(format!("it has several images, and none was named ({})", names())),
        })?;
        let image = self
            .all
            .get(chosen)
            .ok_or_else(|| unusable("it has no image".into()))?;
        let artifact = Artifact {
            name: format!("sha256:{}", image.digest),
            purl: None,
            digests: Digests::of(&image.bytes),
            path: None,
        };
        let own = image.digest;
        let documents = self.attached.into_iter().map(|attached| match attached.to {
            Some(other) if other != own => Document {
                kind: Kind::Unreadable(Unreadable::part(
                    format!("a document about the image sha256:{other}"),
                    format!("it is about another image than sha256:{own}; name that image to have it judged"),
                )),
                ..attached.document
            },
            _ => attached.document,
        });
        Ok((artifact, documents.collect()))
    }

    fn main(&self) -> Option<usize> {
        let mut top =
            (0..self.all.len()).filter(|at| self.all.get(*at).is_some_and(|it| it.inside.is_none()));
        let (Some(first), None) = (top.next(), top.next()) else {
            return None;
        };
        let own = self.all.get(first)?.digest;
        let mut listed =
            (0..self.all.len()).filter(|at| self.all.get(*at).is_some_and(|it| it.inside == Some(first)));
        let only = listed.next().filter(|_| listed.next().is_none());
        let has_own = self.attached.iter().any(|attached| attached.to == Some(own));
        Some(only.filter(|_| !has_own).unwrap_or(first))
    }

    /// All documents, for judging files other than the images.
    pub fn into_documents(self) -> Vec<Document> {
        self.attached
            .into_iter()
            .map(|attached| attached.document)
            .collect()
    }
}

/// Reads a manifest or an index; also returns its bytes.
fn manifest(blobs: &Blobs, descriptor: &Descriptor) -> Result<(Manifest, Vec<u8>), String> {
    let bytes = blobs.get(descriptor)?;
    Ok((Manifest::parse(&bytes)?, bytes))
}

/// Reads the evidence in a layer; also returns the layer's digest.
fn attachment(blobs: &Blobs, layer: &Descriptor) -> Result<(Sha256, Kind), String> {
    let bytes = blobs.get(layer)?;
    Ok((Sha256::of(&bytes), layer::read(layer, &bytes)?))
}

/// Marks something as attached to an image, and to which one, if that is known.
#[derive(Clone, Copy)]
struct Beside(Option<Sha256>);

/// The image that something is attached to, if annotations of its descriptor say that it is attached to one:
/// BuildKit's annotations, a tag made from the image's digest, or the annotations of `cosign save`, which do not name
/// the image.
fn place(descriptor: &Descriptor) -> Option<Beside> {
    let image = |text: &str| {
        text.strip_prefix("sha256:")
            .and_then(|digits| digits.parse().ok())
    };
    if descriptor.annotation("vnd.docker.reference.type") == "attestation-manifest" {
        return Some(Beside(image(
            descriptor.annotation("vnd.docker.reference.digest"),
        )));
    }
    let name = descriptor.annotation("org.opencontainers.image.ref.name");
    let tag = name.rsplit(':').next().unwrap_or_default();
    if let Some(rest) = tag.strip_prefix("sha256-") {
        let digits = rest.split('.').next().unwrap_or_default();
        return digits.parse().ok().map(|digest| Beside(Some(digest)));
    }
    let kind = descriptor.annotation("kind");
    ["dev.cosignproject.cosign/sigs", "dev.cosignproject.cosign/atts"]
        .contains(&kind)
        .then_some(Beside(None))
}

//! Roots as images of an engine: made from our own export, and never trusted by their name.
//!
//! Everyone who may use the engine can set an image's tag or load an archive with it. So a root's image is used by its
//! id, and only if its single layer has the digest of the tar file that this store exports for the root, and its
//! configuration is empty. Any other image with our tag is left alone, and the tag is moved.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use bollard::models::{ImageConfig, ImageInspect};
use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt as _;

use super::{Docker, blocking, engine_error, refused};
use crate::artifact::{HashingWriter, Sha256};
use crate::sandbox::{RootLayers, SandboxError};
use crate::store::write_atomically;

const REPOSITORY: &str = "rebuilder/root";

/// Maximum duration of an import of a root.
const IMPORT_TIME: Duration = Duration::from_mins(30);

impl Docker {
    /// The id of a root's image, which is imported if the engine does not have it yet.
    pub(super) async fn image(&self, root: &RootLayers) -> Result<String, SandboxError> {
        let tag = root.name.to_hex();
        let name = format!("{REPOSITORY}:{tag}");
        let record = self.store.image_record(root.name);
        if let Some(id) = self.known_image(&name, recorded(&record)).await {
            return Ok(id);
        }
        // Engines cannot import the same content twice at the same time.
        let (store, lock) = (self.store.clone(), format!("image-{tag}"));
        let _lock = blocking("waiting", move || Ok(store.exclusive(&lock)?)).await?;
        if let Some(id) = self.known_image(&name, recorded(&record)).await {
            return Ok(id);
        }
        let folder = self.store.temporary_folder()?;
        let file = folder.path().join("root.tar");
        self.embedded.export(&root.folders, &file).await?;
        let digest = digest_of(file.clone()).await?;
        let id = match self.known_image(&name, Some(digest)).await {
            Some(id) => id,
            None => tokio::time::timeout(IMPORT_TIME, self.import(&file, digest, &tag))
                .await
                .map_err(|_| SandboxError::Broken {
                    during: "importing the root",
                    reason: format!("the engine took longer than {} s", IMPORT_TIME.as_secs()),
                })??,
        };
        write_atomically(&record, digest.to_hex().as_bytes())?;
        Ok(id)
    }

    /// The image with this name, if its content is that of this tar file.
    async fn known_image(&self, name: &str, tar: Option<Sha256>) -> Option<String> {
        let image = self.engine.inspect_image(name).await.ok()?;
        holds_only(&image, tar?).then_some(image.id?)
    }

    async fn import(&self, file: &Path, digest: Sha256, tag: &str) -> Result<String, SandboxError> {
        let tar = tokio::fs::File::open(file)
            .await
            .map_err(SandboxError::io("read the exported root"))?;
        let body = bollard::body_try_stream(tokio_util::io::ReaderStream::with_capacity(tar, 1 << 18));
        // Docker would accept a tag here, but Podman ignores it.
        let options = CreateImageOptionsBuilder::default().from_src("-").build();
        let mut progress = self.engine.create_image(Some(options), Some(body), None);
        let mut id = None;
        while let Some(step) = progress.next().await {
            let step = step.map_err(engine_error("import the root"))?;
            id = step.status.or(id);
        }
        let id = id
            .map(|id| id.trim().to_owned())
            .filter(|id| is_image_id(id))
            .ok_or_else(|| {
                refused(
                    "it does not say which image it made of the root",
                    "use another engine",
                )
            })?;
        let image = self
            .engine
            .inspect_image(&id)
            .await
            .map_err(engine_error("show the imported root"))?;
        if image.id.as_deref().is_none_or(|found| !same_id(found, &id)) || !holds_only(&image, digest) {
            return Err(refused(
                "the image that it made of the root is another one than was sent",
                "use an engine that keeps layers as they are, such as Docker or Podman",
            ));
        }
        let options = TagImageOptionsBuilder::default()
            .repo(REPOSITORY)
            .tag(tag)
            .build();
        let tagged = self.engine.tag_image(&id, Some(options)).await;
        tagged.map_err(engine_error("name the imported root"))?;
        Ok(id)
    }
}

/// Whether an image is one layer with this digest, and its configuration changes nothing for its containers.
fn holds_only(image: &ImageInspect, tar: Sha256) -> bool {
    let layers = image
        .root_fs
        .as_ref()
        .and_then(|root| root.layers.as_deref())
        .unwrap_or_default();
    let only = format!("sha256:{}", tar.to_hex());
    layers == [only]
        && image.id.as_deref().is_some_and(is_image_id)
        && image.config.as_ref().is_none_or(is_plain)
}

/// Whether an image's configuration adds nothing to its containers.
fn is_plain(config: &ImageConfig) -> bool {
    let empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    let nothing = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    empty(&config.env)
        && empty(&config.cmd)
        && empty(&config.entrypoint)
        && empty(&config.volumes)
        && empty(&config.exposed_ports)
        && empty(&config.on_build)
        && nothing(&config.user)
        && matches!(config.working_dir.as_deref(), None | Some("" | "/"))
        && nothing(&config.stop_signal)
        && config.healthcheck.is_none()
        && config.labels.as_ref().is_none_or(HashMap::is_empty)
}

fn is_image_id(id: &str) -> bool {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn same_id(one: &str, other: &str) -> bool {
    one.trim_start_matches("sha256:") == other.trim_start_matches("sha256:")
}

/// The digest of a root's tar file that was exported before.
fn recorded(record: &Path) -> Option<Sha256> {
    Sha256::from_str(std::fs::read_to_string(record).ok()?.trim()).ok()
}

async fn digest_of(file: PathBuf) -> Result<Sha256, SandboxError> {
    blocking("reading the exported root", move || {
        let read = File::open(&file).and_then(|mut file| {
            let mut writer = HashingWriter::new(io::sink());
            io::copy(&mut file, &mut writer)?;
            Ok(writer.finish().1)
        });
        read.map_err(SandboxError::io("read the exported root"))
    })
    .await
}

#[cfg(test)]
mod tests {
    use bollard::models::{HealthConfig, ImageInspectRootFs};

    use super::*;

    type Change = fn(&mut ImageConfig, Option<Vec<String>>);

    fn image(layers: &[String]) -> ImageInspect {
        ImageInspect {
            id: Some(format!("sha256:{}", "1".repeat(64))),
            root_fs: Some(ImageInspectRootFs {
                typ: "layers".into(),
                layers: Some(layers.to_vec()),
            }),
            config: Some(ImageConfig::default()),
            ..ImageInspect::default()
        }
    }

    #[test]
    fn only_an_image_of_the_same_content_is_taken_for_the_root() {
        let tar = Sha256::of("tar");
        let layer = format!("sha256:{}", tar.to_hex());
        assert!(holds_only(&image(std::slice::from_ref(&layer)), tar));
        let other = format!("sha256:{}", "0".repeat(64));
        for layers in [
            vec![],
            vec![other.clone()],
            vec![layer.clone(), other.clone()],
            vec![other, layer.clone()],
        ] {
            assert!(!holds_only(&image(&layers), tar), "{layers:?}");
        }
        let list = || Some(vec!["/out".to_owned()]);
        let changes: [Change; 9] = [
            |config, list| config.env = list,
            |config, list| config.cmd = list,
            |config, list| config.entrypoint = list,
            |config, list| config.volumes = list,
            |config, list| config.exposed_ports = list,
            |config, list| config.on_build = list,
            |config, _| config.user = Some("1000".into()),
            |config, _| config.healthcheck = Some(HealthConfig::default()),
            |config, _| config.labels = Some(HashMap::from([("rebuilder.run".into(), "x".into())])),
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut changed = image(std::slice::from_ref(&layer));
            change(changed.config.as_mut().unwrap(), list());
            assert!(!holds_only(&changed, tar), "change {index}");
        }
        let mut named = image(&[layer]);
        named.id = Some("rebuilder/root:latest".into());
        assert!(!holds_only(&named, tar));
    }
}

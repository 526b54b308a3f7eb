//! An OCI layout that grows, as a folder and as an archive.

use super::{BTreeMap, CONFIG, INDEX, MANIFEST, Path, PathBuf, Sha256, Value, fs, json};

/// The files of a layout, by digest.
#[derive(Default)]
pub struct Layout {
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    pub(super) roots: Vec<Value>,
}

impl Layout {
    pub(super) fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Sha256::of(bytes).to_hex();
        self.blobs.insert(digest.clone(), bytes.to_vec());
        json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    }

    pub(super) fn json(&mut self, media_type: &str, value: &Value) -> Value {
        self.blob(media_type, value.to_string().as_bytes())
    }

    pub(super) fn manifest(&mut self, config: &str, layers: &[Value], subject: Option<&Value>) -> Value {
        let config = self.blob(
            config,
            b"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}",
        );
        let mut manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        if let Some(subject) = subject {
            manifest["subject"] = subject.clone();
        }
        self.json(MANIFEST, &manifest)
    }

    /// An image of one layer, as a descriptor.
    pub(super) fn image(&mut self, content: &str) -> Value {
        let layer = self.blob("application/vnd.oci.image.layer.v1.tar", content.as_bytes());
        self.manifest(CONFIG, &[layer], None)
    }

    pub(super) fn root(&mut self, descriptor: &Value, annotations: Value) {
        let mut root = descriptor.clone();
        root["annotations"] = annotations;
        self.roots.push(root);
    }

    /// All files, by their names.
    pub(super) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.roots});
        let mut files = vec![
            (
                "oci-layout".to_owned(),
                b"{\"imageLayoutVersion\":\"1.0.0\"}".to_vec(),
            ),
            ("index.json".to_owned(), index.to_string().into_bytes()),
        ];
        let blobs = self.blobs.iter();
        files.extend(blobs.map(|(digest, bytes)| (format!("blobs/sha256/{digest}"), bytes.clone())));
        files
    }

    pub(super) fn write(&self, folder: &Path) -> PathBuf {
        fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        for (name, bytes) in self.files() {
            fs::write(folder.join(name), bytes).unwrap();
        }
        folder.to_owned()
    }

    pub(super) fn archive(&self, path: &Path) -> PathBuf {
        let mut archive = tar::Builder::new(fs::File::create(path).unwrap());
        for (name, bytes) in self.files() {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, bytes.as_slice()).unwrap();
        }
        archive.finish().unwrap();
        path.to_owned()
    }
}

pub(super) fn digest(descriptor: &Value) -> String {
    let text = descriptor["digest"].as_str().unwrap();
    text.strip_prefix("sha256:").unwrap().to_owned()
}

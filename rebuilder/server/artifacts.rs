//! Files of runs, each under its SHA-256, in a folder or a bucket. Each is written once, whole, and never changed.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::prefix::PrefixStore;
use object_store::{
    ObjectStore, ObjectStoreExt as _, ObjectStoreScheme, PutMode, PutOptions, PutPayload, RetryConfig,
    WriteMultipart,
};
use tokio::time::{Instant, timeout};

use crate::artifact::{HashingWriter, Sha256};
use crate::queue::wire::RunFile;

/// Larger artifacts are sent in parts, so that none is in memory as a whole.
const WHOLE: u64 = 8 << 20;
const PART: usize = 8 << 20;
/// Number of parts of one artifact that are sent at the same time.
const PARTS: usize = 4;
/// Maximum time without data of an artifact, and the minimum number of bytes per second.
const PATIENCE: Duration = Duration::from_secs(30);
const SPEED: u64 = 16 << 10;

/// How often a request to a bucket is repeated, and for how long.
const TRIES: usize = 5;
const TRYING: Duration = Duration::from_secs(20);

/// The place of artifacts.
#[derive(Clone)]
pub struct Artifacts {
    store: Arc<dyn ObjectStore>,
    place: String,
}

/// Artifacts that cannot be stored or found.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ArtifactsError {
    #[error("cannot use {place} for artifacts: {reason}")]
    #[diagnostic(help(
        "name a folder, or s3://BUCKET/PREFIX with the variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL"
    ))]
    Place { place: String, reason: String },
    #[error("cannot {doing} the artifact sha256:{sha256}")]
    Store {
        doing: &'static str,
        sha256: Sha256,
        source: object_store::Error,
    },
    #[error("cannot {doing} the artifact sha256:{sha256}")]
    Io {
        doing: &'static str,
        sha256: Sha256,
        source: std::io::Error,
    },
    #[error("the artifact is not sha256:{sha256} with {size} bytes: {found}")]
    Other {
        sha256: Sha256,
        size: u64,
        found: String,
    },
}

impl ArtifactsError {
    /// Whether a retry is useless: the artifact is gone, or is another one.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            Self::Other { .. } => true,
            Self::Store { source, .. } => matches!(source, object_store::Error::NotFound { .. }),
            Self::Place { .. } | Self::Io { .. } => false,
        }
    }

    /// The error of the folder or the bucket, for one artifact.
    fn store(doing: &'static str, sha256: Sha256) -> impl Fn(object_store::Error) -> Self + Copy {
        move |source| Self::Store {
            doing,
            sha256,
            source,
        }
    }

    /// The error of a file of this machine, for one artifact.
    fn io(doing: &'static str, sha256: Sha256) -> impl Fn(std::io::Error) -> Self + Copy {
        move |source| Self::Io {
            doing,
            sha256,
            source,
        }
    }

    /// The error for bytes that are not the artifact.
    fn other(sha256: Sha256, size: u64) -> impl Fn(String) -> Self + Copy {
        move |found| Self::Other { sha256, size, found }
    }
}

fn name(sha256: Sha256) -> Name {
    let hex = sha256.to_hex();
    let (front, _) = hex.split_at_checked(2).unwrap_or((&hex, ""));
    Name::from(format!("sha256/{front}/{hex}"))
}

/// A bucket. One that fails is tried again for a while that is shorter than a worker waits, who then sends the artifact
/// once more.
fn bucket(place: &str) -> Result<Arc<dyn ObjectStore>, Box<dyn std::error::Error>> {
    let url = url::Url::parse(place)?;
    let (scheme, prefix) = ObjectStoreScheme::parse(&url)?;
    if scheme != ObjectStoreScheme::AmazonS3 {
        return Err("only a folder and s3:// are supported".into());
    }
    let store = AmazonS3Builder::from_env()
        .with_url(place)
        .with_retry(RetryConfig {
            max_retries: TRIES,
            retry_timeout: TRYING,
            ..RetryConfig::default()
        })
        .build()?;
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

impl Artifacts {
    /// Opens a bucket, or a folder, which is created if needed.
    pub fn open(place: &str) -> Result<Self, ArtifactsError> {
        let unusable = |reason: String| ArtifactsError::Place {
            place: place.to_owned(),
            reason,
        };
        let store: Arc<dyn ObjectStore> = if place.contains("://") {
            bucket(place).map_err(|error| unusable(error.to_string()))?
        } else {
            std::fs::create_dir_all(place).map_err(|error| unusable(error.to_string()))?;
            let folder =
                LocalFileSystem::new_with_prefix(place).map_err(|error| unusable(error.to_string()))?;
            Arc::new(folder.with_fsync(true))
        };
        Ok(Self {
            store,
            place: place.to_owned(),
        })
    }

    /// For people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The size of an artifact, if it exists.
    pub async fn size(&self, sha256: Sha256) -> Result<Option<u64>, ArtifactsError> {
        match self.store.head(&name(sha256)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(ArtifactsError::store("look for", sha256)(source)),
        }
    }

    /// Takes an artifact of `size` bytes from a stream into a file without a name in `scratch`; what has another digest or
    /// length, or comes too slowly, is refused.
    pub(super) async fn receive<B: AsRef<[u8]>, E: std::fmt::Display>(
        &self,
        sha256: Sha256,
        size: u64,
        mut stream: impl Stream<Item = Result<B, E>> + Unpin,
        scratch: &Path,
    ) -> Result<std::fs::File, ArtifactsError> {
        let io = ArtifactsError::io("receive", sha256);
        let other = ArtifactsError::other(sha256, size);
        let mut file = tempfile::tempfile_in(scratch).map_err(io)?;
        let mut hashing = HashingWriter::new(&mut file);
        let mut length: u64 = 0;
        let begun = Instant::now();
        loop {
            let bytes = timeout(PATIENCE, stream.next()).await;
            let bytes = bytes.map_err(|_| other("no more data arrived".into()))?;
            let Some(bytes) = bytes else { break };
            let bytes = bytes.map_err(|error| other(format!("the connection broke: {error}")))?;
            let bytes = bytes.as_ref();
            length = length.saturating_add(bytes.len() as u64);
            if length > size {
                return Err(other("it is longer".into()));
            }
            let slow = begun.elapsed().saturating_sub(PATIENCE).as_secs();
            if length < slow.saturating_mul(SPEED) {
                return Err(other(format!(
                    "it arrived more slowly than {SPEED} bytes per second"
                )));
            }
            hashing.write_all(bytes).map_err(io)?;
        }
        let (_, found, _) = hashing.finish();
        if length != size || found != sha256 {
            return Err(other(format!("it has {length} bytes and sha256:{found}")));
        }
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        Ok(file)
    }

    /// Removes an artifact, if it exists.
    pub(super) async fn remove(&self, sha256: Sha256) -> Result<(), ArtifactsError> {
        match self.store.delete(&name(sha256)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(ArtifactsError::store("remove", sha256)(source)),
        }
    }

    /// Stores bytes that this process made, as the file `path` of a run.
    pub async fn keep_bytes(&self, path: String, bytes: Vec<u8>) -> Result<RunFile, ArtifactsError> {
        let (sha256, size) = (Sha256::of(&bytes), bytes.len() as u64);
        let put = self
            .store
            .put_opts(
                &name(sha256),
                PutPayload::from(bytes),
                PutOptions::from(PutMode::Create),
            )
            .await;
        match put {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(RunFile { path, sha256, size }),
            Err(source) => Err(ArtifactsError::store("keep", sha256)(source)),
        }
    }

    /// Stores a received file.
    pub(super) async fn put(
        &self,
        sha256: Sha256,
        size: u64,
        mut file: std::fs::File,
    ) -> Result<(), ArtifactsError> {
        use std::io::Read as _;
        let failed = ArtifactsError::store("keep", sha256);
        let io = ArtifactsError::io("receive", sha256);
        if self.size(sha256).await? == Some(size) {
            return Ok(());
        }
        if size <= WHOLE {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(io)?;
            let options = PutOptions::from(PutMode::Create);
            let put = self
                .store
                .put_opts(&name(sha256), PutPayload::from(bytes), options)
                .await;
            return match put {
                // Somebody else handed in the same bytes.
                Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
                Err(source) => Err(failed(source)),
            };
        }
        let upload = self.store.put_multipart(&name(sha256)).await.map_err(failed)?;
        let mut parts = WriteMultipart::new_with_chunk_size(upload, PART);
        let mut buffer = vec![0; PART];
        let sent = loop {
            let count = match file.read(&mut buffer) {
                Ok(count) => count,
                Err(error) => break Err(io(error)),
            };
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                break Ok(());
            };
            if let Err(error) = parts.wait_for_capacity(PARTS).await {
                break Err(failed(error));
            }
            parts.write(bytes);
        };
        if let Err(error) = sent {
            // Nobody sees parts that are not joined. If they cannot be removed now, the bucket's rule does that.
            let _ = parts.abort().await;
            return Err(error);
        }
        parts.finish().await.map_err(failed)?;
        Ok(())
    }

    /// The bytes of a small artifact; one that is larger than `limit`, or that changed, is an error.
    pub async fn read(&self, file: &RunFile, limit: u64) -> Result<Vec<u8>, ArtifactsError> {
        let other = ArtifactsError::other(file.sha256, file.size);
        if file.size > limit {
            return Err(other(format!(
                "it is larger than {limit} bytes, the limit for such a file"
            )));
        }
        let failed = ArtifactsError::store("read", file.sha256);
        let found = self.store.get(&name(file.sha256)).await.map_err(failed)?;
        if found.meta.size != file.size {
            return Err(other(format!("it has {} bytes", found.meta.size)));
        }
        let bytes = found.bytes().await.map_err(failed)?;
        if Sha256::of(&bytes) != file.sha256 {
            return Err(other("it has changed".into()));
        }
        Ok(bytes.to_vec())
    }

    /// The bytes of an artifact by its digest alone, if it is there and not larger than `limit`.
    pub async fn bytes(&self, sha256: Sha256, limit: u64) -> Result<Option<Vec<u8>>, ArtifactsError> {
        let Some(size) = self.size(sha256).await? else {
            return Ok(None);
        };
        let path = String::new();
        self.read(&RunFile { path, sha256, size }, limit).await.map(Some)
    }

    /// The bytes of an artifact as they are stored, part by part.
    pub(super) async fn stream(
        &self,
        sha256: Sha256,
    ) -> Result<
        impl Stream<Item = Result<impl Into<axum::body::Bytes>, object_store::Error>> + 'static,
        ArtifactsError,
    > {
        let failed = |source| ArtifactsError::Store {
            doing: "read",
            sha256,
            source,
        };
        Ok(self.store.get(&name(sha256)).await.map_err(failed)?.into_stream())
    }

    /// Writes an artifact to a new file.
    pub async fn write_to(&self, file: &RunFile, path: &Path) -> Result<(), ArtifactsError> {
        let sha256 = file.sha256;
        let io = ArtifactsError::io("write", sha256);
        let failed = ArtifactsError::store("read", sha256);
        let mut to = std::fs::File::options()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(io)?;
        let mut hashing = HashingWriter::new(&mut to);
        let mut stream = self.store.get(&name(sha256)).await.map_err(failed)?.into_stream();
        while let Some(bytes) = stream.next().await {
            hashing.write_all(&bytes.map_err(failed)?).map_err(io)?;
        }
        if hashing.finish().1 != sha256 {
            return Err(ArtifactsError::other(sha256, file.size)("it has changed".into()));
        }
        Ok(())
    }

    /// Whether artifacts can be stored now.
    pub async fn check(&self) -> Result<(), ArtifactsError> {
        let empty = Sha256::of("");
        let put = self
            .store
            .put_opts(&name(empty), PutPayload::new(), PutOptions::from(PutMode::Create))
            .await;
        match put {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(source) => Err(ArtifactsError::store("keep", empty)(source)),
        }
    }
}

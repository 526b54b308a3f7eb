//! Transfers between a job and its container: inputs, outputs, and the log.

use std::path::Path;

use bollard::container::LogOutput;
use bollard::errors::Error as EngineError;
use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use futures_util::{Stream, StreamExt as _};
use tokio::io::AsyncWriteExt as _;

use super::{Docker, blocking, engine_error, outputs};
use crate::plan::{INPUTS, OUT};
use crate::progress::ProgressBar;
use crate::sandbox::embedded::{LOG_LIMIT, last_line};
use crate::sandbox::{Job, Output, OutputError, SandboxError, output};

impl Docker {
    pub(super) async fn send_inputs(&self, job: &Job<'_>, id: &str) -> Result<(), SandboxError> {
        let folder = self.store.temporary_folder()?;
        let (staged, file) = (folder.path().join("in"), folder.path().join("in.tar"));
        let (inputs, packed) = (job.inputs.clone(), file.clone());
        blocking("packing the inputs", move || {
            std::fs::create_dir(&staged).map_err(SandboxError::io("stage the inputs"))?;
            output::stage(&inputs, &staged).map_err(SandboxError::io("stage the inputs"))?;
            pack(&staged, &packed).map_err(SandboxError::io("pack the inputs"))
        })
        .await?;
        let tar = tokio::fs::File::open(&file)
            .await
            .map_err(SandboxError::io("read the packed inputs"))?;
        let body = bollard::body_try_stream(tokio_util::io::ReaderStream::with_capacity(tar, 1 << 18));
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let sent = self.engine.upload_to_container(id, Some(options), body).await;
        sent.map_err(engine_error("take the inputs"))
    }

    pub(super) async fn receive_outputs(&self, job: &Job<'_>, id: &str) -> Result<Vec<Output>, SandboxError> {
        let folder = self.store.temporary_folder()?;
        let path = folder.path().join("out.tar");
        let mut file = tokio::fs::File::create(&path)
            .await
            .map_err(SandboxError::io("receive the outputs"))?;
        let options = DownloadFromContainerOptionsBuilder::default().path(OUT).build();
        let mut stream = self.engine.download_from_container(id, Some(options));
        let mut room = job.most_output().saturating_add(outputs::OVERHEAD);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(engine_error("hand out the outputs"))?;
            room = room
                .checked_sub(chunk.len() as u64)
                .ok_or_else(|| OutputError::TooMuch {
                    found: "more bytes".into(),
                    limit: "the disk limit".into(),
                })?;
            file.write_all(&chunk)
                .await
                .map_err(SandboxError::io("receive the outputs"))?;
        }
        file.flush()
            .await
            .map_err(SandboxError::io("receive the outputs"))?;
        let (to, limit) = (job.outputs.to_owned(), job.most_output());
        let taken = blocking("taking the outputs", move || {
            let tar = std::fs::File::open(&path).map_err(SandboxError::io("receive the outputs"))?;
            Ok(outputs::unpack(tar, &to, limit)?)
        });
        taken.await
    }
}

/// Writes the staged inputs as a tar file.
fn pack(staged: &Path, file: &Path) -> std::io::Result<()> {
    let mut tar = tar::Builder::new(std::io::BufWriter::new(std::fs::File::create(file)?));
    tar.mode(tar::HeaderMode::Deterministic);
    // Engines cannot read the sparse form that files with holes would get.
    tar.sparse(false);
    tar.append_dir_all(INPUTS.trim_start_matches('/'), staged)?;
    tar.into_inner()?
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .map(drop)
}

/// Copies the log to its file, and its newest line to the screen. What exceeds the limit is read and dropped, so that
/// the build does not block.
pub(super) async fn copy_log(
    mut log: impl Stream<Item = Result<LogOutput, EngineError>> + Unpin,
    path: &Path,
    bar: &ProgressBar,
) -> Result<(), SandboxError> {
    let error = |source| SandboxError::Io {
        what: format!("write {}", path.display()),
        source,
    };
    let mut file = tokio::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .await
        .map_err(error)?;
    let mut room = LOG_LIMIT;
    while let Some(chunk) = log.next().await {
        let bytes = chunk.map_err(engine_error("hand out the log"))?.into_bytes();
        let kept = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        file.write_all(bytes.get(..kept).unwrap_or_default())
            .await
            .map_err(error)?;
        room = room.saturating_sub(kept as u64);
        if let Some(line) = last_line(&bytes) {
            bar.set_message(line);
        }
    }
    file.flush().await.map_err(error)
}

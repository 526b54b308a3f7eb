//! The protocol: one line of JSON each way.

use std::collections::BTreeSet;
use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::{REQUEST, Reply, Request, SignerError};
use crate::artifact::serialise;
use crate::attest::Extra;
use crate::reader::Reader;
use crate::telemetry;

/// One line, of bounded length.
pub(super) async fn request_line(stream: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(stream.take(REQUEST))
        .read_until(b'\n', &mut line)
        .await?;
    Ok(line)
}

pub(super) async fn send(stream: &mut UnixStream, reply: &Reply) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(reply)?;
    text.push(b'\n');
    stream.write_all(&text).await?;
    stream.shutdown().await
}

/// Asks a signer about a run, and for so much besides its statement.
pub async fn ask(socket: &Path, run: &Path, extras: BTreeSet<Extra>) -> Result<Reply, SignerError> {
    ask_for(socket, run, extras, None).await
}

/// The same for a worker that a relay knows by this name.
pub async fn ask_for(
    socket: &Path,
    run: &Path,
    extras: BTreeSet<Extra>,
    worker: Option<&str>,
) -> Result<Reply, SignerError> {
    let at = |source| SignerError::Socket {
        path: socket.to_owned(),
        source,
    };
    let run = run.canonicalize().map_err(at)?;
    let mut stream = UnixStream::connect(socket)
        .await
        .map_err(|error| match error.kind() {
            // The socket is open to workers alone.
            std::io::ErrorKind::PermissionDenied => SignerError::Stranger {
                uid: nix::unistd::geteuid().as_raw(),
            },
            _ => at(error),
        })?;
    let request = Request {
        version: 1,
        run,
        extras,
        worker: worker.map(str::to_owned),
        trace: telemetry::current().map(|span| span.to_string()),
    };
    let mut text = serialise::compact("the request", &request)?;
    text.push(b'\n');
    stream.write_all(&text).await.map_err(at)?;
    let mut reply = Vec::new();
    stream
        .take(crate::evidence::json::SIZE_LIMIT)
        .read_to_end(&mut reply)
        .await
        .map_err(at)?;
    serde_json::from_slice(&reply).map_err(|error| SignerError::Request(format!("invalid reply: {error}")))
}

/// For fuzzing.
pub const READERS: &[Reader] = &[
    ("signer-request", |bytes| {
        drop(serde_json::from_slice::<Request>(bytes));
    }),
    ("signer-reply", |bytes| {
        drop(serde_json::from_slice::<Reply>(bytes));
    }),
];

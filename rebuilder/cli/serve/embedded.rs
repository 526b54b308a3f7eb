//! `rebuilder serve --embedded`: one machine, one command. A worker and a signer run beside the server, each as a process of
//! its own: the server opens no key, the worker knows its token alone, and what a build does stays in its sandbox.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getuid};
use tokio::process::{Child, ChildStdin, Command};

use super::super::failure::Failure;
use super::super::options::operator::operator;
use super::super::{Context, child, config_folder, output};
use crate::queue::{Queue, Scope};
use crate::store::PendingRun;

/// The name of the worker.
const NAME: &str = "embedded";
/// How long the build that runs may go on once the server is to end, in seconds.
const DRAIN: &str = "60";
/// How long a process may take to end once it was told.
const GRACE: Duration = Duration::from_secs(90);

/// What is needed before the server listens.
pub(super) struct Prepared {
    folder: PendingRun,
    options: Vec<OsString>,
    log: Vec<OsString>,
    runs: PathBuf,
    jobs: u32,
    negatives: bool,
}

/// The processes beside the server.
pub(super) struct Beside {
    signer: Child,
    worker: Child,
    /// The other ends of their standard inputs. To wait for a process would close the one in it.
    _tied: [Option<ChildStdin>; 2],
    /// With the token and the socket.
    _folder: PendingRun,
}

impl Prepared {
    /// Makes the token of the worker, and a key if there is none. `options` are those for each process, the second of them
    /// those of its log.
    pub(super) async fn new(
        context: &Context,
        queue: &Queue,
        (options, log): (Vec<OsString>, Vec<OsString>),
        (jobs, negatives): (u32, bool),
    ) -> Result<Self, Failure> {
        let failed =
            |what: &str, error: &std::io::Error| Failure::internal(format!("cannot {what}: {error}"));
        // The path of a socket is short, so it is not in the store. What a killed server left is removed.
        let folder = PendingRun::below(&std::env::temp_dir())?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700))
            .map_err(|error| failed("protect the folder of the signer's socket", &error))?;
        make_key().await?;
        // That of the server before is of no use to anyone any more.
        if queue
            .tokens()
            .await?
            .iter()
            .any(|token| token.name == NAME && token.revoked.is_none())
        {
            queue.revoke_token(NAME).await?;
        }
        queue
            .write_down(&operator(), "add-token", "embedded: worker")
            .await?;
        let token = queue.add_token(NAME, &[Scope::Worker], None).await?;
        let runs = context.store.runs();
        std::fs::create_dir_all(&runs).map_err(|error| failed("make the folder of runs", &error))?;
        let prepared = Self {
            folder,
            options,
            log,
            runs,
            jobs,
            negatives,
        };
        let file = std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(prepared.token());
        file.and_then(|mut file| file.write_all(token.secret().as_bytes()))
            .map_err(|error| failed("write the token of the worker", &error))?;
        Ok(prepared)
    }

    fn token(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Where the signer listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("signer.sock")
    }

    /// Starts both; the server listens on `address` already.
    pub(super) fn start(self, address: SocketAddr) -> Result<Beside, Failure> {
        let uid = getuid().to_string();
        let mut signer: Vec<OsString> = vec!["signer".into(), "--socket".into(), self.socket().into()];
        signer.extend(["--relay".into(), uid.into(), "--agree".into(), "1".into()]);
        signer.extend(["--runs".into(), self.runs.clone().into(), "--tied".into()]);
        if self.negatives {
            signer.push("--attest-negative".into());
        }
        let mut worker: Vec<OsString> = vec![
            "worker".into(),
            "--server".into(),
            format!("http://{address}").into(),
        ];
        worker.extend(["--token-file".into(), self.token().into(), "--tied".into()]);
        worker.extend(["--jobs".into(), self.jobs.to_string().into()]);
        worker.extend(["--drain".into(), DRAIN.into()]);
        let mut signer = self.spawn(&signer)?;
        let mut worker = self.spawn(&worker)?;
        Ok(Beside {
            _tied: [signer.stdin.take(), worker.stdin.take()],
            signer,
            worker,
            _folder: self.folder,
        })
    }

    /// Starts a process that ends with this one: its standard input ends then.
    fn spawn(&self, words: &[OsString]) -> Result<Child, Failure> {
        let mut command = Command::from(child::command()?);
        command
            .args(&self.options)
            .arg("--quiet")
            .args(words)
            .args(&self.log);
        // What is this server's alone is not for them.
        command.env_remove("REBUILDER_MEMORY");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
            .spawn()
            .map_err(|error| Failure::internal(format!("cannot start a process beside the server: {error}")))
    }
}

/// Makes the default key if there is none, and none was named.
async fn make_key() -> Result<(), Failure> {
    if std::env::var_os("REBUILDER_KEY").is_some() || config_folder()?.join("key.pem").exists() {
        return Ok(());
    }
    let mut command = Command::from(child::command()?);
    command.args(["--quiet", "key", "generate"]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let made = command.status().await;
    let made = made.map_err(|error| Failure::internal(format!("cannot make a key: {error}")))?;
    if !made.success() {
        return Err(Failure::usage("cannot make a key for the signer".into())
            .with_help("run \"rebuilder key generate\" to see why"));
    }
    output::note("a new key signs what is rebuilt; \"rebuilder key public\" prints its public half");
    Ok(())
}

impl Beside {
    /// Ready when one of them has ended, which neither should.
    pub(super) async fn ended(&mut self) -> Failure {
        let (who, status) = tokio::select! {
            status = self.signer.wait() => ("signer", status),
            status = self.worker.wait() => ("worker", status),
        };
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        Failure::internal(format!("the {who} beside the server has ended ({how})"))
            .with_help("its message is above; a passphrase for the key comes from --passphrase-file or REBUILDER_PASSPHRASE_FILE")
    }

    /// Lets the worker end its builds and hand them in, while the server still answers.
    pub(super) async fn end_worker(&mut self) {
        end(&mut self.worker).await;
    }

    /// Ends the signer, once nothing more is handed in.
    pub(super) async fn end(mut self) {
        end(&mut self.worker).await;
        end(&mut self.signer).await;
    }
}

async fn end(child: &mut Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid {
        // It may have ended already.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

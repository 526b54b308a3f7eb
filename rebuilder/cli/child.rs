//! Child processes that hold the signing key. The process that runs builds never holds it.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::failure::Failure;
use crate::deadline::Deadline;

/// This program.
pub(super) fn command() -> Result<Command, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::internal(error.to_string()))?;
    Ok(Command::new(program))
}

/// Maximum length of a reply. A signer's reply contains a statement.
const REPLY: u64 = 64 << 20;

/// Runs a program and returns its stdout. If this process has to end, it ends the program too.
pub(super) fn reply(command: &mut Command) -> std::io::Result<Vec<u8>> {
    let deadline = Deadline::default();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    // Read while it runs: a full pipe would stop it.
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut reply = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(REPLY).read_to_end(&mut reply)?;
        }
        Ok(reply)
    });
    while child.try_wait()?.is_none() {
        if let Err(over) = deadline.check() {
            child.kill()?;
            child.wait()?;
            return Err(over.into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let read = reader.join();
    read.unwrap_or_else(|_| Err(std::io::Error::other("cannot read its output")))
}

/// How long a process may take to notice that it is to end, before it is told again.
const AGAIN: Duration = Duration::from_secs(2);

/// Ends this process as SIGTERM does when standard input ends: the parent has exited, or asks for it. It is told again
/// until it ends, since a signal is lost between the time when the program replaces the usual handler and the time when it
/// begins to wait. A worker that is told twice gives its jobs back, which is right: nobody is left to take its results.
pub(super) fn end_with_stdin() {
    std::thread::spawn(|| {
        let mut byte = [0; 64];
        while std::io::stdin().read(&mut byte).is_ok_and(|count| count > 0) {}
        loop {
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM);
            std::thread::sleep(AGAIN);
        }
    });
}

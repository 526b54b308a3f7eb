//! Ctrl-C and SIGTERM end the program within a second, whatever it is doing.
//!
//! Signals arrive on a separate thread, because all others may be busy. That thread tells all work to end, and ends the
//! process if this takes too long.

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::failure::{Code, Failure};
use crate::deadline;
use crate::sandbox::embedded::Embedded;
use crate::store::Store;

/// Milliseconds that ending may take.
const MILLIS: u64 = 900;
/// Maximum time for ending.
pub(super) const PATIENCE: Duration = Duration::from_millis(MILLIS);
/// The part of it for work that computes to see the signal.
pub(super) const FOR_WORK: Duration = Duration::from_millis(MILLIS / 2);
/// The part of it for the threads of the runtime.
pub(super) const FOR_THREADS: Duration = Duration::from_millis(MILLIS / 8);

/// How long a signal may wait while the last files are removed.
const MOMENT: Duration = Duration::from_millis(50);

/// The exit code for the first signal; 0 before one arrived.
static CODE: AtomicU8 = AtomicU8::new(0);
/// Whether the end was already reported.
static TOLD: AtomicBool = AtomicBool::new(false);

/// The exit code for the first signal, if one arrived.
pub(super) fn code() -> Option<Code> {
    match CODE.load(Ordering::Relaxed) {
        0 => None,
        code if code == Code::Terminated as u8 => Some(Code::Terminated),
        _ => Some(Code::Interrupted),
    }
}

/// Starts the thread that waits for signals.
pub(super) fn listen(json: bool) -> impl Future<Output = ()> {
    let (tell, told) = oneshot::channel();
    // Without such a thread, signals end the program in their usual way.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            let code = tokio::select! {
                _ = interrupt.recv() => Code::Interrupted,
                _ = terminate.recv() => Code::Terminated,
            };
            CODE.store(code as u8, Ordering::Relaxed);
            deadline::interrupt();
            let _ = tell.send(());
            // Ends here if the work does not, and at a second signal.
            tokio::select! {
                () = tokio::time::sleep(PATIENCE) => {}
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            report(json);
            std::process::exit(i32::from(code as u8));
        });
    });
    async {
        if told.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits until the runtime's threads have removed what the work left, which a signal cuts short: the result stands, and
/// so does its code. What remains is swept at the next start.
pub(super) fn finish(runtime: Runtime, exit: ExitCode) -> ExitCode {
    let (done, ended) = mpsc::channel();
    // If no thread can be started, this one waits.
    let _ = std::thread::Builder::new().name("end".into()).spawn(move || {
        drop(runtime);
        let _ = done.send(());
    });
    while code().is_none() && ended.recv_timeout(MOMENT) == Err(RecvTimeoutError::Timeout) {}
    exit
}

/// Removes the files that the interrupted run left; those that remain are swept at the next start.
pub(super) fn clean(store: Option<PathBuf>) {
    if let Ok(store) = Store::open(store) {
        let _ = Embedded::new(&store);
        crate::store::sweep(&store.runs());
    }
}

/// Ends the process without waiting for threads that are still busy.
pub(super) fn end(json: bool) -> ExitCode {
    report(json);
    std::process::exit(i32::from(code().unwrap_or(Code::Interrupted) as u8));
}

fn report(json: bool) {
    if !TOLD.swap(true, Ordering::Relaxed) {
        Failure::interrupted(code().unwrap_or(Code::Interrupted)).report(json);
    }
}

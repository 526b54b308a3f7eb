//! The moment before exec: from this program, inside the container, to the build's first program.
//!
//! The container's root is untrusted. Until its program runs, this process is still ours: its handles are the host's,
//! and its executable is reachable as `/proc/self/exe`. So all handles are closed before anything in the root is
//! looked up; the program is looked up without leaving the root and without the links of `/proc`, and the handle that
//! was checked is executed. Nothing is requested that the C library would look up in the root, such as a user's home:
//! the root's `nsswitch.conf` names libraries that it would load into this process.

use std::ffi::CString;
use std::io::Write as _;
use std::os::fd::OwnedFd;

use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, SFlag, fstat};

/// The exit status if the first program cannot be started, as in shells.
const NOT_STARTED: i32 = 127;

/// The container's first process, once everything around it is set up.
#[derive(Clone)]
pub(super) struct Payload {
    pub(super) seccomp: Vec<seccompiler::BpfProgram>,
    pub(super) traced: bool,
    /// The whole environment of the first program, as `NAME=VALUE`.
    pub(super) env: Vec<String>,
}

impl Executor for Payload {
    /// Called before the start signal; from here on, the process ends with its helper.
    fn validate(&self, _: &oci_spec::runtime::Spec) -> Result<(), ExecutorValidationError> {
        let failed = |error: nix::Error| ExecutorValidationError::ArgValidationError(error.to_string());
        if self.traced {
            // The helper may attach to this process from here on; nothing else runs in the container yet.
            prctl::set_dumpable(true).map_err(failed)?;
        }
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed)
    }

    fn exec(&self, spec: &oci_spec::runtime::Spec) -> Result<(), ExecutorError> {
        let process = spec.process().as_ref().ok_or(ExecutorError::InvalidArg)?;
        let args = process.args().clone().unwrap_or_default();
        close_handles();
        let Err(reason) = self.become_program(&args);
        let program = args.first().map_or("", String::as_str);
        // From here on, stderr is the build's own log.
        let _ = writeln!(std::io::stderr(), "cannot start {program}: {reason}");
        std::process::exit(NOT_STARTED)
    }
}

impl Payload {
    fn become_program(&self, args: &[String]) -> Result<std::convert::Infallible, String> {
        let words = |words: &[String]| -> Result<Vec<CString>, String> {
            let words = words.iter().map(|word| CString::new(word.as_str()));
            words.collect::<Result<_, _>>().map_err(|error| error.to_string())
        };
        let program = open_in_root(args.first().ok_or("no program is named")?)?;
        let (args, env) = (words(args)?, words(&self.env)?);
        for filter in &self.seccomp {
            seccompiler::apply_filter(filter).map_err(|error| error.to_string())?;
        }
        nix::unistd::execveat(&program, c"", &args, &env, AtFlags::AT_EMPTY_PATH)
            .map_err(|error| error.to_string())
    }
}

/// Closes everything except standard input, output and error: the null device, and the log's pipe twice.
fn close_handles() {
    // Handles are numbered from the lowest free number, and a helper has a few dozen.
    for handle in 3..4096_i32 {
        let _ = nix::unistd::close(handle);
    }
}

/// The regular file at `path`, found without leaving the root, whatever the links in it say.
fn open_in_root(path: &str) -> Result<OwnedFd, String> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let program = openat2(AT_FDCWD, path, how).map_err(|error| error.to_string())?;
    let mode = fstat(&program).map_err(|error| error.to_string())?.st_mode;
    if SFlag::from_bits_truncate(mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err("it is not a regular file".to_owned());
    }
    if mode & (Mode::S_IXUSR | Mode::S_IXGRP | Mode::S_IXOTH).bits() == 0 {
        return Err("it is not executable".to_owned());
    }
    Ok(program)
}

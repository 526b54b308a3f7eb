//! Keys behind a command, for cloud key services: neither the key nor the service's libraries are in this program.
//!
//! `PROGRAM public` prints the public key in PEM. `PROGRAM sign` reads the message from stdin, to its end, and writes
//! the signature to stdout, raw: 64 bytes for Ed25519, ASN.1 for ECDSA.

use std::io::{Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use serde_json::Value;

use super::{KeyError, Public, Signer};
use crate::evidence::trust::PublicKey;

/// Maximum duration, and maximum output.
const LONGEST: Duration = Duration::from_mins(1);
const OUTPUT: u64 = 64 << 10;

/// Such a key.
pub struct CommandKey {
    program: String,
    public: Public,
}

impl CommandKey {
    /// Asks the program for its public key.
    pub fn open(program: &str) -> Result<Self, KeyError> {
        let printed = run(program, "public", b"")?;
        let failed = |reason: String| KeyError::Command {
            program: program.to_owned(),
            reason,
        };
        let pem = pem::parse(printed).map_err(|error| failed(format!("its output is not PEM: {error}")))?;
        PublicKey::from_spki(program, pem.contents()).map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            program: program.to_owned(),
            public: Public(pem.into_contents()),
        })
    }
}

impl Signer for CommandKey {
    fn public(&self) -> Option<&Public> {
        Some(&self.public)
    }

    fn bundle(&self, statement: &[u8]) -> Result<Value, KeyError> {
        self.public
            .bundle(statement, |message| run(&self.program, "sign", message))
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.public
            .sign(message, |message| run(&self.program, "sign", message))
    }
}

/// Runs the program, without a shell: blanks separate the words. Duration and output are limited.
fn run(program: &str, verb: &str, input: &[u8]) -> Result<Vec<u8>, KeyError> {
    run_for(program, verb, input, LONGEST)
}

fn run_for(program: &str, verb: &str, input: &[u8], longest: Duration) -> Result<Vec<u8>, KeyError> {
    let failed = |reason: String| failed(program, reason);
    let mut words = program.split_whitespace();
    let mut child = Command::new(words.next().unwrap_or_default())
        .args(words)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // What it starts can be ended with it.
        .process_group(0)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let group = i32::try_from(child.id()).ok().map(Pid::from_raw);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // Each pipe has a thread of its own, which nobody waits for beyond the deadline: a program that reads nothing, or
    // writes before it reads, or leaves a pipe to a child, holds up no one.
    let (done, ended) = mpsc::channel();
    let send = done.clone();
    let input = input.to_vec();
    std::thread::spawn(move || {
        let result = stdin.map_or(Ok(()), |mut stdin| stdin.write_all(&input));
        let _ = send.send(Part::Written(result));
    });
    read(stdout, done.clone(), Part::Output);
    read(stderr, done, Part::Errors);
    let begun = Instant::now();
    let heard = hear(program, &ended, begun, longest);
    let heard = heard.and_then(|heard| ends(program, &mut child, begun, longest).map(|()| heard));
    if heard.is_err() {
        if let Some(group) = group {
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        }
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    let heard = heard?;
    if !status.success() {
        let text = String::from_utf8_lossy(&heard.errors);
        let text: String = text.trim().chars().take(1000).collect();
        return Err(failed(format!("{status}: {text}")));
    }
    match (heard.written, heard.output) {
        // A program that reads nothing closes the pipe; what it prints still says whether it worked.
        (Err(error), _) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(failed(error.to_string())),
        (_, Ok(output)) => Ok(output),
        (_, Err(error)) => Err(failed(error.to_string())),
    }
}

/// What went through the three pipes of a program.
struct Heard {
    written: std::io::Result<()>,
    output: std::io::Result<Vec<u8>>,
    errors: Vec<u8>,
}

/// Waits until all three pipes are closed.
fn hear(
    program: &str,
    ended: &mpsc::Receiver<Part>,
    begun: Instant,
    longest: Duration,
) -> Result<Heard, KeyError> {
    let (mut written, mut output, mut errors) = (None, None, None);
    loop {
        match ended.recv_timeout(longest.saturating_sub(begun.elapsed())) {
            Ok(Part::Written(result)) => written = Some(result),
            Ok(Part::Output(Ok(bytes))) if bytes.len() as u64 > OUTPUT => {
                let reason = format!("it writes more than {} KiB", OUTPUT >> 10);
                return Err(failed(program, reason));
            }
            Ok(Part::Output(result)) => output = Some(result),
            Ok(Part::Errors(result)) => errors = Some(result.unwrap_or_default()),
            Err(_) => return Err(late(program, longest)),
        }
        match (written, output, errors) {
            (Some(written), Some(output), Some(errors)) => {
                return Ok(Heard {
                    written,
                    output,
                    errors,
                });
            }
            missing => (written, output, errors) = missing,
        }
    }
}

/// Waits for a program that may have closed its pipes and stay.
fn ends(program: &str, child: &mut Child, begun: Instant, longest: Duration) -> Result<(), KeyError> {
    loop {
        match child.try_wait() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) if begun.elapsed() < longest => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => return Err(late(program, longest)),
            Err(error) => return Err(failed(program, error.to_string())),
        }
    }
}

fn failed(program: &str, reason: String) -> KeyError {
    KeyError::Command {
        program: program.to_owned(),
        reason,
    }
}

/// What a thread brings back.
enum Part {
    Written(std::io::Result<()>),
    Output(std::io::Result<Vec<u8>>),
    Errors(std::io::Result<Vec<u8>>),
}

/// Reads a pipe to its end, or to one byte more than is allowed.
fn read(
    pipe: Option<impl Read + Send + 'static>,
    send: mpsc::Sender<Part>,
    part: impl FnOnce(std::io::Result<Vec<u8>>) -> Part + Send + 'static,
) {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let result = pipe.map_or(Ok(0), |pipe| pipe.take(OUTPUT + 1).read_to_end(&mut bytes));
        let _ = send.send(part(result.map(|_| bytes)));
    });
}

fn late(program: &str, longest: Duration) -> KeyError {
    KeyError::Command {
        program: program.to_owned(),
        reason: format!(
            "it did not end within {} seconds and was killed",
            longest.as_secs()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_program_is_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let script = |name: &str, text: &str| {
            use std::os::unix::fs::PermissionsExt as _;
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path.display().to_string()
        };
        let message = vec![b'm'; 1 << 20];
        let longest = Duration::from_secs(1);
        for (name, text, expected) in [
            ("hangs", "sleep 60", "did not end within 1 seconds"),
            (
                "leaves-a-child",
                "sleep 60 & exit 0",
                "did not end within 1 seconds",
            ),
            (
                "closes-and-stays",
                "exec <&- >&- 2>&-; sleep 60",
                "did not end within 1 seconds",
            ),
            ("writes-without-end", "yes", "writes more than 64 KiB"),
            ("fails", "echo no key >&2; exit 3", "no key"),
        ] {
            let program = script(name, text);
            let begun = Instant::now();
            let told = crate::error::with_causes(&run_for(&program, "sign", &message, longest).unwrap_err());
            assert!(told.contains(expected), "{name}: {told}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{name}");
        }
        // More than a pipe holds, written before anything is read.
        let program = script("writes-first", "head -c 60000 /dev/zero; cat > /dev/null");
        let printed = run_for(&program, "sign", &message, Duration::from_secs(20)).unwrap();
        assert_eq!(printed.len(), 60_000);
        let program = script("reads-nothing", "echo signature");
        let printed = run_for(&program, "sign", &message, Duration::from_secs(20)).unwrap();
        assert_eq!(printed, b"signature\n");
    }
}

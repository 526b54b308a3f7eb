//! Keys behind a command, for cloud key services: the key never comes here, and neither do their libraries.
//!
//! `PROGRAM public` prints the public key in PEM. `PROGRAM sign` reads the message from stdin, to its end, and writes
//! the signature to stdout, raw: 64 bytes for Ed25519, ASN.1 for ECDSA.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{KeyError, Public, Signer};
use crate::evidence::trust::PublicKey;

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
        let pem = pem::parse(printed).map_err(|error| failed(format!("it prints no PEM: {error}")))?;
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
}

/// Runs the program, words apart by blanks, without a shell.
fn run(program: &str, verb: &str, input: &[u8]) -> Result<Vec<u8>, KeyError> {
    let failed = |reason: String| KeyError::Command {
        program: program.to_owned(),
        reason,
    };
    let mut words = program.split_whitespace();
    let mut child = Command::new(words.next().unwrap_or_default())
        .args(words)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    // A program that reads nothing closes the pipe; what it prints still says whether it worked.
    let written = child
        .stdin
        .take()
        .map_or(Ok(()), |mut stdin| stdin.write_all(input));
    let output = child
        .wait_with_output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, text.trim())));
    }
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(failed(error.to_string())),
        _ => Ok(output.stdout),
    }
}

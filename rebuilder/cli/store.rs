//! `rebuilder store …`

use std::process::ExitCode;

use clap::Subcommand;

use super::Context;
use super::failure::Failure;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Read every file again and set aside those whose bytes changed
    Verify,
    /// Print where the store is
    Path,
}

pub(crate) fn run(context: &Context, command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Path => println!("{}", context.store.path().display()),
        Command::Verify => {
            let check = context.store.verify()?;
            if context.json {
                println!("{}", serde_json::to_string(&check).unwrap_or_default());
            } else {
                println!("{} files, {} MB, sound", check.sound, check.bytes / 1_000_000);
                for name in &check.corrupt {
                    println!("set aside: {name}");
                }
            }
            if !check.corrupt.is_empty() {
                return Ok(ExitCode::from(1));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! `rebuilder store …`: where the store is, and whether its files are still what they were.

use std::process::ExitCode;

use clap::Subcommand;

use super::Context;
use super::failure::Failure;
use super::output;
use crate::text::plural;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Hash every file again, and set aside those that changed
    Verify,
    /// Print the path of the store
    Path,
}

pub(crate) fn run(context: &Context, command: &Command) -> Result<ExitCode, Failure> {
    let mut screen = output::screen();
    match command {
        Command::Path => screen.say(context.store.display()),
        Command::Verify => {
            let check = context.store.verify()?;
            if context.json {
                output::print_json(&check)?;
            } else {
                screen.say(format_args!(
                    "verified {} ({} MB)",
                    plural(check.sound, "file"),
                    check.bytes / 1_000_000
                ));
                for name in &check.corrupt {
                    screen.say(format_args!("set aside: {name}"));
                }
            }
            if !check.corrupt.is_empty() {
                output::print(&screen)?;
                return Ok(ExitCode::from(1));
            }
        }
    }
    output::print(&screen)?;
    Ok(ExitCode::SUCCESS)
}

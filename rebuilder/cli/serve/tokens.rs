//! `rebuilder serve token …`: creates, lists and revokes the tokens of workers and readers.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::options::operator::operator;
use crate::cli::{Context, output};
use crate::queue::{Holder, Queue, Scope};

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Create a token and print it; it cannot be shown again
    Add {
        /// Name of the worker or reader
        name: String,
        /// Scope of the token: worker, metrics or read; separate several with commas
        #[arg(long, value_name = "SCOPE", default_value = "worker", value_delimiter = ',')]
        scope: Vec<Scope>,
        /// Number of days until it expires [default: never]
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=36500))]
        days: Option<u32>,
    },
    /// List tokens, without their secrets
    List,
    /// Revoke a token; a running server notices within two seconds
    Revoke {
        /// Name of the worker or reader
        name: String,
    },
}

pub(super) async fn run(
    context: &Context,
    queue: &Queue,
    command: TokenCommand,
) -> Result<ExitCode, Failure> {
    match command {
        TokenCommand::Add { name, scope, days } => {
            let scopes: Vec<_> = scope.iter().map(ToString::to_string).collect();
            let what = format!("{name}: {}", scopes.join(","));
            queue.write_down(&operator(), "add-token", &what).await?;
            let token = queue.add_token(&name, &scope, days).await?;
            if context.json {
                output::print_json(&json!({"worker": name, "token": token.secret()}))?;
            } else {
                let mut screen = output::screen();
                screen.say(token.secret());
                output::print(&screen)?;
            }
        }
        TokenCommand::Revoke { name } => {
            queue.write_down(&operator(), "revoke-token", &name).await?;
            queue.revoke_token(&name).await?;
            if context.json {
                output::print_json(&json!({"worker": name, "revoked": true}))?;
            }
        }
        TokenCommand::List => {
            let tokens = queue.tokens().await?;
            if context.json {
                output::print_json_pretty(&json!({"tokens": tokens}))?;
            } else {
                let mut screen = output::screen();
                for token in &tokens {
                    screen.say(line(token));
                }
                output::print(&screen)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A token as a line for people, without its secret.
fn line(token: &Holder) -> String {
    let day = |milliseconds: i64| match jiff::Timestamp::from_millisecond(milliseconds) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => "at an unknown time".to_owned(),
    };
    let scopes: Vec<_> = token.scopes.iter().map(ToString::to_string).collect();
    let end = match (token.revoked, token.expires) {
        (Some(at), _) => format!("revoked {}", day(at)),
        (None, Some(at)) => format!("expires {}", day(at)),
        (None, None) => "valid".to_owned(),
    };
    format!(
        "{}  {}  created {}  {end}",
        token.name,
        scopes.join(","),
        day(token.created)
    )
}

//! `rebuilder doctor`: tries each backend and reports what is missing.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::failure::{Code, Failure};
use super::{Context, output};
use crate::sandbox::docker::Docker;
use crate::sandbox::embedded::Embedded;

pub(crate) async fn run(context: &Context) -> Result<ExitCode, Failure> {
    let embedded = match Embedded::new(&context.store) {
        Ok(backend) => backend.probe().await.map(|notes| (backend, notes)),
        Err(error) => Err(error),
    };
    let docker = match &embedded {
        Ok((backend, _)) => Docker::connect(&context.store, backend)
            .await
            .map(|engine| engine.description()),
        // Roots are always unpacked in a user namespace, with any backend.
        Err(_) => Docker::reach()
            .await
            .map(|version| format!("{version}; building roots requires the embedded backend")),
    };
    let mut report = BTreeMap::new();
    let works = embedded.is_ok();
    report.insert("embedded", describe(embedded.map(|(_, notes)| notes)));
    report.insert("docker", describe(docker));
    if context.json {
        output::print_json(&report)?;
    } else {
        let mut screen = output::screen();
        for (name, (works, text, help)) in &report {
            screen.say(format_args!(
                "{name}: {} ({text})",
                if *works { "works" } else { "does not work" }
            ));
            if let Some(help) = help {
                screen.say(format_args!("  help: {help}"));
            }
        }
        screen.say(format_args!("store: {}", context.store.display()));
        output::print(&screen)?;
    }
    Ok(if works {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Code::Inconclusive as u8)
    })
}

fn describe(result: Result<String, crate::sandbox::SandboxError>) -> (bool, String, Option<String>) {
    use miette::Diagnostic as _;
    match result {
        Ok(text) => (true, text, None),
        Err(error) => (
            false,
            error.to_string(),
            error.help().map(|help| help.to_string()),
        ),
    }
}

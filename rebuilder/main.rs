//! The `rebuilder` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The sandbox helper must stay single-threaded, so it branches off before anything else.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == rebuilder::sandbox::embedded::HELPER_ARGUMENT)
    {
        let status = rebuilder::sandbox::embedded::serve();
        return ExitCode::from(u8::try_from(status).unwrap_or(70));
    }
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == rebuilder::sandbox::docker::GUARD_ARGUMENT)
    {
        return ExitCode::from(rebuilder::sandbox::docker::guard());
    }
    rebuilder::cli::main()
}

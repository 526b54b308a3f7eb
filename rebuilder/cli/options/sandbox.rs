//! What isolates a build.

use clap::ValueEnum;

use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::sandbox::Sandbox;
use crate::sandbox::docker::Docker;
use crate::sandbox::embedded::Embedded;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendChoice {
    /// Same as "embedded"
    Auto,
    /// Linux namespaces, no daemon
    Embedded,
    /// A Docker engine, or the compatible socket of Podman (DOCKER_HOST)
    Docker,
}

impl BackendChoice {
    pub(crate) async fn open(
        self,
        context: &Context,
        embedded: &Embedded,
    ) -> Result<Box<dyn Sandbox>, Failure> {
        Ok(match self {
            Self::Auto | Self::Embedded => Box::new(embedded.clone()),
            Self::Docker => Box::new(Docker::connect(&context.store, embedded).await?),
        })
    }
}

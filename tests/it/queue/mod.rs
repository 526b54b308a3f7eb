//! Jobs, leases and workers: through both databases, and through everything that may happen to a process.

pub mod agreement;
mod buckets;
mod endurance;
mod faults;
mod hostile;
mod metrics;
pub mod postgres;
mod postgres_tls;
mod rates;
mod rules;
pub mod service;
mod telemetry;

//! Jobs, leases and workers: through both databases, and through everything that may happen to a process.

mod agreement;
mod faults;
mod hostile;
mod postgres;
mod rates;
mod rules;
mod service;

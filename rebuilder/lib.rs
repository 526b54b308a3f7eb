//! Rebuilds released packages from pinned inputs, compares the bytes, and signs what followed.
//!
//! ```text
//!  subject ──▶ evidence ──▶ plan ──▶ execution ──▶ comparison ──▶ verdict ──▶ attestation
//! ```
//!
//! Each arrow is a plain value that can be saved. The code that makes and reads these values is built in four storeys,
//! below. A module may use those that are told of after it, in its own storey or a lower one, and none that is told of
//! before it: the test `the_arrows_point_down` reads the `use` lines and fails on an arrow upwards.
//!
//! **Faces** are what people and programs see.
//! [`cli`] parses, calls and prints; [`server`] is what workers on other hosts speak to, and what shows results to people
//! and programs; [`report`] writes pages and terminal reports.
//!
//! **Jobs** are what the tool does.
//! [`audit`] rebuilds many subjects; [`worker`] takes jobs from a server; [`bundle`] packs a run for auditors and checks
//! such an archive; [`signer`] is the service that alone holds a key; [`agreement`] decides what several parties'
//! attestations come to; [`discover`] asks others for statements about an artifact; [`prove`] finds what a project's own
//! build depends on; [`public_log`] shows what was signed to everyone; [`attest`] states and signs what follows from a
//! run; [`rebuild`] runs a plan, compares and concludes; [`ecosystem`] plans; [`execute`] runs a plan's jobs.
//!
//! **The machine** is what has effects.
//! [`queue`] hands jobs to workers; [`memory`] is the database of audits; [`inspect`] gathers evidence and asks the
//! policy; [`credentials`] searches files for secrets; [`container`] makes roots; [`sandbox`] isolates; [`apt`] reads
//! Debian archives; [`store`] is the only way to the disk and the network.
//!
//! **Facts** have no effects.
//! [`run`] and [`plan`] are the two documents of a rebuild; [`trace`] tells who wrote the files of a build; [`rootfs`]
//! turns archives into trees; [`policy`] decides; [`evidence`] verifies what others claim; [`compare`] explains
//! differences; [`artifact`] has names and digests. Below them is what everyone may use: [`progress`], [`telemetry`],
//! [`ledger`], [`bounded`], [`deadline`], [`error`], [`text`] and [`reader`].
//!
//! Without the feature `full`, only the comparison is there, and what it stands on.
//!
//! `docs/architecture.md` follows a subject through these rooms, and has the invariants.

// One form of modules: a folder has its `mod.rs`.
#![warn(clippy::self_named_module_files)]
// The comparison alone uses a part of what lies below it.
#![cfg_attr(not(feature = "full"), allow(dead_code, unused_imports))]

// Faces.
#[cfg(feature = "full")]
pub mod cli;
#[cfg(feature = "full")]
pub mod report;
#[cfg(feature = "full")]
pub mod server;

// Jobs.
#[cfg(feature = "full")]
pub mod agreement;
#[cfg(feature = "full")]
pub mod attest;
#[cfg(feature = "full")]
pub mod audit;
#[cfg(feature = "full")]
pub mod bundle;
#[cfg(feature = "full")]
pub mod discover;
#[cfg(feature = "full")]
pub mod ecosystem;
#[cfg(feature = "full")]
pub mod execute;
#[cfg(feature = "full")]
pub mod prove;
#[cfg(feature = "full")]
pub mod public_log;
#[cfg(feature = "full")]
pub mod rebuild;
#[cfg(feature = "full")]
pub mod signer;
#[cfg(feature = "full")]
pub mod worker;

// The machine.
#[cfg(feature = "full")]
pub mod apt;
#[cfg(feature = "full")]
pub mod container;
#[cfg(feature = "full")]
pub mod credentials;
#[cfg(feature = "full")]
pub mod inspect;
#[cfg(feature = "full")]
pub mod memory;
#[cfg(feature = "full")]
pub mod queue;
#[cfg(feature = "full")]
pub mod sandbox;
#[cfg(feature = "full")]
pub mod store;

// Facts.
pub mod artifact;
#[cfg(feature = "full")]
pub mod bounded;
pub mod compare;
pub mod deadline;
pub mod error;
#[cfg(feature = "full")]
pub mod evidence;
#[cfg(feature = "full")]
pub mod ledger;
#[cfg(feature = "full")]
pub mod plan;
#[cfg(feature = "full")]
pub mod policy;
#[cfg(feature = "full")]
pub mod progress;
#[doc(hidden)]
pub mod reader;
#[cfg(feature = "full")]
pub mod rootfs;
#[cfg(feature = "full")]
pub mod run;
#[cfg(feature = "full")]
pub mod telemetry;
pub mod text;
#[cfg(feature = "full")]
pub mod trace;

#[cfg(all(test, feature = "full"))]
mod storeys;

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
//! [`cli`] parses, calls and prints; [`report`] writes pages and terminal reports.
//!
//! **Jobs** are what the tool does.
//! [`audit`] rebuilds many subjects; [`bundle`] packs a run for auditors and checks such an archive; [`signer`] is the
//! service that alone holds a key; [`agreement`] decides what several parties' attestations come to; [`attest`] states
//! and signs what follows from a run; [`rebuild`] runs a plan, compares and concludes; [`ecosystem`] plans;
//! [`execute`] runs a plan's jobs.
//!
//! **The machine** is what has effects.
//! [`inspect`] gathers evidence and asks the policy; [`credentials`] searches files for secrets; [`container`] makes
//! roots; [`sandbox`] isolates; [`apt`] reads Debian archives; [`store`] is the only way to the disk and the network.
//!
//! **Facts** have no effects.
//! [`run`] and [`plan`] are the two documents of a rebuild; [`rootfs`] turns archives into trees; [`policy`] decides;
//! [`evidence`] verifies what others claim; [`compare`] explains differences; [`artifact`] has names and digests.
//! Below them are what everyone may use: [`progress`], [`ledger`], [`bounded`], [`deadline`], [`error`] and [`text`].
//!
//! `docs/architecture.md` follows a subject through these rooms, and has the invariants.

// Faces.
pub mod cli;
pub mod report;

// Jobs.
pub mod agreement;
pub mod attest;
pub mod audit;
pub mod bundle;
pub mod ecosystem;
pub mod execute;
pub mod rebuild;
pub mod signer;

// The machine.
pub mod apt;
pub mod container;
pub mod credentials;
pub mod inspect;
pub mod sandbox;
pub mod store;

// Facts.
pub mod artifact;
pub mod bounded;
pub mod compare;
pub mod deadline;
pub mod error;
pub mod evidence;
pub mod ledger;
pub mod plan;
pub mod policy;
pub mod progress;
pub mod rootfs;
pub mod run;
pub mod text;

#[cfg(test)]
mod storeys;

//! Rebuilds released packages from pinned inputs, compares the bytes, and signs what came out.
//!
//! ```text
//!  subject ──▶ evidence ──▶ plan ──▶ run ──▶ comparison ──▶ verdict ──▶ attestation
//! ```
//!
//! Each arrow is a plain value; data flows one way.
//!
//! 1. [`artifact`]: a [`Subject`](artifact::Subject) names what was released.
//! 2. [`evidence`]: what is claimed of it, verified; signature and provenance are two findings.
//! 3. [`policy`]: what that evidence must show before anything is built.
//! 4. [`ecosystem`]: makes a [`Plan`](plan::Plan) of subject and claims, every input pinned by digest.
//! 5. [`container`] and [`sandbox`]: a root from a lock, and the isolation that a build runs in.
//! 6. [`rebuild`]: the main job: follows a plan to a [`Record`](rebuild::Record).
//! 7. [`attempts`]: the same again with another assumption, where the bytes speak against one.
//! 8. [`compare`]: where released and rebuilt bytes differ.
//! 9. [`attest`] and [`report`]: the signed statement, and the page for people; [`signer`] is the service that alone
//!    has the key.
//! 10. [`agreement`]: what several parties say about the same bytes, and whether that is enough.
//! 11. [`dossier`]: all of it in one archive, for auditors.
//! 12. [`audit`]: the same for many subjects, one after the other and side by side.
//!
//! Below them, [`store`] is the only way to the disk and the network, [`progress`] the only way to the
//! screen while something runs, and [`ledger`] knows what the time went into. Whatever a person is shown goes through
//! [`text`]. `docs/architecture.md` has the invariants.

pub mod agreement;
pub mod artifact;
pub mod attempts;
pub mod attest;
pub mod audit;
pub mod bounded;
pub mod cli;
pub mod compare;
pub mod container;
pub mod credentials;
pub mod deadline;
pub mod dossier;
pub mod ecosystem;
pub mod evidence;
pub mod ledger;
pub mod plan;
pub mod policy;
pub mod progress;
pub mod rebuild;
pub mod report;
pub mod sandbox;
pub mod signer;
pub mod store;
pub mod text;

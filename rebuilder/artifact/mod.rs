//! What is being rebuilt: names of released artifacts and the digests that identify their bytes.
//!
//! Nothing here touches the network or the disk; `store` fetches, `evidence` verifies.

mod digest;
mod subject;

pub use digest::{DigestError, HashingReader, HashingWriter, Sha256};
pub use subject::{DebSubject, PypiSubject, Subject, SubjectError};

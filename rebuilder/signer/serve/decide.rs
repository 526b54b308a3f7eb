//! What becomes of a run that was handed in: looked at, counted among the workers with the same outcome, and signed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use super::RunningService;
use crate::artifact::Sha256;
use crate::artifact::serialise::{self, SerialiseError};
use crate::attest::log::{Anchor, Event};
use crate::attest::{
    Agreeing, AttestError, Attestor, Extra, Handed, Inventory, Signed, VerifiedRun, Vouched, Wanted,
    verify_digested,
};
use crate::error::with_causes;
use crate::signer::outcomes::{Handing, held};
use crate::signer::snapshot::OpenedRun;
use crate::signer::{Reply, Request, SignerError};

impl RunningService {
    /// Everything between the question and the key.
    pub(super) async fn decide(
        self: &Arc<Self>,
        request: Request,
        uid: u32,
        worker: &str,
        turn: &Arc<OwnedSemaphorePermit>,
        until: Instant,
    ) -> Result<Reply, SignerError> {
        let service = &self.service;
        let Request { run, extras, .. } = request;
        let allowed = service.runs.clone();
        let mut opened = apart(turn, move || OpenedRun::open(&run, uid, &allowed, until)).await?;
        service.admission.record(&opened.record)?;
        let released = service
            .admission
            .released(&opened.plan, std::mem::take(&mut opened.documents))
            .await?;
        let released = Arc::new(released);
        let (this, known) = (self.clone(), released.clone());
        let (snapshot, examined) = apart(turn, move || {
            let budget = this.budgets.get(&uid).ok_or(SignerError::Stranger { uid })?;
            let size = |sha256| known.size(sha256);
            let snapshot = opened.outputs(size, this.scratch.path(), budget)?;
            let examined = verify_digested(&snapshot.digested, &snapshot.run(), this.service.page)?;
            Ok((snapshot, examined))
        })
        .await?;
        drop(snapshot);
        let mut vouched = service.admission.vouch(&examined, &released).await?;
        let (place, workers, otherwise) = self.submit(&examined, &vouched, worker).await?;
        if workers.len() < service.needed {
            return Ok(Reply::Waiting {
                agree: workers.len(),
                needed: service.needed,
                otherwise,
            });
        }
        let own = vouched.words(&examined.plan, &examined.record)?;
        let others = workers.iter().filter(|(name, _)| *name != worker);
        vouched.agreement = others
            .map(|(_, other)| Agreeing {
                plan: other.plan,
                differing: other.stated.as_ref().and_then(|other| own.differing(other)),
            })
            .collect();
        let workers = workers.into_keys().collect();
        let this = self.clone();
        let signed = apart(turn, move || {
            this.sign(&examined, vouched, workers, place, extras)
        })
        .await?;
        Ok(Reply::Signed(Box::new(signed)))
    }

    /// Writes a run down that may be signed, and counts it: gives its place in the log, the workers with the same outcome
    /// and what each handed in, and how many had another one.
    async fn submit(
        &self,
        examined: &VerifiedRun,
        vouched: &Vouched,
        worker: &str,
    ) -> Result<(Anchor, BTreeMap<String, Handing>, usize), SignerError> {
        let record = &examined.record;
        let (outcome, stated) = (outcome(examined)?, vouched.words(&examined.plan, record)?);
        self.not_replayed((worker.to_owned(), record.id.clone()), examined.digest)?;
        let listed = stated
            .values
            .iter()
            .flat_map(|(name, value)| [name.len(), value.len(), 8]);
        let length = listed
            .chain([record.subject.len(), 800])
            .fold(0, usize::saturating_add);
        if !self.allows(worker, length) {
            return Err(SignerError::Busy);
        }
        let event = Event::Submitted {
            run: record.id.clone(),
            subject: record.subject.clone(),
            plan: record.plan,
            record: examined.digest,
            outcome,
            worker: worker.to_owned(),
            stated: Some(stated.clone()),
        };
        let place = self.note(event).await?;
        // Counted after it is written down: a run that waits is not forgotten when the signer is ended.
        let handing = Handing {
            plan: record.plan,
            stated: Some(stated),
        };
        let mut outcomes = held(&self.outcomes);
        outcomes.add(&record.subject, outcome, worker, handing);
        let (workers, otherwise) = outcomes.of(&record.subject, outcome);
        Ok((place, workers, otherwise))
    }

    /// A run has one record: who hands in another one under its name tries something. The first one that comes takes the
    /// name.
    fn not_replayed(&self, name: (String, String), record: Sha256) -> Result<(), SignerError> {
        let id = name.1.clone();
        let known = *held(&self.outcomes).records.entry(name).or_insert(record);
        if known == record {
            Ok(())
        } else {
            Err(SignerError::Replayed { id })
        }
    }

    fn sign(
        &self,
        examined: &VerifiedRun,
        vouched: Vouched,
        workers: Vec<String>,
        place: Anchor,
        extras: BTreeSet<Extra>,
    ) -> Result<Signed, SignerError> {
        let service = &self.service;
        // Asked each time, so that a revocation holds from the next request on.
        Inventory::check_signer(&service.inventory, service.signer.as_ref(), Timestamp::now())
            .map_err(AttestError::from)?;
        let office = Attestor {
            signer: service.signer.as_ref(),
            builder_id: service.builder_id.clone(),
            host: service.host.clone(),
            log: &service.log,
            negatives: service.negatives,
            // The statement is what workers wait for; what has no word for it is left out.
            wanted: Wanted {
                extras,
                only_fitting: true,
            },
            again: false,
        };
        let handed = Handed {
            vouched,
            workers,
            place,
        };
        let signed = office.sign_handed(examined, handed)?;
        // The line is in the private log, so what cannot be shown now is shown with the next one.
        if let Some(Err(error)) = service
            .publication
            .as_ref()
            .map(|shown| shown.publish(office.signer))
        {
            (service.trouble)(&format!(
                "cannot publish the signed statement: {}",
                with_causes(&error)
            ));
        }
        Ok(signed)
    }
}

/// Does work that waits or computes in a separate thread, which holds the worker's turn until it is done.
async fn apart<T: Send + 'static>(
    turn: &Arc<OwnedSemaphorePermit>,
    work: impl FnOnce() -> Result<T, SignerError> + Send + 'static,
) -> Result<T, SignerError> {
    let turn = turn.clone();
    let work = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(turn);
        done
    });
    work.await
        .map_err(|error| SignerError::Request(error.to_string()))?
}

/// What workers must agree on: the verdict, and the digest of every output.
fn outcome(examined: &VerifiedRun) -> Result<Sha256, SerialiseError> {
    let record = &examined.record;
    let mut outputs: Vec<_> = record
        .outputs
        .iter()
        .map(|output| (&output.name, output.rebuilt))
        .collect();
    outputs.sort();
    let all = (&record.subject, record.verdict.to_string(), outputs);
    serialise::canonical("the outcome", &all).map(Sha256::of)
}

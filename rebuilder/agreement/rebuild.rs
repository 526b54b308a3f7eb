//! Reads the predicate that has a word for every result of a rebuild (`docs/rebuild-predicate.md`).

use super::testimony::{Kind, Reading, RebuildClaim};
use super::{Inputs, Reason};
use crate::attest::predicate::{DigestSet, OutputOutcome, OwnPredicate, PLAN, RebuildResult, ResultOutcome};
use crate::evidence::assess::Artifact;
use crate::evidence::statement::Statement;

/// What the result says of an artifact; `says` is what the subjects say.
pub(super) fn read(
    statement: &Statement,
    artifact: &Artifact,
    says: &RebuildClaim,
) -> Result<Reading, (Reason, String)> {
    let unreadable = |why: String| (Reason::Unreadable, why);
    let result = match OwnPredicate::read(statement) {
        Ok(Some(OwnPredicate::Result(result))) => *result,
        Ok(_) => return Err(unreadable("it is not the result of a rebuild".into())),
        Err(error) => return Err(unreadable(format!("it is not a result of this form: {error}"))),
    };
    if let Some(why) = result.contradiction() {
        return Err(unreadable(format!("it contradicts itself: {why}")));
    }
    // The subjects are what was released, so another digest under this name says nothing of these bytes.
    if *says != RebuildClaim::Same {
        return Err((
            Reason::WrongSubject,
            "it is about another release of this name".into(),
        ));
    }
    let (kind, says) = claim(&result, artifact)?;
    let definition = result.definition.as_ref();
    let plan = definition.filter(|it| it.name.as_deref() == Some(PLAN));
    let plan = plan.and_then(|plan| plan.digest.get_sha256()).map(str::to_owned);
    let values = result.assumptions.iter();
    let values = values.map(|it| (it.name.clone(), it.value.clone()));
    let inputs = Inputs::of_result(&statement.predicate, plan, values.collect());
    Ok(Reading {
        builder: result.rebuilder.id,
        invocation: result.metadata.invocation_id,
        stated: result.metadata.finished_on.or(result.metadata.started_on),
        statement: Some(statement.digest),
        ..Reading::new(kind, says, inputs)
    })
}

/// The claim about one released file.
fn claim(result: &RebuildResult, artifact: &Artifact) -> Result<(Kind, RebuildClaim), (Reason, String)> {
    let sha256 = artifact.digests.sha256.to_hex();
    let is_it = |digests: &Option<DigestSet>| {
        digests.as_ref().and_then(DigestSet::get_sha256) == Some(sha256.as_str())
    };
    let outputs: Vec<_> = result.outputs.iter().filter(|it| is_it(&it.released)).collect();
    let output = outputs.first();
    let rebuilt = output.and_then(|output| output.rebuilt.as_ref()?.get_sha256());
    let rebuilt = rebuilt.map(|digest| format!("sha256:{digest}"));
    match result.outcome {
        ResultOutcome::Inconclusive => Err((Reason::NoBuild, "the rebuild was inconclusive".into())),
        ResultOutcome::NotReproduced => Err((
            Reason::NoBuildFound,
            "no build was found that produces these bytes, which counts neither for nor against them".into(),
        )),
        ResultOutcome::Mismatch => Ok((
            Kind::FailedRebuild,
            RebuildClaim::Differs {
                // If the file itself was reproduced, something else came out beside it.
                rebuilt: rebuilt.filter(|digest| *digest != format!("sha256:{sha256}")),
            },
        )),
        ResultOutcome::Reproduced | ResultOutcome::Equivalent => match output {
            Some(output) if output.outcome == OutputOutcome::Reproduced => {
                Ok((Kind::Rebuild, RebuildClaim::Same))
            }
            Some(output) => Ok((
                Kind::Equivalence,
                RebuildClaim::Equivalent {
                    rebuilt,
                    normalisations: output.set_aside.iter().map(|it| it.name.clone()).collect(),
                },
            )),
            None => Err((
                Reason::Unreadable,
                "its outputs do not contain the file that it is about".into(),
            )),
        },
    }
}

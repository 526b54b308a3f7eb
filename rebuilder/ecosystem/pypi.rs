//! x
use super::{PlanError, Planner};
use crate::artifact::PypiSubject;
use crate::plan::Plan;
pub(super) async fn plan(_planner: &Planner<'_>, _subject: &PypiSubject) -> Result<Plan, PlanError> { unreachable!() }

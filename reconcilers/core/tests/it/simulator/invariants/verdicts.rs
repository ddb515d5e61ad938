//! What must hold of verdicts.

use super::{Findings, Invariant};
use crate::judge::verdict;
use crate::simulator::actor::schemas;
use crate::simulator::world::{World, expected};

/// I24: "reported verdict = oracle's verdict (independent slow differ)", and I21: "failure in scope A changes no verdict in B": what
/// was shown has its verdict, whatever else was not.
pub fn check(world: &World, findings: &mut Findings) {
    let [widget, secret] = schemas();
    for round in &world.notes.rounds[findings.rounds..] {
        let declared = &world.source.commits[round.commit].desired;
        for (id, (shown, said)) in &round.judged {
            *findings.checks.entry(Invariant::Isolation).or_default() += 1;
            let Some(said) = said else {
                let how = format!("{id} was shown, and has no verdict");
                findings.violations.push(super::Violation { invariant: Invariant::Isolation, how });
                continue;
            };
            let schema = if id.is_secret() { &secret } else { &widget };
            let desired = &declared[id];
            let wanted = verdict(schema, desired, &expected(desired), &shown.value);
            *findings.checks.entry(Invariant::VerdictTruth).or_default() += 1;
            if *said != wanted {
                let how = format!("{id}: {said:?}, and the judge says {wanted:?}");
                findings.violations.push(super::Violation { invariant: Invariant::VerdictTruth, how });
            }
        }
    }
    findings.rounds = world.notes.rounds.len();
}

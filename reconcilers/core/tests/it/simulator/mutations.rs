//! Programs, servers and disks that are broken on purpose, each with the invariant that must show it.

use super::invariants::Invariant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    WritesWhatIsForPeople,
    LeavesOutPreconditions,
    ServerIgnoresVersions,
    SendsBeforeTheIntent,
    SendsAgainBlindly,
    ProposesOnNewBranches,
    ResolvesNothing,
    SendsTheWholeObject,
    CountsNoWrites,
    HearsNoHold,
    CountsNoFights,
    TellsPeopleEachTime,
    TrustsTheTable,
    DeletesWhatDrifts,
    TellsSecrets,
    UndoesOverOthers,
    RecordsOtherDecisions,
    LosesARecord,
    MovesInTheMiddle,
    FollowsAnyHistory,
    GivesUpWhereOneListFails,
    KnowsTheFirstObjectAlone,
    OverlooksWhatIsGone,
}

/// What is broken, and which invariant says so.
pub const MUTATIONS: [(Mutation, Invariant); 25] = [
    (Mutation::WritesWhatIsForPeople, Invariant::PolicyGate),
    (Mutation::LeavesOutPreconditions, Invariant::NoStaleWrite),
    (Mutation::ServerIgnoresVersions, Invariant::ReadYourWrites),
    (Mutation::SendsBeforeTheIntent, Invariant::NoWriteWithoutEntry),
    (Mutation::SendsAgainBlindly, Invariant::NoWriteWithoutEntry),
    (Mutation::ProposesOnNewBranches, Invariant::OneProposal),
    (Mutation::ResolvesNothing, Invariant::Convergence),
    (Mutation::SendsAgainBlindly, Invariant::NoNoOp),
    (Mutation::SendsTheWholeObject, Invariant::Minimality),
    (Mutation::CountsNoWrites, Invariant::Budget),
    (Mutation::HearsNoHold, Invariant::Budget),
    (Mutation::CountsNoFights, Invariant::NoFight),
    (Mutation::TellsPeopleEachTime, Invariant::NoFight),
    (Mutation::TrustsTheTable, Invariant::FailClosed),
    (Mutation::DeletesWhatDrifts, Invariant::Deletes),
    (Mutation::TellsSecrets, Invariant::Noninterference),
    (Mutation::UndoesOverOthers, Invariant::Rollback),
    (Mutation::RecordsOtherDecisions, Invariant::Replay),
    (Mutation::LosesARecord, Invariant::Ledger),
    (Mutation::MovesInTheMiddle, Invariant::Pinning),
    (Mutation::FollowsAnyHistory, Invariant::Pinning),
    (Mutation::GivesUpWhereOneListFails, Invariant::Isolation),
    (Mutation::KnowsTheFirstObjectAlone, Invariant::TriggerIndependence),
    (Mutation::OverlooksWhatIsGone, Invariant::VerdictTruth),
    (Mutation::KnowsTheFirstObjectAlone, Invariant::Convergence),
];

//! Laws of the core: what must hold for every object, schema, edit and policy.

mod accounting;
mod comparing;
mod leftover;
mod conditions;
mod deciding;
mod freezing;
mod generate;
mod guarding;
mod ignoring;
mod indexing;
mod judge;
mod policies;
mod proving;
mod reaching;
mod repairing;
mod simulator;
mod unreachable;
mod weighing;

//! Laws of the core: what must hold for every object, schema, edit and policy.

mod accounting;
mod comparing;
mod leftover;
mod deciding;
mod generate;
mod judge;
mod policies;
mod repairing;
mod weighing;

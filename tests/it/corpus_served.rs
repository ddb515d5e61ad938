//! All objects of the real manifests below `TRUEUP_CORPUS`, on a real API server and seen by the shipped account: put there
//! in each way that `kubectl` has, and edited by hand in every way that we could think of.

mod api;
mod objects;
mod ground;
mod read_back;
mod schema;
mod judge;
mod call;
mod values;
mod edit;
mod live;
mod words;
mod tally;
mod verdict;
mod repair;
mod planted;

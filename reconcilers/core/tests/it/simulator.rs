//! A seeded simulator: API server, Git, forge, disk, clock and people in memory, around the real core and run machine. Each seed is a
//! world of some tens of steps in which anything may fail or be killed; after each step every invariant is checked over all that
//! happened. What is around the core is a model (`actor.rs` names the files), so this shows what the order of steps is worth, and the
//! tests with failpoints and on real servers show that the program keeps it.
//!
//! `TRUEUP_SEEDS` says how many worlds, `TRUEUP_SEED` names one of them. `scripts/soak` runs many.

mod actor;
mod disk;
mod forge;
mod invariants;
mod mutations;
mod notes;
mod people;
mod server;
mod source;
mod world;

use std::collections::BTreeMap;

use invariants::{ALL, Findings, Invariant, check, end, noninterference};
use mutations::{MUTATIONS, Mutation};
use world::World;

/// The worlds of a run without `TRUEUP_SEEDS`.
const SEEDS: u64 = 10_000;
/// Steps of a world, each a round of the program or something that others do.
const STEPS: usize = 14;
/// Each so many worlds is run twice, with other secret bytes.
const SECRETS: u64 = 16;
/// Each so many worlds comes to rest by a second way as well.
const WAYS: u64 = 4;
/// Within so many seeds each thing that is broken on purpose is caught.
const CAUGHT_WITHIN: u64 = 1_000;

/// One world from its beginning to its rest.
fn simulate(seed: u64, broken: Option<Mutation>, wanted: Option<Invariant>) -> (Findings, u64) {
    let mut findings = Findings::default();
    let mut world = live(seed, broken, "alpha-secret", &mut findings, wanted);
    if seed.is_multiple_of(SECRETS) {
        let mut other = live(seed, broken, "omega-secret", &mut Findings::default(), None);
        noninterference(&world, &other, &mut findings);
        other.pass(1);
    }
    if !is_found(&findings, wanted) {
        end(&mut world, seed.is_multiple_of(WAYS), &mut findings);
    }
    (findings, world.tick)
}

fn is_found(findings: &Findings, wanted: Option<Invariant>) -> bool {
    findings.violations.iter().any(|violation| wanted.is_none_or(|wanted| wanted == violation.invariant))
}

/// The steps of a world in which anything may happen.
fn live(seed: u64, broken: Option<Mutation>, salt: &'static str, findings: &mut Findings, wanted: Option<Invariant>) -> World {
    let mut world = World::of(seed, broken, salt);
    for _ in 0..STEPS {
        let what = world.dice.roll(8);
        if what == 4 {
            world.crash_within(24);
        }
        let done = match what {
            0..=2 => {
                people::act(&mut world);
                Ok(())
            }
            3 => people::undo(&mut world),
            _ => actor::round(&mut world),
        };
        // What was killed, or had no ledger to write to, begins anew.
        if done.is_err() {
            world.restart();
        }
        let seconds = i64::try_from(world.dice.roll(90)).expect("small");
        world.pass(seconds);
        check(&world, findings);
        if is_found(findings, wanted) {
            break;
        }
    }
    world
}

/// What the environment asks for.
#[expect(clippy::disallowed_methods, reason = "how many worlds there are is said from outside")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[derive(Default)]
struct Sum {
    steps: u64,
    checks: BTreeMap<Invariant, u64>,
    broken: Vec<String>,
}

/// Every second seed of these, or every n-th.
fn simulate_all(seeds: std::ops::Range<u64>, step: usize) -> Sum {
    let mut sum = Sum::default();
    for seed in seeds.step_by(step) {
        let (findings, steps) = simulate(seed, None, None);
        sum.steps += steps;
        for (invariant, checks) in findings.checks {
            *sum.checks.entry(invariant).or_default() += checks;
        }
        if let Some(violation) = findings.violations.first() {
            sum.broken.push(format!(
                "seed {seed}: {}: {}\n  TRUEUP_SEED={seed} cargo test -p trueup-core --test it simulator::no_invariant_breaks_in_any_world",
                violation.invariant, violation.how
            ));
        }
    }
    sum
}

#[test]
#[expect(clippy::disallowed_macros, reason = "how much was looked at is said to whoever asks for it")]
fn no_invariant_breaks_in_any_world() {
    let seeds = match asked("TRUEUP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("TRUEUP_SEEDS").unwrap_or(SEEDS),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    #[expect(clippy::disallowed_methods, reason = "worlds know nothing of each other")]
    let worker = |first: usize| {
        let from = seeds.start + u64::try_from(first).expect("few threads");
        let seeds = from..seeds.end;
        std::thread::spawn(move || simulate_all(seeds, threads))
    };
    let workers: Vec<_> = (0..threads).map(worker).collect();
    let mut all = Sum::default();
    for worker in workers {
        let sum = worker.join().expect("a worker ends");
        all.steps += sum.steps;
        all.broken.extend(sum.broken);
        for (invariant, checks) in sum.checks {
            *all.checks.entry(invariant).or_default() += checks;
        }
    }
    println!("{} seeds, {} steps, {} broken", seeds.end - seeds.start, all.steps, all.broken.len());
    for invariant in ALL {
        println!("{invariant}: {} checks", all.checks.get(&invariant).copied().unwrap_or_default());
    }
    assert!(all.broken.is_empty(), "{} of them:\n{}", all.broken.len(), all.broken.join("\n"));
}

#[test]
#[expect(clippy::disallowed_macros, reason = "how much was looked at is said to whoever asks for it")]
fn what_is_broken_on_purpose_is_caught_by_its_invariant() {
    for invariant in ALL {
        assert!(MUTATIONS.iter().any(|(_, breaks)| *breaks == invariant), "nothing breaks {invariant}");
    }
    let mut missed = Vec::new();
    for (mutation, invariant) in MUTATIONS {
        let caught =
            (0..CAUGHT_WITHIN).find(|seed| is_found(&simulate(*seed, Some(mutation), Some(invariant)).0, Some(invariant)));
        let Some(seed) = caught else {
            missed.push(format!("{mutation:?} is not caught by {invariant}"));
            continue;
        };
        println!("{mutation:?} is caught by {invariant} at seed {seed}");
    }
    assert!(missed.is_empty(), "within {CAUGHT_WITHIN} seeds: {}", missed.join("; "));
}

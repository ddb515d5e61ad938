//! Planted changes: random edits of the corpus on a real server. The server is the judge: where an object, as admitted,
//! says something else than before, trueup must find exactly that path, and nothing anywhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};
use trueup_core::path::Path;

use super::edit::{Dice, EDITS};
use super::ground::{Ground, Way};
use super::judge::changes;
use super::live::{Live, snapshot};
use super::objects::{Object, group, label};
use super::read_back::look;
use super::schema::Schemas;

/// Seeds whose edits once showed a fault; tried first, each time.
const KEPT: &str = include_str!("seeds.txt");

/// Edits under one seed: at most one an object, then one look.
const BATCH: usize = 120;

/// How many edits, where `TRUEUP_PLANTED` does not say.
const EDITS_BY_DEFAULT: usize = 300;

/// One edit that the server took.
struct Planted {
    object: String,
    edit: usize,
    told: String,
    /// The paths at which the server's answer differs from the object before.
    changed: BTreeSet<Path>,
}

/// What came of one type of edit.
#[derive(Default, Clone)]
struct Tally {
    planted: usize,
    refused: usize,
    of_meaning: usize,
    found: usize,
    missed: usize,
    wrong: usize,
}

#[test]
fn planted_changes_are_found_and_nothing_else() {
    let Some(mut ground) = Ground::new() else { return };
    let (moved, definitions) = ground.prepare("planted", Way::Apply);
    let put = ground.put(Way::Apply, &moved.objects);
    let objects: Vec<Object> = definitions.admitted.into_iter().chain(put.admitted).collect();
    ground.declare("planted", &objects);
    let schemas = Schemas::read(&ground.api);
    let field = Field { ground: &ground, schemas: &schemas, objects: &objects };
    let wanted = std::env::var("TRUEUP_PLANTED").map_or(EDITS_BY_DEFAULT, |count| count.parse().unwrap());
    let (mut tallies, mut faults) = (vec![Tally::default(); EDITS.len()], Vec::new());
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let kept = KEPT.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let mut kept: Vec<u64> = kept.collect();
    kept.reverse();
    for fresh in 0.. {
        let planted: usize = tallies.iter().map(|tally| tally.planted).sum();
        let seed = match kept.pop() {
            Some(seed) => seed,
            None if planted >= wanted => break,
            None => since.wrapping_mul(1000) + fresh,
        };
        faults.extend(field.batch(seed, wanted.saturating_sub(planted).clamp(1, BATCH), &mut tallies));
    }
    print!("{}", table(&tallies));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Where the edits are made.
struct Field<'a> {
    ground: &'a Ground,
    schemas: &'a Schemas,
    objects: &'a [Object],
}

impl Field<'_> {
    /// All edits of one seed, one look as each account, and everything put back. Returns what was missed or wrong.
    fn batch(&self, seed: u64, size: usize, tallies: &mut [Tally]) -> Vec<String> {
        let begun = std::time::Instant::now();
        let live = Live { api: &self.ground.api, ground: self.ground, kinds: self.ground.api.kinds() };
        let before = snapshot(&live, self.objects);
        let planted = self.plant(&live, &before, &mut Dice(seed), size, tallies);
        let mut faults = Vec::new();
        for (rights, world) in &self.ground.accounts {
            let (report, now) = loop {
                let first = snapshot(&live, self.objects);
                let report = look(world);
                let now = snapshot(&live, self.objects);
                let still = first.iter().all(|(key, one)| now.get(key).is_some_and(|now| changes(self.schemas, one, now).is_empty()));
                if still && first.len() == now.len() {
                    break (report, now);
                }
            };
            let verdict = self.compare(&before, &now, &planted, &report, tallies);
            faults.extend(verdict.into_iter().map(|fault| format!("seed {seed} {rights:?} {fault}")));
        }
        let now = snapshot(&live, self.objects);
        for one in &planted {
            let declared = self.objects.iter().find(|object| label(&object.value) == one.object).unwrap();
            live.put_back(self.schemas, &before[&one.object], now.get(&one.object), &declared.value);
        }
        println!("seed {seed}: {} planted, {} faults, {:.1} s", planted.len(), faults.len(), begun.elapsed().as_secs_f32());
        for fault in &faults {
            println!("  {fault}");
        }
        faults
    }

    fn plant(
        &self,
        live: &Live<'_>,
        before: &BTreeMap<String, Value>,
        dice: &mut Dice,
        size: usize,
        tallies: &mut [Tally],
    ) -> Vec<Planted> {
        let mut by_kind: BTreeMap<String, Vec<&Object>> = BTreeMap::new();
        for object in self.objects {
            by_kind.entry(format!("{}.{}", object.value["kind"], group(&object.value))).or_default().push(object);
        }
        let kinds: Vec<Vec<&Object>> = by_kind.into_values().collect();
        let (mut planted, mut edited) = (Vec::new(), BTreeSet::new());
        for _ in 0..size * 20 {
            if planted.len() == size {
                break;
            }
            let kind = dice.pick(&kinds).unwrap();
            let object = *dice.pick(kind).unwrap();
            let (edit, mut own) = (dice.roll(EDITS.len()), Dice(dice.roll(usize::MAX) as u64));
            let key = label(&object.value);
            let Some(value) = before.get(&key).filter(|_| !edited.contains(&key)) else { continue };
            let subject = super::edit::Subject::of_object(self.schemas, value, &object.value);
            let Some(call) = EDITS[edit].1(&subject, &mut own) else { continue };
            let Some(after) = live.perform(&call, value) else {
                tallies[edit].refused += 1;
                continue;
            };
            tallies[edit].planted += 1;
            let changed = changes(self.schemas, value, &after);
            tallies[edit].of_meaning += usize::from(!changed.is_empty());
            edited.insert(key.clone());
            let told = format!("{call:?}").chars().take(400).collect();
            planted.push(Planted { object: key, edit, told, changed });
        }
        planted
    }

    fn compare(
        &self,
        before: &BTreeMap<String, Value>,
        now: &BTreeMap<String, Value>,
        planted: &[Planted],
        report: &Value,
        tallies: &mut [Tally],
    ) -> Vec<String> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for finding in report["findings"].as_array().unwrap() {
            let object = &finding["object"];
            let named = json!({"apiVersion": object["apiVersion"], "kind": object["kind"],
                "metadata": {"namespace": object["namespace"], "name": object["name"]}});
            found.entry(label(&named)).or_default().insert(finding["path"].as_str().unwrap_or("missing").to_owned());
        }
        let mut faults = Vec::new();
        let edits: BTreeMap<&String, &Planted> = planted.iter().map(|one| (&one.object, one)).collect();
        for (key, was) in before {
            let edit = edits.get(key);
            let expected = self.expected(was, now.get(key), edit.map(|edit| &edit.changed));
            let seen = found.remove(key).unwrap_or_default();
            let missed: Vec<&String> = expected.difference(&seen).collect();
            let wrong: Vec<&String> = seen.difference(&expected).collect();
            if let Some(tally) = edit.map(|edit| &mut tallies[edit.edit]) {
                tally.found += usize::from(!expected.is_empty() && missed.is_empty());
                tally.missed += usize::from(!missed.is_empty());
                tally.wrong += usize::from(!wrong.is_empty());
            }
            if !missed.is_empty() || !wrong.is_empty() {
                let (kind, told) = edit.map_or(("untouched", ""), |edit| (EDITS[edit.edit].0, &edit.told));
                faults.push(format!("{key}: {kind}: missed {missed:?}, false {wrong:?} by {told}"));
            }
        }
        faults.extend(found.iter().map(|(key, paths)| format!("{key}: not in the corpus: {paths:?}")));
        for problem in report["problems"].as_array().unwrap() {
            if problem["code"] != "no-baseline" {
                faults.push(format!("problem: {problem}"));
            }
        }
        faults
    }

    /// What has to be found of one object: where it differs from before by the edit and not by a controller's hand. Custom
    /// resources have no controller here, and change with their definitions.
    fn expected(&self, before: &Value, now: Option<&Value>, changed: Option<&BTreeSet<Path>>) -> BTreeSet<String> {
        let Some(now) = now else { return BTreeSet::from(["missing".to_owned()]) };
        let is_custom = group(before).ends_with("monitoring.coreos.com");
        let differing = changes(self.schemas, before, now).into_iter();
        let by_edit = differing.filter(|path| is_custom || changed.is_some_and(|changed| changed.contains(path)));
        by_edit.map(|path| path.to_string()).collect()
    }
}

fn table(tallies: &[Tally]) -> String {
    let mut text = format!("{:<26}{:>8}{:>9}{:>9}{:>8}{:>8}{:>8}\n", "edit", "planted", "refused", "meaning", "found", "missed", "false");
    let mut all = Tally::default();
    let mut line = |name: &str, tally: &Tally| {
        let Tally { planted, refused, of_meaning, found, missed, wrong } = tally;
        writeln!(text, "{name:<26}{planted:>8}{refused:>9}{of_meaning:>9}{found:>8}{missed:>8}{wrong:>8}").unwrap();
    };
    for ((name, _), tally) in EDITS.iter().zip(tallies) {
        line(name, tally);
        all.planted += tally.planted;
        all.refused += tally.refused;
        all.of_meaning += tally.of_meaning;
        all.found += tally.found;
        all.missed += tally.missed;
        all.wrong += tally.wrong;
    }
    line("all", &all);
    text
}

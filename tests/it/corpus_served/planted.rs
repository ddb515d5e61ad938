//! Planted changes: random edits of the corpus on a real server. The server is the judge: where an object, as admitted,
//! says something else than before, trueup must find exactly that path, and nothing anywhere else.
//!
//! Runs only where `TRUEUP_PLANTED` says how many edits: of a thousand random ones, some still show a case that the judge
//! does not know, mostly a controller that writes behind an edit or behind its being put back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};
use trueup_core::path::{Path, Segment};

use super::edit::{Call, Dice, EDITS, Subject};
use super::ground::{Ground, Way};
use super::judge::{changes, is_custom, is_said};
use super::live::{Live, is_tracked, snapshot};
use super::objects::{Object, group, label};
use super::read_back::look;
use super::schema::Schemas;

/// Seeds whose edits once showed a fault; tried first, each time.
const KEPT: &str = include_str!("seeds.txt");

/// Edits under one seed: at most one an object, then one look.
const BATCH: usize = 120;

/// On how many objects an edit is tried.
const TRIES: usize = 10;

/// Annotations that count changes of a template.
const COUNTS: [&str; 2] = ["deprecated.daemonset.template.generation", "deployment.kubernetes.io/revision"];

/// Fields of a Service that the server allocates when another one asks for it.
const ALLOCATED: [&str; 6] = ["healthCheckNodePort", "nodePort", "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"];

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
    /// Only something that Git never said is gone: nothing to find.
    unsaid: usize,
    missed: usize,
    wrong: usize,
}

#[test]
fn planted_changes_are_found_and_nothing_else() {
    let Ok(wanted) = std::env::var("TRUEUP_PLANTED").map(|count| count.parse::<usize>().unwrap()) else {
        return eprintln!("not run: TRUEUP_PLANTED says how many edits are made");
    };
    let Some(mut ground) = Ground::new() else { return };
    let (moved, definitions) = ground.prepare("planted", Way::Apply);
    let put = ground.put(Way::Apply, &moved.objects);
    let objects: Vec<Object> = definitions.admitted.into_iter().chain(put.admitted).collect();
    ground.declare("planted", &objects);
    let schemas = Schemas::read(&ground.api);
    let (mut tallies, mut faults) = (vec![Tally::default(); EDITS.len()], Vec::new());
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    for (rights, world) in &ground.accounts {
        assert_eq!(found(&look(world)), BTreeMap::new(), "{rights:?}, before any edit");
    }
    let field = Field { ground: &ground, schemas: &schemas, objects: &objects };
    let kept = KEPT.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let mut kept: Vec<u64> = kept.collect();
    kept.reverse();
    for fresh in 0.. {
        let planted: usize = tallies.iter().map(|tally| tally.planted).sum();
        let (seed, size) = match kept.pop() {
            Some(seed) => (seed, BATCH),
            None if planted >= wanted => break,
            None => (since.wrapping_mul(1000) + fresh, (wanted - planted).min(BATCH)),
        };
        faults.extend(field.batch(seed, size, &mut tallies));
    }
    println!("found, missed and false count both accounts:");
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
        let planted = self.plant(&live, &before, (&mut Dice(seed), size), tallies);
        let mut faults = Vec::new();
        for (rights, world) in &self.ground.accounts {
            let (report, now) = loop {
                let first = snapshot(&live, self.objects);
                let report = look(world);
                let now = snapshot(&live, self.objects);
                let still =
                    first.iter().all(|(key, one)| now.get(key).is_some_and(|now| changes(self.schemas, one, now).is_empty()));
                if still && first.len() == now.len() {
                    break (report, now);
                }
            };
            let verdict = self.compare((&before, &now), &planted, &report, tallies);
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

    /// At most one edit an object; each type of edit has its turn, on objects of any kind until the server takes one.
    fn plant(
        &self,
        live: &Live<'_>,
        before: &BTreeMap<String, Value>,
        (dice, size): (&mut Dice, usize),
        tallies: &mut [Tally],
    ) -> Vec<Planted> {
        let mut by_kind: BTreeMap<String, Vec<&Object>> = BTreeMap::new();
        for object in self.objects {
            by_kind.entry(format!("{}.{}", object.value["kind"], group(&object.value))).or_default().push(object);
        }
        let kinds: Vec<Vec<&Object>> = by_kind.into_values().collect();
        let mut planted: BTreeMap<String, Planted> = BTreeMap::new();
        let first = dice.roll(EDITS.len());
        for turn in 0..size * 3 {
            if planted.len() == size {
                break;
            }
            let edit = (first + turn) % EDITS.len();
            for _ in 0..TRIES {
                let kind = dice.pick(&kinds).unwrap();
                let (object, mut own) = (*dice.pick(kind).unwrap(), Dice(u64::try_from(dice.roll(usize::MAX)).unwrap()));
                let key = label(&object.value);
                if planted.contains_key(&key) || !before.contains_key(&key) {
                    continue;
                }
                // A controller may have been at it since.
                let Some(value) = &live.read(&object.value) else { continue };
                let Some(call) = EDITS[edit].1(&Subject::of_object(self.schemas, value, &object.value), &mut own) else {
                    continue;
                };
                let Some(after) = live.perform(&call, value) else {
                    tallies[edit].refused += 1;
                    continue;
                };
                planted.insert(key.clone(), self.admitted(key, edit, &call, (value, &after)));
                break;
            }
        }
        for one in planted.values() {
            tallies[one.edit].planted += 1;
            tallies[one.edit].of_meaning += usize::from(!one.changed.is_empty());
        }
        planted.into_values().collect()
    }

    fn admitted(&self, object: String, edit: usize, call: &Call, (before, after): (&Value, &Value)) -> Planted {
        let told: String = format!("{call:?}").chars().take(400).collect();
        let mut changed = changes(self.schemas, before, after);
        // The server and a controller count changes; whoever makes one does not write the count.
        let is_count = |path: &Path| COUNTS.iter().any(|count| path.to_string().contains(count) && !told.contains(count));
        changed.retain(|path| !is_count(path));
        // What was not there, and the call does not say either, is the server's own: nobody has written it.
        let is_allocated = |path: &Path| match path.0.last() {
            Some(Segment::Key(key)) => {
                ALLOCATED.contains(&key.as_str())
                    && path.find(after).is_some()
                    && !told.contains(&format!("{key}\""))
                    && !told.contains(&format!("/{key}"))
            }
            _ => false,
        };
        changed.retain(|path| before["kind"] != "Service" || !is_allocated(path));
        Planted { object, edit, told, changed }
    }

    fn compare(
        &self,
        (before, now): (&BTreeMap<String, Value>, &BTreeMap<String, Value>),
        planted: &[Planted],
        report: &Value,
        tallies: &mut [Tally],
    ) -> Vec<String> {
        let mut found = found(report);
        let mut faults = Vec::new();
        let edits: BTreeMap<&String, &Planted> = planted.iter().map(|one| (&one.object, one)).collect();
        for (key, was) in before {
            let edit = edits.get(key);
            let expected = self.expected(was, now.get(key), edit.map(|edit| &edit.changed));
            let seen = found.remove(key).unwrap_or_default();
            let unsaid = self.unsaid(key, now.get(key), &expected);
            let expected: BTreeSet<String> = expected.iter().map(name).collect();
            let missed: Vec<&String> = expected.difference(&seen).filter(|path| !unsaid.contains(*path)).collect();
            // Of an object with a list entry that lacks its key, the server itself gives up every note of who wrote what.
            let is_lost = |path: &&String| *path == "metadata.managedFields" && now.get(key).is_some_and(|now| !is_tracked(now));
            let wrong: Vec<&String> = seen.difference(&expected).filter(|path| !is_lost(path)).collect();
            if let Some(tally) = edit.map(|edit| &mut tallies[edit.edit]) {
                let is_unsaid = !expected.is_empty() && seen.is_empty() && missed.is_empty();
                tally.unsaid += usize::from(is_unsaid);
                tally.found += usize::from(!expected.is_empty() && missed.is_empty() && !is_unsaid);
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
            // A manifest's own words, and what the server refuses of them, are there before any edit.
            if problem["code"] != "no-baseline" && problem["code"] != "unknown-field" {
                faults.push(format!("problem: {problem}"));
            }
        }
        faults
    }

    /// What has to be found of one object: where it differs from before by the edit and not by a controller's hand. Custom
    /// resources have no controller here, and change with their definitions. An object that is gone differs as a whole.
    fn expected(&self, before: &Value, now: Option<&Value>, changed: Option<&BTreeSet<Path>>) -> BTreeSet<Path> {
        let Some(now) = now else { return BTreeSet::from([Path::root()]) };
        let differing = changes(self.schemas, before, now).into_iter();
        differing.filter(|path| is_custom(before) || changed.is_some_and(|changed| changed.contains(path))).collect()
    }

    /// Paths of which Git says nothing and where nothing is any more: what admission or a controller once added is not Git's,
    /// and the server keeps the object without it as it keeps one from before that admission (`c22-before-the-webhook`).
    fn unsaid(&self, key: &str, now: Option<&Value>, changed: &BTreeSet<Path>) -> BTreeSet<String> {
        let declared = self.objects.iter().find(|object| label(&object.value) == *key);
        let (Some(declared), Some(now)) = (declared, now) else { return BTreeSet::new() };
        let unsaid = changed.iter().filter(|path| !is_said(&declared.value, path) && !is_said(now, path));
        unsaid.map(name).collect()
    }
}

/// A path as findings name it.
fn name(path: &Path) -> String {
    if path.0.is_empty() { "missing".to_owned() } else { path.to_string() }
}

/// The paths of a report's findings, by object.
fn found(report: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for finding in report["findings"].as_array().unwrap() {
        let object = &finding["object"];
        let named = json!({"apiVersion": object["apiVersion"], "kind": object["kind"],
            "metadata": {"namespace": object["namespace"], "name": object["name"]}});
        found.entry(label(&named)).or_default().insert(finding["path"].as_str().unwrap_or("missing").to_owned());
    }
    found
}

fn table(tallies: &[Tally]) -> String {
    let mut text = format!(
        "{:<26}{:>8}{:>9}{:>9}{:>8}{:>8}{:>8}{:>8}\n",
        "edit", "planted", "refused", "meaning", "found", "unsaid", "missed", "false"
    );
    let mut all = Tally::default();
    let mut line = |name: &str, tally: &Tally| {
        let Tally { planted, refused, of_meaning, found, unsaid, missed, wrong } = tally;
        writeln!(text, "{name:<26}{planted:>8}{refused:>9}{of_meaning:>9}{found:>8}{unsaid:>8}{missed:>8}{wrong:>8}").unwrap();
    };
    for ((name, _), tally) in EDITS.iter().zip(tallies) {
        line(name, tally);
        all.planted += tally.planted;
        all.refused += tally.refused;
        all.of_meaning += tally.of_meaning;
        all.found += tally.found;
        all.unsaid += tally.unsaid;
        all.missed += tally.missed;
        all.wrong += tally.wrong;
    }
    line("all", &all);
    text
}

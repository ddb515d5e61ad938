//! Planted changes: random edits of the corpus on a real server. The server is the judge: where an object, as admitted,
//! says something else than before, trueup must find exactly that path, and nothing anywhere else; and the repair of what
//! was found must lead back.
//!
//! Each run makes the edits of `kept.jsonl`, which once showed a fault, and `USUAL` ones that are the same each time.
//! `TRUEUP_PLANTED=2000` goes on with others, new in each run, up to that many.

use std::collections::BTreeMap;

use serde_json::Value;
use trueup_kubernetes::kinds::Kinds;

use super::api::text;
use super::call::Call;
use super::edit::{Dice, EDITS, Subject};
use super::ground::{Ground, Way};
use super::judge::changes;
use super::live::{Live, snapshot};
use super::objects::{Object, group, label};
use super::read_back::look;
use super::repair::{Repairing, kinds};
use super::schema::Schemas;
use super::tally::{Outcome, Tally, table};
use super::verdict::{Answer, Case, Due, edited, found, problems};
use super::words::words;

/// Edits that once showed a fault, one a line: the object's place in the corpus, the call, and what it showed.
const KEPT: &str = include_str!("kept.jsonl");

/// The edits of every run, and their seed.
const USUAL: (u64, usize) = (1, 60);

/// Edits under one seed: at most one an object, then one look.
const BATCH: usize = 160;

/// On how many objects an edit is tried.
const TRIES: usize = 10;

/// One edit that the server took.
struct Planted {
    object: String,
    edit: usize,
    told: String,
    answer: Answer,
}

#[test]
fn planted_changes_are_found_and_nothing_else() {
    let Some(mut ground) = Ground::new() else { return };
    let wanted = std::env::var("TRUEUP_PLANTED").map_or(0, |count| count.parse().unwrap());
    let (moved, definitions) = ground.prepare("planted", Way::Apply);
    let put = ground.put(Way::Apply, &moved.objects);
    let objects: Vec<Object> = definitions.admitted.into_iter().chain(put.admitted).collect();
    // Too long to be applied so, and served all the same.
    let too_long = definitions.refused.into_iter().map(|(object, _)| object);
    let known: Vec<Object> = too_long.chain(objects.iter().cloned()).collect();
    ground.declare("planted", &objects);
    for (rights, world) in &ground.accounts {
        assert_eq!(found(&look(world)), BTreeMap::new(), "{rights:?}, before any edit");
    }
    let live = Live { api: &ground.api, ground: &ground, kinds: ground.api.kinds() };
    let field = Field {
        live: &live,
        schemas: &Schemas::read(&ground.api),
        objects: &objects,
        words: words(&live, &objects),
        kinds: kinds(&known, &text(&ground.api.get("/version").body["gitVersion"])),
    };
    let mut outcome = Outcome::nothing_yet();
    field.batch(USUAL, KEPT, &mut outcome);
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    for fresh in 0.. {
        let done = outcome.planted();
        if done >= wanted {
            break;
        }
        field.batch((since.wrapping_mul(1000) + fresh, (wanted - done).min(BATCH)), "", &mut outcome);
    }
    println!("{} objects; the server itself says of {} what it makes of Git's words", objects.len(), field.words.len());
    print!("{}", table(&outcome.tallies));
    println!("findings by account and evidence: {:?}", outcome.evidence);
    assert!(outcome.faults.is_empty(), "{}", outcome.faults.join("\n"));
    for account in ["Base table", "Baseline baseline", "Apply apply"] {
        assert!(outcome.evidence.contains_key(account), "no finding rests on it: {account}");
    }
}

/// Where the edits are made.
struct Field<'a> {
    live: &'a Live<'a>,
    schemas: &'a Schemas,
    objects: &'a [Object],
    words: BTreeMap<String, Value>,
    kinds: Kinds,
}

type Snapshot = BTreeMap<String, Value>;

impl Field<'_> {
    /// The kept edits and all of one seed, one look as each account, and everything put back.
    fn batch(&self, (seed, size): (u64, usize), kept: &str, outcome: &mut Outcome) {
        let begun = std::time::Instant::now();
        let before = self.whole();
        let mut planted = self.plant_kept(&before, kept);
        let all = planted.len() + size;
        self.plant(&before, (&mut Dice(seed), all), &mut planted, &mut outcome.tallies);
        let (mut faults, mut amiss) = (Vec::new(), BTreeMap::new());
        let mut now = Snapshot::new();
        for (rights, world) in &self.live.ground.accounts {
            let (report, then) = self.look_at_rest(|| look(world));
            outcome.rest(&format!("{rights:?}"), &report);
            let verdict = self.compare((&before, &then), &planted, &report, &mut amiss);
            faults.extend(verdict.into_iter().map(|fault| format!("seed {seed} {rights:?} {fault}")));
            now = then;
        }
        for one in planted.values() {
            let case = self.case(&one.object, (&before, &now), &planted);
            let due = case.due(self.schemas);
            let (is_missed, is_wrong) = amiss.get(&one.object).copied().unwrap_or_default();
            outcome.tallies[one.edit].add(due.meaning, is_missed, is_wrong);
            let repaired = self.repair(&case, &due, &mut outcome.tallies[one.edit]);
            faults.extend(repaired.err().map(|fault| format!("seed {seed} {}: {fault} after {}", one.object, one.told)));
        }
        let latest = snapshot(self.live, self.objects);
        for one in planted.keys() {
            self.live.put_back(self.schemas, &before[one], latest.get(one), &self.object(one).value);
        }
        // A controller follows an edit: an autoscaler, its new range.
        let moved = |(one, now): &(&String, &Value)| {
            let is_other = |before: &Value| !changes(self.schemas, before, now).is_empty();
            !planted.contains_key(*one) && before.get(*one).is_some_and(is_other)
        };
        for (one, now) in latest.iter().filter(moved) {
            println!("  {one} has moved by itself");
            self.live.put_back(self.schemas, &before[one], Some(now), &self.object(one).value);
        }
        println!("seed {seed}: {} planted, {} faults, {:.1} s", planted.len(), faults.len(), begun.elapsed().as_secs_f32());
        for fault in &faults {
            println!("  {fault}");
        }
        outcome.faults.extend(faults);
    }

    /// All objects as they are. With a Service that was made anew, its controller may have taken Endpoints that Git declares.
    fn whole(&self) -> Snapshot {
        let found = snapshot(self.live, self.objects);
        for object in self.objects.iter().filter(|object| !found.contains_key(&label(&object.value))) {
            self.live.put_back(self.schemas, &object.value, None, &object.value);
        }
        snapshot(self.live, self.objects)
    }

    fn object(&self, key: &str) -> &Object {
        self.objects.iter().find(|object| label(&object.value) == key).unwrap()
    }

    /// A look while which nothing has changed.
    fn look_at_rest(&self, look: impl Fn() -> Value) -> (Value, Snapshot) {
        loop {
            let first = snapshot(self.live, self.objects);
            let report = look();
            let now = snapshot(self.live, self.objects);
            let is_still =
                |(key, one): (&String, &Value)| now.get(key).is_some_and(|now| changes(self.schemas, one, now).is_empty());
            if first.len() == now.len() && first.iter().all(is_still) {
                return (report, now);
            }
        }
    }

    fn plant_kept(&self, before: &Snapshot, kept: &str) -> BTreeMap<String, Planted> {
        let mut planted = BTreeMap::new();
        for line in kept.lines() {
            let kept: Value = serde_json::from_str(line).unwrap();
            let edit = EDITS.iter().position(|(name, _)| kept["edit"] == *name).expect("a type of edit");
            let call = Call::from_json(&kept["call"]).expect("a call");
            let object = self.objects.iter().find(|object| kept["from"] == object.from).expect("an object of the corpus");
            let key = label(&object.value);
            let after = self.live.perform(&call, &before[&key]);
            let after = after.unwrap_or_else(|| panic!("the server does not take {line}"));
            planted.insert(key.clone(), self.admitted((key, object), edit, &call, (&before[&label(&object.value)], &after)));
        }
        planted
    }

    /// At most one edit an object; each type of edit has its turn, on objects of any kind until the server takes one.
    fn plant(
        &self,
        before: &Snapshot,
        (dice, size): (&mut Dice, usize),
        planted: &mut BTreeMap<String, Planted>,
        tallies: &mut [Tally],
    ) {
        let mut by_kind: BTreeMap<String, Vec<&Object>> = BTreeMap::new();
        for object in self.objects {
            by_kind.entry(format!("{}.{}", object.value["kind"], group(&object.value))).or_default().push(object);
        }
        let kinds: Vec<Vec<&Object>> = by_kind.into_values().collect();
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
                let Some(value) = &self.live.read(&object.value) else { continue };
                let Some(call) = EDITS[edit].1(&Subject::of_object(self.schemas, value, &object.value), &mut own) else {
                    continue;
                };
                let Some(after) = self.live.perform(&call, value) else {
                    tallies[edit].refused += 1;
                    continue;
                };
                planted.insert(key.clone(), self.admitted((key, object), edit, &call, (value, &after)));
                break;
            }
        }
    }

    fn admitted(&self, (key, object): (String, &Object), edit: usize, call: &Call, (before, after): (&Value, &Value)) -> Planted {
        let call = call.to_json();
        let changed = edited(self.schemas, &call.to_string(), (before, after));
        let told = serde_json::json!({"from": object.from, "edit": EDITS[edit].0, "call": call}).to_string();
        Planted { object: key, edit, told, answer: Answer { object: after.clone(), changed } }
    }

    fn case<'a>(
        &'a self,
        key: &str,
        (before, now): (&'a Snapshot, &'a Snapshot),
        planted: &'a BTreeMap<String, Planted>,
    ) -> Case<'a> {
        Case {
            declared: &self.object(key).value,
            before: &before[key],
            now: now.get(key),
            words: self.words.get(key),
            edit: planted.get(key).map(|one| &one.answer),
        }
    }

    /// What an account missed, and what it found that is not so.
    fn compare(
        &self,
        snapshots: (&Snapshot, &Snapshot),
        planted: &BTreeMap<String, Planted>,
        report: &Value,
        amiss: &mut BTreeMap<String, (bool, bool)>,
    ) -> Vec<String> {
        let mut found = found(report);
        let mut faults = problems(report);
        for key in snapshots.0.keys() {
            let case = self.case(key, snapshots, planted);
            let fault = case.fault(&case.due(self.schemas), &found.remove(key).unwrap_or_default());
            if fault.is_none() {
                continue;
            }
            let (is_missed, is_wrong) = amiss.entry(key.clone()).or_default();
            *is_missed |= !fault.missed.is_empty();
            *is_wrong |= !fault.wrong.is_empty();
            let told = planted.get(key).map_or("nobody's edit", |one| &one.told);
            faults.push(format!("{key}: missed {:?}, false {:?} after {told}", fault.missed, fault.wrong));
        }
        faults.extend(found.iter().map(|(key, paths)| format!("{key}: not in the corpus: {paths:?}")));
        faults
    }

    fn repair(&self, case: &Case<'_>, due: &Due, tally: &mut Tally) -> Result<(), String> {
        let Some(now) = case.now.filter(|_| !due.paths.is_empty()) else { return Ok(()) };
        let repairing = Repairing { kinds: &self.kinds, schemas: self.schemas, live: self.live };
        tally.repaired(repairing.attempt(case, now, &due.paths)?);
        Ok(())
    }
}

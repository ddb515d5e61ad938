//! One world of a seed: server, Git, forge, disk, clock and people, and what the actor asks of them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use trueup_core::facts::Evidence;
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::run::{Entry, RunId};

use super::disk::Disk;
use super::forge::{Edit, Forge};
use super::mutations::Mutation;
use super::notes::{Notes, RoundNote};
use super::people;
use super::server::{Listed, Object, Reply, Server, Write};
use super::source::Source;
use crate::generate::Dice;

/// The name of the one source.
pub const SOURCE: &str = "source";

/// Why the actor stops in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The program was killed.
    Crash,
    /// The ledger takes no record: nothing more is done in this round.
    Disk,
}

/// What is broken for a while.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    /// Lists answer with what was there a while ago.
    pub stale_lists: bool,
    /// Objects of this kind cannot be listed.
    pub unlisted: Option<&'static str>,
    /// No dry run of a create is answered: objects are judged by the table.
    pub no_baseline: bool,
    /// One of so many requests has no answer.
    pub lost_answers: Option<usize>,
    /// The server asks to wait.
    pub throttled: bool,
    /// One of so many offers has no answer.
    pub lost_offers: Option<usize>,
}

/// Somebody who writes one value again and again.
#[derive(Debug, Clone)]
pub struct Opponent {
    pub object: ObjectId,
    pub level: i64,
}

#[derive(Debug, Clone)]
pub struct World {
    pub dice: Dice,
    /// True seconds since the world began.
    pub elapsed: i64,
    /// How far the clock on the wall is off, in seconds.
    pub skew: i64,
    /// Steps of the actor.
    pub tick: u64,
    pub server: Server,
    pub source: Source,
    pub forge: Forge,
    /// The commits of proposals, by their heads: a crash loses none, and nothing refers to them before they are pushed.
    pub committed: BTreeMap<String, Vec<Edit>>,
    pub disk: Disk,
    pub weather: Weather,
    pub opponent: Option<Opponent>,
    pub broken: Option<Mutation>,
    pub notes: Notes,
    /// What secrets are made of, and nothing else.
    pub salt: &'static str,
    /// Nothing happens beside the actor, and nothing fails.
    pub quiet: bool,
    /// In which order lists come.
    pub reversed: bool,
    crash_in: Option<usize>,
    /// When the clock on the wall jumped last.
    jumped: Option<i64>,
    runs: u64,
}

impl World {
    pub fn of(seed: u64, broken: Option<Mutation>, salt: &'static str) -> Self {
        let mut dice = Dice(seed);
        let source = Source::first(&mut dice, salt);
        let server = Server::with(&source.commit().desired);
        let is_contested = dice.once_in(4);
        let opponent = is_contested.then(|| Opponent { object: super::source::widget("a"), level: 9 });
        Self {
            dice,
            elapsed: 0,
            skew: 0,
            tick: 0,
            server,
            source,
            forge: Forge::default(),
            committed: BTreeMap::new(),
            disk: Disk::default(),
            weather: Weather::default(),
            opponent,
            broken,
            notes: Notes::default(),
            salt,
            quiet: false,
            reversed: false,
            crash_in: None,
            jumped: None,
            runs: 0,
        }
    }

    pub fn target() -> TargetName {
        TargetName("cluster".to_owned())
    }

    pub fn is_broken(&self, mutation: Mutation) -> bool {
        self.broken == Some(mutation)
    }

    /// The clock on the wall.
    pub fn now(&self) -> Timestamp {
        let begin: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a time");
        begin + SignedDuration::from_secs(self.elapsed + self.skew)
    }

    /// Lets the program be killed within its next steps.
    pub fn crash_within(&mut self, steps: usize) {
        self.crash_in = Some(self.dice.roll(steps));
    }

    /// A step of the actor: others act meanwhile, and the program may be killed.
    fn step(&mut self) -> Result<(), Cut> {
        self.tick += 1;
        self.pass(1);
        if self.quiet {
            return Ok(());
        }
        match self.crash_in {
            Some(0) => {
                self.crash_in = None;
                return Err(Cut::Crash);
            }
            Some(left) => self.crash_in = Some(left - 1),
            None => {}
        }
        people::answer(self);
        if self.dice.once_in(6) {
            people::act(self);
        }
        Ok(())
    }

    /// Lets true time pass; what is under way lands at its time.
    pub fn pass(&mut self, seconds: i64) {
        self.server.land(self.elapsed + seconds, self.broken);
        self.elapsed += seconds;
    }

    /// Lets the clock on the wall jump, if it did not just now.
    pub fn jump(&mut self, seconds: i64) {
        if self.jumped.is_none_or(|last| self.elapsed - last > 120) {
            (self.skew, self.jumped) = (self.skew + seconds, Some(self.elapsed));
        }
    }

    /// The commit that the reference names now.
    pub fn pin(&mut self) -> Result<usize, Cut> {
        self.step()?;
        Ok(self.source.head)
    }

    /// All objects that can be listed.
    pub fn list(&mut self) -> Result<Listed, Cut> {
        self.step()?;
        let mut listed = self.server.list(&self.weather);
        if self.reversed {
            listed.objects.reverse();
        }
        Ok(listed)
    }

    /// One object, as it is now; an error where no answer comes.
    pub fn read(&mut self, id: &ObjectId) -> Result<Result<Option<Object>, String>, Cut> {
        self.step()?;
        if self.is_lost() {
            return Ok(Err("no answer".to_owned()));
        }
        Ok(Ok(self.server.objects.get(id).cloned()))
    }

    /// What the server makes of a write, without effect.
    pub fn dry_run(&mut self, write: &Write) -> Result<Reply, Cut> {
        self.step()?;
        if self.weather.throttled {
            return Ok(Reply::TooMany);
        }
        if self.is_lost() { Ok(Reply::Lost) } else { Ok(self.server.judge(write, self.broken)) }
    }

    /// A write: its answer may be lost before its effect, after it, or while it is under way.
    pub fn write(&mut self, write: &Write) -> Result<Reply, Cut> {
        self.step()?;
        let write = &Write { durable: u64::try_from(self.disk.records.len()).expect("few records"), ..write.clone() };
        let lost = self.is_lost();
        match self.dice.roll(3) {
            0 if lost => Ok(Reply::Lost),
            1 if lost => {
                let due = self.elapsed + 1 + i64::try_from(self.dice.roll(50)).expect("small");
                self.server.under_way.push((due, write.clone()));
                Ok(Reply::Lost)
            }
            _ => {
                let reply = self.server.take(write, self.broken);
                // Killed between the effect and its answer.
                self.step()?;
                Ok(if lost { Reply::Lost } else { reply })
            }
        }
    }

    /// A record, durable before this returns.
    pub fn append(&mut self, entry: &Entry) -> Result<u64, Cut> {
        let now = self.now();
        if let Err(cut) = self.step() {
            let torn = self.dice.roll(3);
            self.disk.cut_off(entry, now, torn);
            return Err(cut);
        }
        self.disk.append(entry, now).map_err(|_| Cut::Disk)
    }

    /// What comes of a proposal at the forge.
    pub fn at_forge<T>(&mut self, ask: impl FnOnce(&mut Forge) -> T) -> Result<Option<T>, Cut> {
        self.step()?;
        let lost = self.weather.lost_offers.is_some_and(|times| self.dice.once_in(times));
        if lost && self.dice.once_in(2) {
            return Ok(None);
        }
        let answer = ask(&mut self.forge);
        self.step()?;
        Ok((!lost).then_some(answer))
    }

    /// On what the expected values of this round rest.
    pub fn evidence(&self) -> Evidence {
        if self.weather.no_baseline { Evidence::Table } else { Evidence::Baseline }
    }

    pub fn new_run(&mut self) -> RunId {
        self.runs += 1;
        format!("01JD{:022}", self.runs).parse().expect("26 digits")
    }

    /// The program begins anew: it knows what is on the disk, and nothing else.
    pub fn restart(&mut self) {
        self.crash_in = None;
        let loses = self.is_broken(Mutation::LosesARecord);
        self.disk.restart(loses);
    }

    pub fn begin(&mut self, round: RoundNote) {
        self.notes.rounds.push(round);
    }

    fn is_lost(&mut self) -> bool {
        self.weather.lost_answers.is_some_and(|times| self.dice.once_in(times))
    }

    /// From now on nothing fails and nobody does anything.
    pub fn calm(&mut self) {
        self.pass(3_600);
        self.crash_in = None;
        self.weather = Weather::default();
        self.opponent = None;
        self.server.admission = super::server::Admission::None;
        self.disk.full = false;
        self.quiet = true;
        self.restart();
    }
}

/// What the server makes of Git's words: the level has a default.
pub fn expected(desired: &Value) -> Value {
    let mut expected = desired.clone();
    if let Some(spec) = expected.get_mut("spec").and_then(Value::as_object_mut) {
        spec.entry("level").or_insert(json!(1));
    }
    expected
}

/// Objects by their ids.
pub type Objects = BTreeMap<ObjectId, Value>;

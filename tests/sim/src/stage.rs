//! What the run and the calls of the server to the system have in common: the disk, what fails on
//! it, who is being served, and the trace.

use std::collections::BTreeSet;
use std::time::SystemTime;

use fileserve::faults::{Asked, Call};
use rustix::io::Errno;

use crate::ask::Effect;
use crate::disk::{Disk, VersionId};
use crate::durable::Done;
use crate::random::Random;
use crate::setup::Setup;
use crate::witness::Planted;

/// Lines of a trace. A run that needs more has gone wrong before.
const TRACE_MAX: usize = 50_000;

/// The stage of one run.
pub(crate) struct Stage {
    pub(crate) disk: Disk,
    pub(crate) random: Random,
    pub(crate) now: SystemTime,
    pub(crate) setup: Setup,
    pub(crate) habits: Habits,
    /// What has failed, and where in the server's code.
    pub(crate) failed: BTreeSet<Failed>,
    planted: Planted,
    /// The call of the server's that is under way.
    serving: Option<Serving>,
    trace: Option<Vec<String>>,
    /// Something of all that has happened, to compare two runs by.
    pub(crate) digest: u64,
    /// What the model cannot explain, met where nobody could be told.
    trouble: Option<String>,
}

/// A kind of call that has failed, in a line of a file.
pub type Failed = (Call, &'static str, u32);

/// How often what goes wrong, once in so many calls; 0 for never.
#[derive(Clone, Copy, Default)]
pub(crate) struct Habits {
    pub(crate) fails: usize,
    pub(crate) is_cold: usize,
    pub(crate) disturbs: usize,
}

/// A session that is being called.
struct Serving {
    planned: Vec<VersionId>,
    from: u64,
    /// Half of the calls that are still to come fail.
    fails_on: bool,
    outcome: Outcome,
}

/// What a call of a session has come to.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) faults: usize,
    pub(crate) effects: Vec<Effect>,
    /// The calls for it that write.
    pub(crate) calls: Vec<Done>,
}

impl Stage {
    pub(crate) fn new(seed: u64, planted: Planted, traces: bool) -> Stage {
        let setup = Setup::new(&mut Random::new(seed, 3));
        let mut random = Random::new(seed, 1);
        let disk = Disk::new(&mut random, &setup);
        let now = disk.began;
        Stage {
            disk,
            random,
            now,
            setup,
            habits: Habits::default(),
            failed: BTreeSet::new(),
            planted,
            serving: None,
            trace: traces.then(Vec::new),
            digest: seed,
            trouble: None,
        }
    }

    /// Notes what has happened. `what` says it for people, and is asked only where they look.
    pub(crate) fn say(&mut self, code: u64, what: impl FnOnce() -> String) {
        self.digest = (self.digest ^ code).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        if let Some(trace) = &mut self.trace
            && trace.len() < TRACE_MAX
        {
            trace.push(format!("{:>6} {}", self.disk.event, what()));
        }
    }

    pub(crate) fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    /// A session is about to be called, which may put `planned` contents on the disk.
    pub(crate) fn begin(&mut self, planned: Vec<VersionId>) {
        let from = self.disk.event;
        self.serving =
            Some(Serving { planned, from, fails_on: false, outcome: Outcome::default() });
    }

    /// It has returned. `looks`: whether it may have changed something.
    pub(crate) fn end(&mut self, looks: bool) -> Result<Outcome, String> {
        if looks {
            self.look();
        }
        let outcome = self.serving.take().map(|serving| serving.outcome).unwrap_or_default();
        self.trouble.take().map_or(Ok(outcome), Err)
    }

    /// Takes note of what the server has changed so far.
    fn look(&mut self) {
        let Some(serving) = &mut self.serving else { return };
        let changes = match self.disk.observe(&serving.planned, serving.from) {
            Ok(changes) => changes,
            Err(why) => return self.trouble = Some(why),
        };
        let mut said = Vec::new();
        for change in changes {
            let (file, state) = (change.file, change.state);
            said.push(format!("  on disk: {} is now {state:?}", self.disk.files[file].name));
            let effect = Effect { file, state, from: serving.from, at: self.disk.event };
            serving.outcome.effects.push(effect);
        }
        for line in said {
            self.say(7, || line);
        }
    }

    /// Before a call to the system: whether it fails, or how many octets it takes, and whether
    /// something else comes first.
    pub(crate) fn before(&mut self, asked: Asked) -> Result<usize, Errno> {
        let call = asked.call;
        if self.serving.is_none() {
            // The server is looking what the file system can do.
            return match self.setup.names_drafts && call == Call::Name {
                true => Err(Errno::OPNOTSUPP),
                false => Ok(usize::MAX),
            };
        }
        if self.habits.disturbs > 0 && self.random.once_in(self.habits.disturbs) {
            self.look();
            let now = self.now;
            let did = self.disk.disturb(&mut self.random, now);
            self.say(8, || format!("  before {call:?}: {did}"));
        }
        let is_cached = matches!(call, Call::OpenCached | Call::ReadCached);
        if is_cached && self.random.once_in(self.habits.is_cold) {
            self.say(9, || format!("  {call:?}: not in memory"));
            return Err(Errno::AGAIN);
        }
        let planned = self.plan(asked);
        if let Some(serving) = &mut self.serving
            && Done::is_kept(call)
        {
            let done = Done { call, place: asked.place, is_good: planned.is_ok() };
            keep(&mut serving.outcome.calls, done, self.planted);
        }
        match planned {
            Err(_) if self.planted == Planted::DeafSync && call == Call::Sync => Ok(usize::MAX),
            planned => planned,
        }
    }

    /// What becomes of a call.
    fn plan(&mut self, asked: Asked) -> Result<usize, Errno> {
        let call = asked.call;
        let is_whole = matches!(call, Call::Read | Call::Write);
        // Who reads or writes goes on where it is told of less, or of a signal.
        if is_whole && self.habits.fails > 0 && self.random.once_in(6) {
            let most = 1 + self.random.below(9_000);
            self.say(11, || format!("  {call:?}: no more than {most} octets"));
            return Ok(most);
        }
        if is_whole && self.random.once_in(self.habits.fails) {
            self.say(12, || format!("  {call:?} is interrupted"));
            return Err(Errno::INTR);
        }
        let Some(serving) = &self.serving else { return Ok(usize::MAX) };
        // What is done seldom fails more often than what is done for each name in a list, and what
        // has failed once may well fail again at once: else nobody would ever see how what was done
        // is undone.
        let fails = match call {
            _ if serving.fails_on => 2,
            Call::Make | Call::Name | Call::Remove | Call::Sync => self.habits.fails.div_ceil(6),
            Call::List | Call::Stat => 4 * self.habits.fails,
            _ => self.habits.fails,
        };
        if !self.random.once_in(fails) {
            return Ok(usize::MAX);
        }
        let errno = self.random.pick(usual_errors(call));
        self.say(10, || format!("  {call:?} fails: {errno:?}"));
        self.failed.insert((call, asked.place.file(), asked.place.line()));
        if let Some(serving) = &mut self.serving {
            serving.outcome.faults += 1;
            serving.fails_on |= self.random.once_in(2);
        }
        Err(errno)
    }
}

/// Keeps what was done; as if a sync had not been, where that is planted.
fn keep(calls: &mut Vec<Done>, done: Done, planted: Planted) {
    let forgets = match planted {
        Planted::UnsyncedFile => done.makes_draft(),
        Planted::EarlyName => done.call == Call::Name,
        _ => false,
    };
    if forgets {
        calls.pop_if(|last| last.syncs_draft());
    }
    let is_of_directory = done.call == Call::Sync && !done.syncs_draft();
    if planted != Planted::UnsyncedName || !is_of_directory {
        calls.push(done);
    }
}

/// What a kind of call fails with when the machine is to blame.
fn usual_errors(call: Call) -> &'static [Errno] {
    match call {
        Call::Open => {
            &[Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO, Errno::STALE, Errno::INTR]
        }
        Call::OpenCached => &[Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR],
        Call::Stat => &[Errno::IO, Errno::STALE, Errno::NOMEM],
        Call::Read | Call::Change | Call::Space => &[Errno::IO],
        Call::List => &[Errno::IO, Errno::INTR],
        Call::ReadCached => &[Errno::AGAIN, Errno::OPNOTSUPP],
        Call::Make => &[Errno::MFILE, Errno::NFILE, Errno::NOSPC, Errno::IO, Errno::NOMEM],
        Call::Write => &[Errno::NOSPC, Errno::DQUOT, Errno::IO],
        Call::Sync => &[Errno::IO, Errno::NOSPC, Errno::INTR],
        Call::Name => &[Errno::NOSPC, Errno::IO, Errno::NOMEM],
        Call::Remove => &[Errno::IO, Errno::NOMEM],
        Call::Watch => &[Errno::NOSPC, Errno::NOMEM],
    }
}

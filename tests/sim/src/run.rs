//! One run: what a seed says, step by step, until every connection has ended.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fileserve::{AccessLog, Files, OnConflict, faults};
use http_proto::server::Http;
use tcp_core::testing::Ticks;
use tcp_core::{Accepted, Limits, Now, Service};

use crate::ask::Tag;
use crate::client::Client;
use crate::line::{Lent, Line};
use crate::random::Random;
use crate::stage::{Failed, Habits, Stage};
use crate::witness::{self, Planted, Witness};

/// Steps until the clients send the rest and nothing goes wrong any more.
const STEPS: usize = 160;

/// Rounds within which every connection must then end. A drip of an octet a round, against the
/// deadlines of pace and idleness, takes some dozens.
const ROUNDS_MAX: usize = 3_000;

/// How much later it is on the clock of the run than on that of the file system: what the server
/// writes is then not of just now, however long a run takes.
const AHEAD: Duration = Duration::from_secs(3600);

/// Octets of content that a session may hand over at once: a piece (64 KiB), to which the last read
/// (64 KiB) has added.
const PIECE_MAX: usize = 128 * 1024;

/// What has happened in a run.
#[derive(Debug)]
pub struct Report {
    /// The same for two runs of one seed.
    pub digest: u64,
    /// How often what was answered, and how connections ended.
    pub seen: Vec<String>,
    /// What has failed, and where.
    pub failed: BTreeSet<Failed>,
    /// The most octets that were held in memory for a client, and handed over of its content.
    pub held_max: u64,
    /// The longest piece of content that was handed over, in octets.
    pub piece_max: usize,
    /// Step by step, if that was asked for.
    pub trace: Vec<String>,
    /// What went wrong.
    pub fault: Option<String>,
}

/// Plays the run of a seed.
pub fn play(seed: u64, planted: Planted, traces: bool) -> Report {
    let stage = Rc::new(RefCell::new(Stage::new(seed, planted, traces)));
    let (mut seen, mut held_max, mut piece_max) = (Vec::new(), 0, 0);
    let fault = {
        let asked = Rc::clone(&stage);
        let _plan = faults::install(move |call| asked.borrow_mut().before(call));
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut run = Run::new(seed, Rc::clone(&stage), planted)?;
            let done = run.run();
            seen = run.seen();
            held_max = run.clients.iter().map(|client| client.line.held_max).max().unwrap_or(0);
            piece_max = run.piece_max();
            done
        }));
        let played = played.unwrap_or_else(|panic| Err(format!("a panic: {}", text_of(&*panic))));
        played.and_then(|()| check_rest(&stage)).err()
    };
    let mut stage = stage.borrow_mut();
    let (digest, failed) = (stage.digest, std::mem::take(&mut stage.failed));
    Report { digest, seen, failed, held_max, piece_max, trace: stage.take_trace(), fault }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}

/// What must be true when all is over: nothing is left on the disk, and nothing in it open.
fn check_rest(stage: &RefCell<Stage>) -> Result<(), String> {
    let disk = &stage.borrow().disk;
    if let [name, ..] = &disk.leftovers()[..] {
        return Err(format!("{name} is left over"));
    }
    let own = disk.root();
    let open = std::fs::read_dir("/proc/self/fd").map_err(|error| error.to_string())?;
    let targets = open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    match targets.into_iter().find(|target| target.starts_with(&own)) {
        Some(target) => Err(format!("{} is still open", target.display())),
        None => Ok(()),
    }
}

/// What a run goes on with.
struct Run {
    random: Random,
    stage: Rc<RefCell<Stage>>,
    http: Http<Witness>,
    notes: Arc<Mutex<witness::Notes>>,
    limits: Limits,
    ticks: Ticks,
    now: Now,
    clients: Vec<Client>,
    /// How many more connect.
    coming: usize,
    tags: Vec<Tag>,
    rejects_names: bool,
    planted: Planted,
    stops: bool,
}

impl Run {
    fn new(seed: u64, stage: Rc<RefCell<Stage>>, planted: Planted) -> Result<Run, String> {
        let mut random = Random::new(seed, 2);
        let setup = stage.borrow().setup;
        let options = setup.options(&stage.borrow().disk.forms());
        let root = stage.borrow().disk.root();
        let log = Arc::new(AccessLog::off());
        let files = Files::new(root, options, log).map_err(|error| error.to_string())?;
        let notes = Arc::default();
        let http = Http::new(Witness::new(files, Arc::clone(&notes), planted));
        let wall = stage.borrow().disk.began + AHEAD;
        let now = Now { instant: Instant::now(), wall, stopping: false };
        stage.borrow_mut().habits = Habits {
            fails: random.pick(&[0, 0, 300, 40, 12]),
            is_cold: random.pick(&[0, 3, 20]),
            disturbs: random.pick(&[0, 0, 100, 20, 6]),
        };
        stage.borrow_mut().now = wall;
        Ok(Run {
            coming: 1 + random.below(4),
            stops: random.once_in(8),
            random,
            stage,
            http,
            notes,
            limits: Limits::default(),
            ticks: Ticks::default(),
            now,
            clients: Vec::new(),
            tags: Vec::new(),
            rejects_names: setup.on_conflict == OnConflict::Reject,
            planted,
        })
    }

    fn lines(&self) -> Vec<witness::Line> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }

    fn piece_max(&self) -> usize {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).piece_max
    }

    /// How many requests of a connection the handler has been shown.
    fn asked(&self, index: usize) -> usize {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.asked.get(&(index as u16)).copied().unwrap_or(0)
    }

    fn seen(&self) -> Vec<String> {
        let answers = self.lines().into_iter().map(|line| line.status.to_string());
        let ends = self.clients.iter().filter_map(|client| client.line.end);
        answers.chain(ends.map(|end| format!("{:?}", end.cause))).collect()
    }

    fn run(&mut self) -> Result<(), String> {
        self.connect();
        for step in 0..STEPS {
            self.step(step)?;
            let is_over = self.clients.iter().all(|client| client.line.is_over());
            if is_over && self.coming == 0 {
                break;
            }
        }
        self.stage.borrow_mut().habits = Habits::default();
        self.wind_down()?;
        // Nothing may have changed behind everybody's back.
        self.stage.borrow_mut().begin(Vec::new());
        if let Some(effect) = self.stage.borrow_mut().end(true)?.effects.first() {
            return Err(format!("file {} was changed by nobody", effect.file));
        }
        for (index, client) in self.clients.iter().enumerate() {
            let own = |line: &witness::Line| usize::from(line.connection) == index;
            let lines: Vec<_> = self.lines().into_iter().filter(own).collect();
            client
                .check_end(&self.stage.borrow(), &lines)
                .map_err(|why| format!("connection {index}: {why}"))?;
        }
        Ok(())
    }

    /// One thing happens.
    fn step(&mut self, step: usize) -> Result<(), String> {
        let index = self.random.below(self.clients.len());
        match self.random.below(64) {
            0 if self.coming > 0 => self.connect(),
            0..=19 => {
                let Run { clients, stage, random, tags, .. } = self;
                clients[index].send_some(stage, random, tags);
            }
            20..=25 => self.clients[index].act(&mut self.random, false),
            26..=49 => {
                if self.random.once_in(2) {
                    self.wake();
                }
                self.turn(index)?;
            }
            50..=57 => self.block(index)?,
            58 | 59 => self.pass_time(),
            60..=62 => {
                let mut stage = self.stage.borrow_mut();
                let stage = &mut *stage;
                if stage.habits.disturbs > 0 {
                    let did = stage.disk.disturb(&mut self.random, stage.now);
                    stage.say(1, || did);
                }
            }
            _ if self.stops && step > STEPS / 2 => {
                self.now.stopping = true;
                self.stage.borrow_mut().say(2, || "the server is stopping".to_owned());
                self.clients.iter_mut().for_each(|client| client.line.nudge());
                self.wake();
                for index in 0..self.clients.len() {
                    self.turn(index)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// All that is left is sent, read and waited for.
    fn wind_down(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS_MAX {
            if self.clients.iter().all(|client| client.line.is_over()) {
                return Ok(());
            }
            let mut is_idle = true;
            self.wake();
            for index in 0..self.clients.len() {
                if self.clients[index].line.is_over() {
                    continue;
                }
                let before = self.clients[index].line.progress();
                let Run { clients, stage, random, tags, .. } = self;
                clients[index].send(stage, random, tags, true);
                clients[index].act(random, true);
                self.turn(index)?;
                self.block(index)?;
                is_idle &= self.clients[index].line.progress() == before;
            }
            if is_idle {
                self.wait()?;
            }
        }
        Err("connections do not end".to_owned())
    }

    fn connect(&mut self) {
        let port = self.clients.len() as u16;
        let accepted = Accepted {
            peer: ([192, 0, 2, 1], port).into(),
            local: ([192, 0, 2, 2], 80).into(),
            worker: 0,
        };
        let line = Line::new(self.http.open(&accepted), self.now);
        self.clients.push(Client::new(line, &mut self.random));
        self.coming = self.coming.saturating_sub(1);
    }

    fn wake(&mut self) {
        let tick = self.ticks.advance();
        self.clients.iter_mut().for_each(|client| client.line.wake(tick));
    }

    /// The session of a connection has a turn, or a pool thread.
    fn serve(
        &mut self,
        index: usize,
        blocks: bool,
        serve: impl FnOnce(&mut Line, &mut Lent<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let before = self.asked(index);
        let Run { clients, stage, random, ticks, limits, now, planted, .. } = self;
        let client = &mut clients[index];
        stage.borrow_mut().begin(client.planned(before));
        let event = || stage.borrow().disk.event;
        let (fails, setup) = (stage.borrow().habits.fails, stage.borrow().setup);
        let (now, planted) = (*now, *planted);
        let mut lent = Lent { now, limits, random, ticks, event: &event, fails, setup, planted };
        let served = serve(&mut client.line, &mut lent);
        // Only there is anything written.
        let looks = blocks && client.may_write();
        let outcome = stage.borrow_mut().end(looks)?;
        let asked = self.asked(index);
        let piece_max = self.piece_max();
        let client = &mut self.clients[index];
        client.note(outcome, before, asked)?;
        served?;
        if piece_max > PIECE_MAX {
            return Err(format!("{piece_max} octets of content were held"));
        }
        let told = client.read(&self.stage, &mut self.tags, self.rejects_names);
        told.map_err(|why| format!("connection {index}: {why}"))
    }

    fn turn(&mut self, index: usize) -> Result<(), String> {
        let was_over = self.clients[index].line.is_over();
        self.serve(index, false, |line, lent| line.turn(lent))?;
        if let (false, Some(end)) = (was_over, self.clients[index].line.end) {
            self.stage.borrow_mut().say(3, || format!("connection {index} ends: {:?}", end.cause));
        }
        Ok(())
    }

    fn block(&mut self, index: usize) -> Result<(), String> {
        if !self.clients[index].line.away {
            return Ok(());
        }
        self.stage.borrow_mut().say(4, || format!("the pool works for connection {index}"));
        self.serve(index, true, |line, _| {
            line.block();
            Ok(())
        })?;
        match self.random.once_in(2) {
            true => self.turn(index),
            false => Ok(()),
        }
    }

    /// Time passes, mostly to about when something is due; now and then the wall clock is set.
    fn pass_time(&mut self) {
        let index = self.random.below(self.clients.len());
        let patience = self.clients[index].line.patience(&self.limits, self.now.instant);
        let by = match (self.random.below(6), patience) {
            (0, Some(patience)) => patience.saturating_sub(Duration::from_millis(1)),
            (1, Some(patience)) => patience + Duration::from_millis(1),
            (2, Some(patience)) => patience,
            (3, _) => Duration::from_secs(self.random.below(8) as u64),
            _ => Duration::from_millis(self.random.below(200) as u64),
        };
        self.advance_clocks(by);
        if self.random.once_in(8) {
            let by = Duration::from_secs(self.random.below(600) as u64);
            match self.random.once_in(2) {
                true => self.now.wall += by,
                false => self.now.wall -= by,
            }
            self.stage.borrow_mut().now = self.now.wall;
        }
    }

    fn advance_clocks(&mut self, by: Duration) {
        self.now.instant += by;
        self.now.wall += by;
        let mut stage = self.stage.borrow_mut();
        stage.now = self.now.wall;
        stage.say(by.as_millis() as u64, || format!("{by:?} later"));
    }

    /// Waits for what is due first.
    fn wait(&mut self) -> Result<(), String> {
        let open = self.clients.iter().filter(|client| !client.line.is_over());
        let next = open.filter_map(|client| client.line.patience(&self.limits, self.now.instant));
        let by = next.min().ok_or("a connection waits for nothing, and does not end")?;
        self.advance_clocks(by);
        Ok(())
    }
}

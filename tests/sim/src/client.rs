//! One client: when it sends what, what it makes of the answers, and how it leaves.

use std::cell::RefCell;

use conformance::response::Response;

use crate::ask::{Ask, Effect, Tag, Want};
use crate::judge::Case;
use crate::line::Line;
use crate::random::Random;
use crate::stage::{Outcome, Stage};

/// A client and its connection.
pub(crate) struct Client {
    pub(crate) line: Line,
    pub(crate) asks: Vec<Ask>,
    manners: Manners,
    /// How many more requests it makes.
    left: usize,
    /// How many have been answered.
    pub(crate) answered: usize,
    /// Octets received that belong to these answers.
    read: usize,
    /// The request under way may go on behind its head.
    continued: bool,
    /// The answer that is the last.
    pub(crate) saw_last: bool,
    /// The last answer came before its request was whole: the rest of that may be cut for being too
    /// slow.
    pub(crate) was_early: bool,
}

/// How a client behaves.
struct Manners {
    /// Requests under way at a time.
    pipelines: usize,
    /// Octets sent at a time, at most.
    drip: usize,
    /// It falls silent after so many octets.
    silent_after: usize,
    /// It takes no more than so many octets at a time; 0 for never any.
    takes: usize,
    half_closes: bool,
    /// It resets the connection once in so many steps.
    resets: usize,
    /// It sends on, and takes nothing more, once in so many steps.
    leaves: usize,
    /// It asks for many short things at a time.
    bursts: bool,
}

/// How many requests come together, if many do.
const BURST: usize = 48;

impl Manners {
    fn new(random: &mut Random) -> Manners {
        Manners {
            pipelines: random.pick(&[1, 1, 2, 5]),
            drip: random.pick(&[1, 40, 3_000, 3_000, usize::MAX, usize::MAX]),
            silent_after: match random.once_in(8) {
                true => random.below(3_000),
                false => usize::MAX,
            },
            takes: random.pick(&[30, 2_000, 2_000, 100_000, 100_000, 100_000, 100_000, 0]),
            half_closes: random.once_in(2),
            resets: if random.once_in(6) { 40 } else { 0 },
            leaves: if random.once_in(12) { 20 } else { 0 },
            bursts: random.once_in(20),
        }
    }
}

impl Client {
    pub(crate) fn new(line: Line, random: &mut Random) -> Client {
        let mut client = Client {
            line,
            asks: Vec::new(),
            manners: Manners::new(random),
            left: 1 + random.below(6),
            answered: 0,
            read: 0,
            continued: false,
            saw_last: false,
            was_early: false,
        };
        if client.manners.bursts {
            let Manners { pipelines, drip, silent_after, .. } = &mut client.manners;
            (*pipelines, *drip, *silent_after) = (BURST, usize::MAX, usize::MAX);
            client.left = BURST;
        }
        client.line.socket.room = random.pick(&[1_000, 20_000, 200_000]);
        client
    }

    /// What the last of the `asked` requests, which is being served, may put on the disk.
    pub(crate) fn planned(&self, asked: usize) -> Vec<usize> {
        let served = asked.checked_sub(1).and_then(|index| self.asks.get(index));
        served.map(|ask| ask.planned().to_vec()).unwrap_or_default()
    }

    /// Whether a call of the session may change something.
    pub(crate) fn may_write(&self) -> bool {
        self.asks[self.answered..].iter().any(Ask::writes)
    }

    /// Notes what a call of the session has come to, which had asked for so many requests' answers
    /// before it, and has now.
    pub(crate) fn note(
        &mut self,
        outcome: Outcome,
        before: usize,
        asked: usize,
    ) -> Result<(), String> {
        for ask in self.asks.iter_mut().take(asked).skip(before.saturating_sub(1)) {
            ask.faults += outcome.faults;
        }
        // Writes are done in calls of their own.
        let mut served = asked.checked_sub(1).and_then(|index| self.asks.get_mut(index));
        if let Some(ask) = &mut served {
            ask.calls.extend(outcome.calls);
        }
        for effect in outcome.effects {
            let is_asked_for = served.as_ref().is_some_and(|ask| match (&ask.want, effect.state) {
                (Want::Delete { file, .. }, None) => *file == effect.file,
                (Want::Put { file, version, .. }, state) => {
                    *file == effect.file && state == Some(*version)
                }
                // What is done is undone if not all can be.
                (Want::Form { .. }, _) => true,
                _ => false,
            });
            match served.as_mut().filter(|_| is_asked_for) {
                Some(ask) => ask.effects.push(effect),
                None => {
                    let Effect { file, state, .. } = effect;
                    return Err(format!("nobody asked for {state:?} of file {file}"));
                }
            }
        }
        Ok(())
    }

    /// Sends something, or all of a burst that the client can send.
    pub(crate) fn send_some(&mut self, stage: &RefCell<Stage>, random: &mut Random, tags: &[Tag]) {
        let most = if self.manners.bursts { BURST } else { 1 };
        for _ in 0..most {
            if !self.send(stage, random, tags, self.manners.bursts) {
                return;
            }
        }
    }

    /// Sends something, if there is something to send. `eager`: as much as there is. Says whether
    /// it did.
    pub(crate) fn send(
        &mut self,
        stage: &RefCell<Stage>,
        random: &mut Random,
        tags: &[Tag],
        eager: bool,
    ) -> bool {
        let socket = &mut self.line.socket;
        let total: usize = self.asks.iter().map(|ask| ask.sent).sum();
        let is_silent = total >= self.manners.silent_after;
        if socket.is_half_closed || socket.is_reset || self.line.end.is_some() || is_silent {
            return false;
        }
        let stage = &mut *stage.borrow_mut();
        let is_sent = self.asks.last().is_none_or(|ask| ask.whole.is_some());
        if is_sent {
            let is_last = self.asks.last().is_some_and(|ask| ask.closes) || self.saw_last;
            if self.left == 0 || is_last {
                socket.is_half_closed = self.manners.half_closes;
                return socket.is_half_closed;
            }
            if self.asks.len() - self.answered >= self.manners.pipelines {
                return false;
            }
            self.left -= 1;
            self.continued = false;
            let ask = match self.manners.bursts && !random.once_in(BURST) {
                true => Ask::of_burst(random, &stage.disk),
                false => Ask::new(random, &mut stage.disk, tags, &stage.setup),
            };
            self.asks.push(ask);
        }
        let Some(ask) = self.asks.last_mut() else { return false };
        let is_offer = ask.pauses_at == Some(ask.sent) && !self.continued;
        if is_offer && !random.once_in(if eager { 3 } else { 10 }) {
            return eager;
        }
        let rest = ask.octets.len() - ask.sent;
        let most = if eager { rest } else { rest.min(1 + random.below(self.manners.drip.max(1))) };
        // Nobody can know of less that it asks for no content.
        let most = if ask.is_head && ask.sent == 0 { most.max(b"HEAD ".len()) } else { most };
        // Up to where it pauses, or on from there.
        let most = match ask.pauses_at {
            Some(at) if ask.sent < at => most.min(at - ask.sent),
            _ => most.min(rest),
        };
        stage.disk.event += 1;
        if ask.sent == 0 {
            ask.begun = stage.disk.event;
        }
        socket.inbound.extend(&ask.octets[ask.sent..ask.sent + most]);
        ask.sent += most;
        if ask.sent == ask.octets.len() {
            ask.whole = Some(stage.disk.event);
        }
        stage.say(most as u64, || {
            let of = format!("{}/{}", ask.sent, ask.octets.len());
            format!("{most} octets sent, {of} of {}", ask.shown())
        });
        true
    }

    /// Takes some of what was sent to it, or leaves. `eager`: takes all, if it ever takes any.
    pub(crate) fn act(&mut self, random: &mut Random, eager: bool) {
        let room = &mut self.line.socket.room;
        *room = match eager && self.manners.takes > 0 {
            true => usize::MAX,
            false => room.saturating_add(self.manners.takes),
        };
        if random.once_in(self.manners.resets) && !self.line.is_over() {
            self.line.socket.is_reset = true;
        }
        if random.once_in(self.manners.leaves) && !self.line.is_over() {
            self.line.socket.is_deaf = true;
        }
    }

    /// Reads the answers that have come, and has each judged. Tags that are told go to `tags`.
    pub(crate) fn read(
        &mut self,
        stage: &RefCell<Stage>,
        tags: &mut Vec<Tag>,
        rejects_names: bool,
    ) -> Result<(), String> {
        loop {
            let rest = &self.line.socket.outbound[self.read..];
            if rest.is_empty() {
                return Ok(());
            }
            if self.saw_last {
                return Err("octets behind the last response".to_owned());
            }
            let ask = self.asks.get(self.answered).filter(|ask| ask.sent > 0);
            let Some(ask) = ask else {
                return Err("a response without a request".to_owned());
            };
            let mark = self.line.mark_at(self.read)?;
            let Some((response, taken)) = Response::parse_begun(rest, ask.is_head, mark.wall)?
            else {
                return Ok(());
            };
            self.read += taken;
            if response.status == 100 {
                if ask.pauses_at.is_none() || self.continued {
                    return Err("a 100 that nobody waits for".to_owned());
                }
                self.continued = true;
                continue;
            }
            let mut stage = stage.borrow_mut();
            let case = Case {
                disk: &stage.disk,
                ask,
                response: &response,
                headed: mark.event,
                is_half_closed: self.line.socket.is_half_closed,
                rejects_names,
            };
            let told = case.judge().map_err(|why| format!("{}: {why}", ask.shown()))?;
            let is_last = response.lists("Connection", "close");
            if (ask.closes || matches!(ask.want, Want::Broken(_))) && !is_last {
                return Err(format!("{}: the connection goes on", ask.shown()));
            }
            stage.say(u64::from(response.status), || {
                let length = response.body.len();
                format!("{} with {length} octets to {}", response.status, ask.shown())
            });
            self.saw_last = is_last;
            self.was_early = ask.whole.is_none_or(|at| at > mark.event);
            self.answered += 1;
            self.continued = false;
            if let Some(tag) = told {
                check_tag(&stage, tags, &tag)?;
                tags.push(tag);
            }
        }
    }
}

/// Strong tags are handed out only for versions that no other shares one with.
fn check_tag(stage: &Stage, tags: &[Tag], tag: &Tag) -> Result<(), String> {
    let is_other = |known: &&Tag| {
        known.file == tag.file
            && known.text == tag.text
            && !tag.is_weak()
            && stage.disk.content(known.version) != stage.disk.content(tag.version)
    };
    match tags.iter().find(is_other) {
        Some(other) => Err(format!("{} tags v{} and v{}", tag.text, other.version, tag.version)),
        None => Ok(()),
    }
}

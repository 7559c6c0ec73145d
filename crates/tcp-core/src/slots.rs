//! Where a worker keeps its connections: slots that are reused, named by tokens that are not.

use std::time::{Duration, Instant};

use mio::Token;

use crate::Tick;

/// What the kernel has said of a socket since it was last tried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ready {
    /// A read may give something.
    pub(crate) readable: bool,
    /// By when there was something to read, if the kernel has said so and nothing has been read
    /// since: the next byte had come by then.
    pub(crate) told: Option<Tick>,
    /// A write may take something.
    pub(crate) writable: bool,
    /// The peer has closed its sending side, or the connection is broken: reads end.
    pub(crate) read_closed: bool,
}

/// One connection's place. It stays reserved while the connection itself is on a pool thread.
pub(crate) struct Slot<C> {
    generation: u32,
    /// `None` while the connection is away on the pool, and in a free slot.
    pub(crate) connection: Option<C>,
    pub(crate) ready: Ready,
    /// Until when it waits. A turn that does not park it leaves the one of before.
    deadline: Option<Instant>,
    /// Since when it is idle, as far as is known.
    pub(crate) idle_since: Option<Instant>,
    /// Whether the slot is in the worker's run queue or in the line for the pool.
    pub(crate) queued: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Taken,
    /// Free, and the next free one of the same page.
    Free(Option<usize>),
}

/// The slots of one worker. A token carries the slot's index and how often slots had been reserved
/// before, so that an event for a connection that has ended cannot reach its successor.
///
/// They are kept in pages, of which the first ones are used first, so that those of a crowd are
/// freed when it has left, whoever stays. Nothing else grows with a crowd: which time comes first
/// is found by looking through the slots of a page, and which page by a bound that each has.
pub(crate) struct Slots<C> {
    pages: Vec<Page<C>>,
    /// No deadline comes before this one.
    first_deadline: Option<Instant>,
    /// All pages before this one are full.
    first_with_room: usize,
    taken: usize,
    /// When empty pages are looked at, if there are any.
    look_at: Option<Instant>,
    /// How often a slot has been reserved; the next token's generation.
    reserved: u32,
}

/// What a page takes, but for less than a slot: so much that glibc gives it back when it can (64
/// KiB), and too little to be mapped on its own (128 KiB), from which glibc would learn to give
/// back less.
const PAGE_BYTES: usize = 96 * 1024;

/// A page that nobody has used for that long is given back: at once, the allocator would put small
/// things in its place, and have to get another place for the next page, again and again.
const UNUSED_FOR: Duration = Duration::from_millis(500);

struct Page<C> {
    /// No more than have been in use at once.
    slots: Vec<Slot<C>>,
    taken: usize,
    free: Option<usize>,
    /// Whether a slot has been reserved in it since it was last looked at, empty.
    used: bool,
    /// No deadline of its slots comes before this one. It is not kept up when a deadline moves
    /// later, as that of a busy connection does with every request: then it costs a look in vain.
    first_deadline: Option<Instant>,
    /// None of its slots has been idle for longer. The same holds for it.
    longest_idle: Option<Instant>,
}

impl<C> Slots<C> {
    const PAGE_SLOTS: usize = match PAGE_BYTES / size_of::<Slot<C>>() {
        0 => 1,
        fit => fit,
    };

    /// For `most` connections, or more. What is written down of pages has its place from the
    /// beginning: one that lay above a crowd's would keep theirs from being given back.
    pub(crate) fn new(most: usize) -> Slots<C> {
        // Half a million connections, if each takes as much as one of a file server's.
        const PAGES_MAX: usize = 4096;
        Slots {
            pages: Vec::with_capacity(most.div_ceil(Self::PAGE_SLOTS).min(PAGES_MAX)),
            first_deadline: None,
            first_with_room: 0,
            taken: 0,
            look_at: None,
            reserved: 0,
        }
    }

    /// Reserves a slot.
    pub(crate) fn reserve(&mut self) -> Token {
        let has_room = |page: &Page<C>| page.taken < Self::PAGE_SLOTS;
        while self.pages.get(self.first_with_room).is_some_and(|page| !has_room(page)) {
            self.first_with_room += 1;
        }
        if self.first_with_room == self.pages.len() {
            self.pages.push(Page {
                slots: Vec::new(),
                taken: 0,
                free: None,
                used: false,
                first_deadline: None,
                longest_idle: None,
            });
        }
        let page = &mut self.pages[self.first_with_room];
        if page.slots.capacity() == 0 {
            page.slots = Vec::with_capacity(Self::PAGE_SLOTS);
        }
        self.reserved = self.reserved.wrapping_add(1);
        let slot = Slot {
            generation: self.reserved,
            connection: None,
            // The first try often finds bytes that came with the connection itself.
            ready: Ready { readable: true, writable: true, ..Ready::default() },
            deadline: None,
            idle_since: None,
            queued: false,
            state: State::Taken,
        };
        let at = page.put(slot);
        self.taken += 1;
        token(self.first_with_room * Self::PAGE_SLOTS + at, self.reserved)
    }

    /// Gives the slot back.
    pub(crate) fn release(&mut self, token: Token, now: Instant) {
        let (number, at) = (index(token) / Self::PAGE_SLOTS, index(token) % Self::PAGE_SLOTS);
        let Some(slot) = self.get(token) else { return };
        (slot.connection, slot.deadline, slot.idle_since) = (None, None, None);
        let page = &mut self.pages[number];
        page.slots[at].state = State::Free(page.free.replace(at));
        page.taken -= 1;
        self.taken -= 1;
        self.first_with_room = self.first_with_room.min(number);
        if page.taken == 0 {
            self.look_at.get_or_insert(now + UNUSED_FOR);
        }
    }

    /// Gives pages back that are empty and have not been used since the last time, but for the
    /// first one.
    fn give_back(&mut self, now: Instant) {
        self.look_at = None;
        for page in self.pages.iter_mut().skip(1).filter(|page| page.taken == 0) {
            if std::mem::take(&mut page.used) {
                self.look_at = Some(now + UNUSED_FOR);
            } else {
                (page.slots, page.free) = (Vec::new(), None);
            }
        }
        while self.pages.pop_if(|page| page.slots.capacity() == 0).is_some() {}
    }

    /// Notes what a connection waits for: until when at most, and since when it has been idle, if
    /// it is.
    pub(crate) fn park(
        &mut self,
        token: Token,
        deadline: Option<Instant>,
        idle_since: Option<Instant>,
    ) {
        let Some(slot) = self.get(token) else { return };
        (slot.deadline, slot.idle_since) = (deadline, idle_since);
        let page = &mut self.pages[index(token) / Self::PAGE_SLOTS];
        page.first_deadline = earlier(page.first_deadline, deadline);
        page.longest_idle = earlier(page.longest_idle, idle_since);
        self.first_deadline = earlier(self.first_deadline, deadline);
    }

    /// A time before which no deadline passes, and nothing is to be given back.
    pub(crate) fn first_deadline(&self) -> Option<Instant> {
        earlier(self.first_deadline, self.look_at)
    }

    /// Shows every slot whose deadline has passed, once. Gives back what a crowd has left.
    pub(crate) fn expire(&mut self, now: Instant, mut show: impl FnMut(Token, &mut Slot<C>)) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.look_at) {
            self.give_back(now);
        }
        if !is_due(self.first_deadline) {
            return;
        }
        for (number, page) in self.pages.iter_mut().enumerate() {
            if !is_due(page.first_deadline) {
                continue;
            }
            for (at, slot) in page.slots.iter_mut().enumerate() {
                if is_due(slot.deadline) {
                    slot.deadline = None;
                    show(token(number * Self::PAGE_SLOTS + at, slot.generation), slot);
                }
            }
            page.first_deadline = page.slots.iter().filter_map(|slot| slot.deadline).min();
        }
        self.first_deadline = self.pages.iter().filter_map(|page| page.first_deadline).min();
    }

    /// The slot that has been idle longest as far as is known, and since when.
    pub(crate) fn longest_idle(&mut self) -> Option<(Instant, Token)> {
        loop {
            let bounds = self.pages.iter().enumerate();
            let bounds = bounds.filter_map(|(number, page)| Some((page.longest_idle?, number)));
            let (bound, number) = bounds.min()?;
            let page = &mut self.pages[number];
            let idle = page.slots.iter().enumerate();
            let idle = idle.filter_map(|(at, slot)| Some((slot.idle_since?, at)));
            let longest = idle.min();
            page.longest_idle = longest.map(|(since, _)| since);
            if let Some((since, at)) = longest.filter(|(since, _)| *since <= bound) {
                let generation = page.slots[at].generation;
                return Some((since, token(number * Self::PAGE_SLOTS + at, generation)));
            }
        }
    }

    /// The slot that `token` names, if that very connection still holds it.
    pub(crate) fn get(&mut self, token: Token) -> Option<&mut Slot<C>> {
        let page = self.pages.get_mut(index(token) / Self::PAGE_SLOTS)?;
        let slot = page.slots.get_mut(index(token) % Self::PAGE_SLOTS)?;
        (slot.state == State::Taken && slot.generation == generation(token)).then_some(slot)
    }

    /// The tokens of all connections, here or away.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        let of_page = |(number, page): (usize, &Page<C>)| {
            let taken = page.slots.iter().enumerate().filter(|(_, it)| it.state == State::Taken);
            let named = |(at, slot): (usize, &Slot<C>)| {
                token(number * Self::PAGE_SLOTS + at, slot.generation)
            };
            taken.map(named).collect::<Vec<_>>()
        };
        self.pages.iter().enumerate().flat_map(of_page).collect()
    }

    /// How many connections there are, here or away.
    pub(crate) fn len(&self) -> usize {
        self.taken
    }
}

impl<C> Page<C> {
    /// Puts a slot in a free place, and says in which.
    fn put(&mut self, slot: Slot<C>) -> usize {
        self.taken += 1;
        self.used = true;
        let Some(at) = self.free else {
            self.slots.push(slot);
            return self.slots.len() - 1;
        };
        if let State::Free(next) = self.slots[at].state {
            self.free = next;
        }
        self.slots[at] = slot;
        at
    }
}

/// The earlier one of two times, as far as there are any.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

const _: () = assert!(usize::BITS == 64, "a token holds two numbers of 32 bits");

fn token(index: usize, generation: u32) -> Token {
    Token(index | (generation as usize) << 32)
}

fn index(token: Token) -> usize {
    token.0 & 0xffff_ffff
}

fn generation(token: Token) -> u32 {
    (token.0 >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As long as a connection is.
    type Long = [u32; 128];
    const PAGE: usize = Slots::<Long>::PAGE_SLOTS;

    #[test]
    fn a_token_of_an_ended_connection_names_nothing() {
        let mut slots: Slots<Long> = Slots::new(1);
        let first = slots.reserve();
        slots.release(first, Instant::now());
        let second = slots.reserve();
        assert_eq!(index(first), index(second));
        assert!(slots.get(first).is_none());
        assert!(slots.get(second).is_some());
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn a_crowd_leaves_what_those_need_who_stay() {
        let start = Instant::now();
        let mut slots: Slots<Long> = Slots::new(1);
        let tokens: Vec<_> = (0..40 * PAGE).map(|_| slots.reserve()).collect();
        for (number, token) in tokens.iter().enumerate() {
            slots.get(*token).expect("reserved").connection = Some([number as u32; 128]);
        }
        assert_eq!(slots.tokens(), tokens);
        let stays = |number: usize| number == 3 * PAGE + 7;
        for (number, token) in tokens.iter().enumerate().filter(|(number, _)| !stays(*number)) {
            slots.release(*token, start);
            assert!(slots.get(*token).is_none(), "{number}");
        }
        let held = |slots: &Slots<Long>| -> usize {
            slots.pages.iter().map(|page| page.slots.capacity()).sum()
        };
        assert_eq!((slots.len(), slots.pages.len(), held(&slots)), (1, 40, 40 * PAGE));
        // Used since they were last looked at, for the first time; then not.
        for (looks, pages) in [(1, 40), (2, 4)] {
            assert_eq!(slots.first_deadline(), Some(start + looks * UNUSED_FOR));
            slots.expire(start + looks * UNUSED_FOR, |_, _| panic!("no deadline"));
            assert_eq!(slots.pages.len(), pages);
        }
        assert_eq!((slots.first_deadline(), held(&slots)), (None, 2 * PAGE));
        let number = 3 * PAGE + 7;
        let stayed = slots.get(tokens[number]).expect("it stays").connection;
        assert_eq!(stayed, Some([number as u32; 128]));
        // The first pages are used first again, and no token of before fits.
        let again: Vec<_> = (0..PAGE).map(|_| slots.reserve()).collect();
        assert!(again.iter().all(|token| index(*token) < PAGE));
        assert!(tokens[..PAGE].iter().all(|token| slots.get(*token).is_none()));
        assert_eq!(held(&slots), 2 * PAGE);
    }

    #[test]
    fn a_deadline_is_shown_once_when_it_has_passed_and_not_if_it_has_moved() {
        let start = Instant::now();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let mut slots: Slots<Long> = Slots::new(1);
        let tokens: Vec<_> = (0..3 * PAGE).map(|_| slots.reserve()).collect();
        let (near, moved, far) = (tokens[PAGE + 1], tokens[PAGE], tokens[0]);
        let gone = tokens[2 * PAGE];
        slots.park(near, at(10), None);
        slots.park(moved, at(5), None);
        slots.park(moved, at(20), None);
        slots.park(gone, at(7), None);
        slots.park(far, at(90), None);
        slots.release(gone, start);
        let shown = |slots: &mut Slots<Long>, seconds| {
            let mut shown = Vec::new();
            slots.expire(at(seconds).expect("a time"), |token, _| shown.push(token));
            shown
        };
        // A bound may be too early, never too late.
        assert!(slots.first_deadline <= at(10));
        assert_eq!(shown(&mut slots, 9), []);
        assert_eq!(slots.first_deadline, at(10));
        assert_eq!(shown(&mut slots, 10), [near]);
        assert_eq!(shown(&mut slots, 19), []);
        assert_eq!(shown(&mut slots, 95), [far, moved]);
        assert_eq!((shown(&mut slots, 99), slots.first_deadline), (vec![], None));
    }

    #[test]
    fn the_longest_idle_is_found_whoever_has_been_busy_since() {
        let start = Instant::now();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let mut slots: Slots<Long> = Slots::new(1);
        let tokens: Vec<_> = (0..3 * PAGE).map(|_| slots.reserve()).collect();
        assert_eq!(slots.longest_idle(), None);
        for (seconds, token) in (0..).zip(&tokens) {
            slots.park(*token, None, at(1_000 - seconds));
        }
        let last = tokens.len() - 1;
        let found = |slots: &mut Slots<Long>| slots.longest_idle().map(|(_, token)| token);
        assert_eq!(found(&mut slots), Some(tokens[last]));
        // Busy; idle anew; gone.
        slots.park(tokens[last], at(2_000), None);
        slots.park(tokens[last - 1], None, at(1_500));
        slots.release(tokens[last - 2], start);
        assert_eq!(
            slots.longest_idle(),
            Some((at(1_000 - last as u64 + 3).expect("a time"), tokens[last - 3]))
        );
        for token in &tokens[..last - 1] {
            slots.park(*token, None, None);
        }
        assert_eq!(found(&mut slots), Some(tokens[last - 1]));
    }

    #[test]
    fn whoever_comes_and_goes_each_has_a_slot_of_its_own() {
        let start = Instant::now();
        let mut slots: Slots<Long> = Slots::new(1);
        let mut held: Vec<(Token, u32)> = Vec::new();
        let mut ended = Vec::new();
        // Any fixed sequence that looks like none.
        let mut state = 1_u32;
        for step in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let wanted = if step / 4_000 % 2 == 0 { 700 } else { 20 };
            if (state >> 16) % 800 < wanted || held.is_empty() {
                let token = slots.reserve();
                let slot = slots.get(token).expect("reserved just now");
                assert_eq!(slot.connection.replace([step; 128]), None);
                held.push((token, step));
            } else {
                let (token, _) = held.swap_remove((state >> 8) as usize % held.len());
                slots.release(token, start);
                ended.push(token);
            }
            assert_eq!(slots.len(), held.len());
            if step % 100 == 0 {
                slots.expire(start + Duration::from_secs(step.into()), |_, _| {});
            }
        }
        for (token, step) in &held {
            assert_eq!(slots.get(*token).and_then(|slot| slot.connection), Some([*step; 128]));
        }
        // Also where the page has been given back since, and another one is in its place.
        assert!(ended.iter().all(|token| slots.get(*token).is_none()));
        let mut expected: Vec<_> = held.iter().map(|(token, _)| *token).collect();
        expected.sort_by_key(|token| index(*token));
        assert_eq!(slots.tokens(), expected);
    }
}

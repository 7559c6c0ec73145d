//! Where a worker keeps its connections: slots that are reused, named by tokens that are not.

use std::time::Instant;

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
    pub(crate) connection: Option<Box<C>>,
    pub(crate) ready: Ready,
    /// The one entry that this slot has among the worker's deadlines.
    pub(crate) scheduled: Option<Instant>,
    /// And the one among those that are idle.
    pub(crate) idle: Option<Instant>,
    /// Whether the slot is in the worker's run queue or in the line for the pool.
    pub(crate) queued: bool,
    taken: bool,
}

/// The slots of one worker. A token carries the slot's index and how often it has been used
/// before, so that an event for a connection that has ended cannot reach its successor.
pub(crate) struct Slots<C> {
    slots: Vec<Slot<C>>,
    free: Vec<u32>,
    /// How often a slot has been reserved; the next token's generation.
    reserved: u32,
}

impl<C> Slots<C> {
    pub(crate) fn new() -> Slots<C> {
        Slots { slots: Vec::new(), free: Vec::new(), reserved: 0 }
    }

    /// Reserves a slot.
    pub(crate) fn reserve(&mut self) -> Token {
        let index = match self.free.pop() {
            Some(index) => index as usize,
            None => {
                self.slots.push(Slot {
                    generation: 0,
                    connection: None,
                    ready: Ready::default(),
                    scheduled: None,
                    idle: None,
                    queued: false,
                    taken: false,
                });
                self.slots.len() - 1
            }
        };
        let slot = &mut self.slots[index];
        slot.taken = true;
        self.reserved = self.reserved.wrapping_add(1);
        slot.generation = self.reserved;
        // The first try often finds bytes that came with the connection itself.
        slot.ready = Ready { readable: true, writable: true, ..Ready::default() };
        token(index, slot.generation)
    }

    /// Gives the slot back. The caller has taken it out of both timelines.
    pub(crate) fn release(&mut self, token: Token) {
        if let Some(slot) = self.get(token) {
            slot.connection = None;
            slot.scheduled = None;
            slot.idle = None;
            slot.queued = false;
            slot.taken = false;
            self.free.push(index(token) as u32);
        }
        if self.free.len() == self.slots.len() && self.slots.len() > 64 {
            // After a storm of connections its memory goes back.
            self.free = Vec::new();
            self.slots = Vec::new();
        }
    }

    /// The slot that `token` names, if that very connection still holds it.
    pub(crate) fn get(&mut self, token: Token) -> Option<&mut Slot<C>> {
        let slot = self.slots.get_mut(index(token))?;
        (slot.taken && slot.generation == generation(token)).then_some(slot)
    }

    /// The tokens of all connections, here or away.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        let taken = self.slots.iter().enumerate().filter(|(_, slot)| slot.taken);
        taken.map(|(index, slot)| token(index, slot.generation)).collect()
    }

    /// How many connections there are, here or away.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

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

    #[test]
    fn a_token_of_an_ended_connection_names_nothing() {
        let mut slots: Slots<u8> = Slots::new();
        let first = slots.reserve();
        slots.release(first);
        let second = slots.reserve();
        assert_eq!(index(first), index(second));
        assert!(slots.get(first).is_none());
        assert!(slots.get(second).is_some());
        assert_eq!(slots.len(), 1);
    }
}

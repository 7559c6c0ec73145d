//! Keeps compressed texts within a bound, the oldest giving way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use crate::root::Facts;

/// What all texts hold together. Those that are being sent count as well and do not give way, so
/// that slow clients cannot make it more.
pub(super) const BYTES_MAX: usize = 64 * 1024 * 1024;

/// How many texts there are at most, each with some 300 octets beside its content.
const TEXTS_MAX: usize = 16 * 1024;

/// How many of the oldest texts are looked at for one that can give way.
const LOOKS_MAX: usize = 64;

/// A compressed text; `None` until it is made.
pub(super) type Text = Arc<Mutex<Option<Arc<[u8]>>>>;

/// The texts, by the version of the file that they are made from: no other one has the same facts.
#[derive(Debug, Default)]
pub(super) struct Kept {
    texts: HashMap<Facts, Counted>,
    /// What is in `texts`, the oldest first.
    order: VecDeque<Facts>,
    bytes: usize,
}

#[derive(Debug)]
struct Counted {
    text: Text,
    /// As much of `bytes` is this text's; while it is made, the length of its file.
    bytes: usize,
}

impl Kept {
    /// A text that is made. Does not wait for one that is being made.
    pub(super) fn get(&self, facts: &Facts) -> Option<Arc<[u8]>> {
        self.texts.get(facts)?.text.try_lock().ok()?.clone()
    }

    /// The place of a text, made or not; `None` when there is no room for it.
    pub(super) fn place(&mut self, facts: Facts) -> Option<Text> {
        if let Some(known) = self.texts.get(&facts) {
            return Some(Arc::clone(&known.text));
        }
        let bytes = facts.len as usize;
        if !self.make_room(bytes) {
            return None;
        }
        let text = Text::default();
        self.bytes += bytes;
        self.order.push_back(facts);
        self.texts.insert(facts, Counted { text: Arc::clone(&text), bytes });
        Some(text)
    }

    /// The text in a place turns out to hold so many octets.
    pub(super) fn count(&mut self, facts: &Facts, bytes: usize) {
        if let Some(counted) = self.texts.get_mut(facts) {
            self.bytes = self.bytes - counted.bytes + bytes;
            counted.bytes = bytes;
        }
    }

    /// Lets old texts go until there is room for so many octets more.
    fn make_room(&mut self, bytes: usize) -> bool {
        for _ in 0..LOOKS_MAX {
            if self.bytes + bytes <= BYTES_MAX && self.texts.len() < TEXTS_MAX {
                return true;
            }
            let Some(oldest) = self.order.pop_front() else { return false };
            if self.texts.get(&oldest).is_some_and(Counted::is_in_use) {
                self.order.push_back(oldest);
            } else if let Some(gone) = self.texts.remove(&oldest) {
                self.bytes -= gone.bytes;
            }
        }
        false
    }
}

impl Counted {
    /// Whether it is being made or sent.
    fn is_in_use(&self) -> bool {
        let is_sent = |text: &Option<Arc<[u8]>>| text.as_ref().is_some_and(is_shared);
        is_shared(&self.text) || self.text.try_lock().map_or(true, |text| is_sent(&text))
    }
}

fn is_shared<T: ?Sized>(it: &Arc<T>) -> bool {
    Arc::strong_count(it) > 1
}

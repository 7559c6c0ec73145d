//! Keeps compressed texts within a bound, the oldest giving way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::{CHECK_AFTER, Whole};
use crate::root::Facts;

/// What all texts hold together. Those that are being sent count as well and do not give way, so
/// that slow clients cannot make it more.
pub(super) const BYTES_MAX: usize = 64 * 1024 * 1024;

/// How many texts there are at most, each with some 300 octets beside its content.
pub(super) const TEXTS_MAX: usize = 16 * 1024;

/// How many of the oldest texts are looked at for one that can give way.
const LOOKS_MAX: usize = 64;

/// A text; `None` until it has been looked at.
pub(super) type Text = Arc<Mutex<Option<Made>>>;

/// What has come of a text.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) whole: Whole,
    /// Of its octets.
    pub(super) hash: u64,
    /// When they were last looked at.
    pub(super) checked: SystemTime,
}

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
    /// What has come of a text, if that is still good. Does not wait for one that is being made.
    pub(super) fn get(&self, facts: &Facts, now: SystemTime) -> Option<Whole> {
        let text = self.texts.get(facts)?.text.try_lock().ok()?;
        let made = text.as_ref()?;
        // Nor if the clock has been set back.
        let age = now.duration_since(made.checked).ok()?;
        (age < CHECK_AFTER).then(|| made.whole.clone())
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

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.texts.len()
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
        let is_sent = |made: &Made| matches!(&made.whole, Whole::Gzip(text) if is_shared(text));
        is_shared(&self.text)
            || self.text.try_lock().map_or(true, |text| text.as_ref().is_some_and(is_sent))
    }
}

fn is_shared<T: ?Sized>(it: &Arc<T>) -> bool {
    Arc::strong_count(it) > 1
}

//! Threads, atomics, channels and wakers whose every step `shuttle` orders as it likes.
//!
//! The channels do what those of crossbeam-channel do, of which only this is needed: bounded,
//! any number of senders and receivers, what is in one dropped with its last receiver.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crossbeam_channel::{RecvError, SendError, TryRecvError, TrySendError};
use mio::{Registry, Token};
use shuttle::rand::Rng;
use shuttle::sync::{Condvar, Mutex};

pub(crate) use shuttle::sync::atomic::AtomicUsize;
pub(crate) use shuttle::thread::Builder;

/// A sending end.
pub(crate) struct Sender<T>(Arc<Channel<T>>);

/// A receiving end.
pub(crate) struct Receiver<T>(Arc<Channel<T>>);

struct Channel<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    queue: VecDeque<T>,
    most: usize,
    senders: usize,
    receivers: usize,
    /// Who waits for this channel and another one.
    watchers: Vec<Waker>,
}

pub(crate) fn bounded<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let (queue, watchers) = (VecDeque::new(), Vec::new());
    let state = State { queue, most, senders: 1, receivers: 1, watchers };
    let channel = Arc::new(Channel { state: Mutex::new(state), changed: Condvar::new() });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

impl<T> Channel<T> {
    fn with<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut change = Some(change);
        self.wait(|state| Some(change.take()?(state)))
    }

    /// Tries again and again until something comes of it.
    fn wait<R>(&self, mut attempt: impl FnMut(&mut State<T>) -> Option<R>) -> R {
        let mut state = self.state.lock().expect("no test goes on after a panic");
        loop {
            let before = state.extent();
            if let Some(result) = attempt(&mut state) {
                if state.extent() != before {
                    let watchers = state.watchers.clone();
                    drop(state);
                    self.changed.notify_all();
                    watchers.iter().for_each(Waker::set);
                }
                return result;
            }
            state = self.changed.wait(state).expect("no test goes on after a panic");
        }
    }
}

impl<T> State<T> {
    /// What somebody may wait for.
    fn extent(&self) -> (usize, usize, usize) {
        (self.queue.len(), self.senders, self.receivers)
    }

    fn push(&mut self, value: T) -> Result<(), TrySendError<T>> {
        if self.receivers == 0 {
            return Err(TrySendError::Disconnected(value));
        }
        if self.queue.len() == self.most {
            return Err(TrySendError::Full(value));
        }
        self.queue.push_back(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<T, TryRecvError> {
        match self.queue.pop_front() {
            Some(value) => Ok(value),
            None if self.senders == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }
}

impl<T> Sender<T> {
    pub(crate) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.0.with(|state| state.push(value))
    }

    pub(crate) fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut value = Some(value);
        self.0.wait(|state| match state.push(value.take()?) {
            Ok(()) => Some(Ok(())),
            Err(TrySendError::Disconnected(back)) => Some(Err(SendError(back))),
            Err(TrySendError::Full(back)) => {
                value = Some(back);
                None
            }
        })
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.with(|state| state.queue.len() == state.most)
    }
}

impl<T> Receiver<T> {
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.with(State::pop)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| {
            self.0.wait(|state| match state.pop() {
                Ok(value) => Some(Some(value)),
                Err(TryRecvError::Disconnected) => Some(None),
                Err(TryRecvError::Empty) => None,
            })
        })
    }
}

/// As the real one.
pub(crate) fn recv_either<T>(one: &Receiver<T>, other: &Receiver<T>) -> Result<T, RecvError> {
    let mut order = [one, other];
    if shuttle::rand::thread_rng().r#gen() {
        order.reverse();
    }
    let waker = Waker::free();
    for channel in order {
        channel.0.with(|state| state.watchers.push(waker.clone()));
    }
    let found = loop {
        // The second one is only looked at when there is nothing in the first.
        let found = order[0].try_recv().or_else(|first| match order[1].try_recv() {
            Err(TryRecvError::Empty) => Err(first),
            found => found,
        });
        match found {
            Ok(value) => break Ok(value),
            Err(TryRecvError::Disconnected) => break Err(RecvError),
            Err(TryRecvError::Empty) => waker.wait(),
        }
    };
    for channel in order {
        channel.0.with(|state| state.watchers.retain(|other| !Arc::ptr_eq(&other.0, &waker.0)));
    }
    found
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.0.with(|state| state.senders += 1);
        Sender(Arc::clone(&self.0))
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        self.0.with(|state| state.receivers += 1);
        Receiver(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.with(|state| state.senders -= 1);
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let left = self.0.with(|state| {
                state.receivers -= 1;
                if state.receivers == 0 {
                    std::mem::take(&mut state.queue)
                } else {
                    VecDeque::new()
                }
            });
            drop(left);
        }
    }
}

/// Wakes one thread, now or when it next waits. Clones wake the same.
#[derive(Clone)]
pub(crate) struct Waker(Arc<(Mutex<bool>, Condvar)>);

impl Waker {
    /// For what is compiled but not run in a model.
    pub(crate) fn new(_: &Registry, _: Token) -> io::Result<Waker> {
        Ok(Waker::free())
    }

    /// One that belongs to no readiness loop.
    pub(crate) fn free() -> Waker {
        Waker(Arc::new((Mutex::new(false), Condvar::new())))
    }

    pub(crate) fn wake(&self) -> io::Result<()> {
        self.set();
        Ok(())
    }

    fn set(&self) {
        *self.0.0.lock().expect("no test goes on after a panic") = true;
        self.0.1.notify_all();
    }

    /// What the readiness loop does.
    pub(crate) fn wait(&self) {
        let mut woken = self.0.0.lock().expect("no test goes on after a panic");
        while !std::mem::take(&mut *woken) {
            woken = self.0.1.wait(woken).expect("no test goes on after a panic");
        }
    }
}

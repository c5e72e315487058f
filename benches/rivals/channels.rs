//! Bounded channels whose receivers hear when the last sender is gone.
//!
//! Of std's two, `mpsc` is here where there is one receiver; `mpmc` is not, as it is not stable
//! (rust-lang/rust#126840).

use std::sync::mpsc;

use super::plain;

/// One end each for so many producers and consumers, as the library hands them out.
pub(crate) type Ends<C> = (Vec<<C as Channel>::Sender>, Vec<<C as Channel>::Receiver>);

/// How many items go in and out in one call where a library can do that.
pub(crate) const BATCH: usize = 32;

/// A bounded channel of numbers.
pub(crate) trait Channel: 'static {
    type Sender: Send + 'static;
    type Receiver: Send + 'static;

    fn ends(capacity: usize, producers: usize, consumers: usize) -> Ends<Self>;

    fn send(sender: &Self::Sender, item: u64);

    /// `None` once it is empty and every sender is gone.
    fn receive(receiver: &Self::Receiver) -> Option<u64>;

    fn try_send(sender: &Self::Sender, item: u64) -> bool;

    fn try_receive(receiver: &Self::Receiver) -> Option<u64>;

    /// One by one, where the library knows no better way.
    fn send_many(sender: &Self::Sender, items: impl Iterator<Item = u64>) {
        for item in items {
            Self::send(sender, item);
        }
    }

    /// Hands at most [`BATCH`] items to `each`; false once the channel is at its end.
    fn receive_many(receiver: &Self::Receiver, mut each: impl FnMut(u64)) -> bool {
        let Some(first) = Self::receive(receiver) else { return false };
        each(first);
        for _ in 1..BATCH {
            match Self::try_receive(receiver) {
                Some(item) => each(item),
                None => break,
            }
        }
        true
    }
}

fn clones<S: Clone, R: Clone>(ends: (S, R), producers: usize, consumers: usize) -> (Vec<S>, Vec<R>) {
    // Clones only as many as are used: a sender that is kept would keep the channel open.
    (vec![ends.0; producers], vec![ends.1; consumers])
}

pub(crate) struct Selvedge;

impl Channel for Selvedge {
    type Sender = selvedge::queue::Sender<u64>;
    type Receiver = selvedge::queue::Receiver<u64>;

    fn ends(capacity: usize, producers: usize, consumers: usize) -> Ends<Self> {
        let ends = match capacity {
            0 => selvedge::queue::rendezvous(),
            _ => selvedge::queue::bounded(capacity),
        };
        clones(ends, producers, consumers)
    }

    fn send(sender: &Self::Sender, item: u64) {
        sender.push(item).expect("the receiver is there");
    }

    fn receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.pop().ok()
    }

    fn try_send(sender: &Self::Sender, item: u64) -> bool {
        sender.try_push(item).is_ok()
    }

    fn try_receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.try_pop().ok()
    }

    fn send_many(sender: &Self::Sender, items: impl Iterator<Item = u64>) {
        sender.push_all(items).expect("the receiver is there");
    }

    fn receive_many(receiver: &Self::Receiver, each: impl FnMut(u64)) -> bool {
        receiver.pop_many(BATCH).map(|items| items.into_iter().for_each(each)).is_ok()
    }
}

pub(crate) struct Crossbeam;

impl Channel for Crossbeam {
    type Sender = crossbeam_channel::Sender<u64>;
    type Receiver = crossbeam_channel::Receiver<u64>;

    fn ends(capacity: usize, producers: usize, consumers: usize) -> Ends<Self> {
        clones(crossbeam_channel::bounded(capacity), producers, consumers)
    }

    fn send(sender: &Self::Sender, item: u64) {
        sender.send(item).expect("the receiver is there");
    }

    fn receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.recv().ok()
    }

    fn try_send(sender: &Self::Sender, item: u64) -> bool {
        sender.try_send(item).is_ok()
    }

    fn try_receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.try_recv().ok()
    }
}

pub(crate) struct Kanal;

impl Channel for Kanal {
    type Sender = kanal::Sender<u64>;
    type Receiver = kanal::Receiver<u64>;

    fn ends(capacity: usize, producers: usize, consumers: usize) -> Ends<Self> {
        clones(kanal::bounded(capacity), producers, consumers)
    }

    fn send(sender: &Self::Sender, item: u64) {
        sender.send(item).expect("the receiver is there");
    }

    fn receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.recv().ok()
    }

    fn try_send(sender: &Self::Sender, item: u64) -> bool {
        sender.try_send(item).is_ok_and(|sent| sent)
    }

    fn try_receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.try_recv().ok().flatten()
    }
}

pub(crate) struct Flume;

impl Channel for Flume {
    type Sender = flume::Sender<u64>;
    type Receiver = flume::Receiver<u64>;

    fn ends(capacity: usize, producers: usize, consumers: usize) -> Ends<Self> {
        clones(flume::bounded(capacity), producers, consumers)
    }

    fn send(sender: &Self::Sender, item: u64) {
        sender.send(item).expect("the receiver is there");
    }

    fn receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.recv().ok()
    }

    fn try_send(sender: &Self::Sender, item: u64) -> bool {
        sender.try_send(item).is_ok()
    }

    fn try_receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.try_recv().ok()
    }
}

pub(crate) struct Crossfire;

impl Channel for Crossfire {
    type Sender = crossfire::MTx<crossfire::mpmc::Array<u64>>;
    type Receiver = crossfire::MRx<crossfire::mpmc::Array<u64>>;

    fn ends(capacity: usize, producers: usize, consumers: usize) -> Ends<Self> {
        // Its documentation asks for this where there may be one processor only.
        crossfire::detect_backoff_cfg();
        clones(crossfire::mpmc::bounded_blocking(capacity), producers, consumers)
    }

    fn send(sender: &Self::Sender, item: u64) {
        sender.send(item).expect("the receiver is there");
    }

    fn receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.recv().ok()
    }

    fn try_send(sender: &Self::Sender, item: u64) -> bool {
        sender.try_send(item).is_ok()
    }

    fn try_receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.try_recv().ok()
    }
}

/// std's channel, which has one receiver.
pub(crate) struct Std;

impl Channel for Std {
    type Sender = mpsc::SyncSender<u64>;
    type Receiver = mpsc::Receiver<u64>;

    fn ends(capacity: usize, producers: usize, consumers: usize) -> Ends<Self> {
        assert_eq!(consumers, 1, "std's channel has one receiver");
        let (sender, receiver) = mpsc::sync_channel(capacity);
        (vec![sender; producers], vec![receiver])
    }

    fn send(sender: &Self::Sender, item: u64) {
        sender.send(item).expect("the receiver is there");
    }

    fn receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.recv().ok()
    }

    fn try_send(sender: &Self::Sender, item: u64) -> bool {
        sender.try_send(item).is_ok()
    }

    fn try_receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.try_recv().ok()
    }
}

/// A mutex and two condvars.
pub(crate) struct Plain;

impl Channel for Plain {
    type Sender = plain::Sender<u64>;
    type Receiver = plain::Receiver<u64>;

    fn ends(capacity: usize, producers: usize, consumers: usize) -> Ends<Self> {
        clones(plain::channel(capacity), producers, consumers)
    }

    fn send(sender: &Self::Sender, item: u64) {
        sender.send(item);
    }

    fn receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.receive()
    }

    fn try_send(sender: &Self::Sender, item: u64) -> bool {
        sender.try_send(item)
    }

    fn try_receive(receiver: &Self::Receiver) -> Option<u64> {
        receiver.try_receive()
    }
}

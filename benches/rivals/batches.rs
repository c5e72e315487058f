//! Batchers: items in, sums of batches out.

use std::hint::black_box;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use multistream_batch::channel::buf_batch::{BufBatchChannel, Command, CommandSender};
use selvedge::batch::Batch;

/// Long enough that size decides, as it does under load.
const AGE: Duration = Duration::from_millis(100);

/// A batcher, as threads use it that add.
pub(crate) trait Batching: Send + Sync + 'static {
    fn new(most: usize) -> Self;

    fn add(&self, item: u64);

    /// Waits until everything has been processed; nobody adds any more.
    fn finish(&self);
}

/// What a batch is for here.
fn process(batch: &[u64]) {
    black_box(batch.iter().sum::<u64>());
}

impl Batching for selvedge::Batcher<u64> {
    fn new(most: usize) -> Self {
        let builder = selvedge::Batcher::builder().max_items(most).max_age(AGE);
        builder.build(|batch: &mut Batch<u64>| process(batch)).expect("a bench needs its thread")
    }

    fn add(&self, item: u64) {
        self.add(item).expect("nobody closes it");
    }

    fn finish(&self) {
        self.close();
    }
}

/// A channel and a thread that gathers from it: what people write by hand.
pub(crate) struct ByHand {
    /// `None` is the end.
    sender: crossbeam_channel::Sender<Option<u64>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Batching for ByHand {
    fn new(most: usize) -> Self {
        let (sender, items) = crossbeam_channel::bounded::<Option<u64>>(2 * most);
        let gather = move || {
            let mut batch = Vec::with_capacity(most);
            while let Ok(Some(first)) = items.recv() {
                batch.push(first);
                let end = Instant::now() + AGE;
                let mut last = false;
                while batch.len() < most && !last {
                    match items.recv_deadline(end) {
                        Ok(Some(item)) => batch.push(item),
                        Err(RecvTimeoutError::Timeout) => break,
                        Ok(None) | Err(RecvTimeoutError::Disconnected) => last = true,
                    }
                }
                process(&batch);
                batch.clear();
                if last {
                    break;
                }
            }
        };
        ByHand { sender, thread: Mutex::new(Some(thread::spawn(gather))) }
    }

    fn add(&self, item: u64) {
        self.sender.send(Some(item)).expect("the thread is there");
    }

    fn finish(&self) {
        self.sender.send(None).expect("the thread is there");
        join(&self.thread);
    }
}

fn join(thread: &Mutex<Option<JoinHandle<()>>>) {
    if let Some(thread) = thread.lock().unwrap().take() {
        thread.join().expect("it does not panic");
    }
}

/// A crate for the same, on a crossbeam channel too.
pub(crate) struct Multistream {
    /// In a lock for `finish` only, which must drop it; adders read.
    sender: RwLock<Option<CommandSender<u64>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Batching for Multistream {
    fn new(most: usize) -> Self {
        let (sender, mut batches) = BufBatchChannel::new(most, AGE, 2 * most);
        let gather = move || {
            while let Ok(batch) = batches.next() {
                process(batch.as_slice());
            }
        };
        Multistream { sender: RwLock::new(Some(sender)), thread: Mutex::new(Some(thread::spawn(gather))) }
    }

    fn add(&self, item: u64) {
        let sender = self.sender.read().unwrap();
        sender.as_ref().expect("not finished").send(Command::Append(item)).expect("the thread is there");
    }

    fn finish(&self) {
        drop(self.sender.write().unwrap().take());
        join(&self.thread);
    }
}

/// The reference's: a list and a timer that each add sets anew, and the batch processed under the lock by
/// whoever fills it. No back-pressure but the lock, and no word of what was lost.
pub(crate) struct UnderItsLock {
    shared: Arc<(Mutex<Gathered>, Condvar)>,
    most: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Gathered {
    items: Vec<u64>,
    rings_at: Option<Instant>,
    finished: bool,
}

impl Batching for UnderItsLock {
    fn new(most: usize) -> Self {
        let gathered = Gathered { items: Vec::with_capacity(most), rings_at: None, finished: false };
        let shared = Arc::new((Mutex::new(gathered), Condvar::new()));
        let timer = {
            let shared = Arc::clone(&shared);
            move || {
                let (gathered, changed) = &*shared;
                let mut gathered = gathered.lock().unwrap();
                while !gathered.finished {
                    if gathered.rings_at.is_some_and(|at| Instant::now() >= at) {
                        gathered.rings_at = None;
                        process(&mem::take(&mut gathered.items));
                    }
                    let rings_at = gathered.rings_at;
                    let wait = rings_at.map_or(AGE, |at| at.saturating_duration_since(Instant::now()));
                    gathered = changed.wait_timeout(gathered, wait).unwrap().0;
                }
            }
        };
        UnderItsLock { shared, most, thread: Mutex::new(Some(thread::spawn(timer))) }
    }

    fn add(&self, item: u64) {
        let mut gathered = self.shared.0.lock().unwrap();
        gathered.items.push(item);
        if gathered.items.len() >= self.most {
            process(&gathered.items);
            gathered.items.clear();
        }
        gathered.rings_at = Some(Instant::now() + AGE);
    }

    fn finish(&self) {
        let mut gathered = self.shared.0.lock().unwrap();
        process(&mem::take(&mut gathered.items));
        gathered.finished = true;
        drop(gathered);
        self.shared.1.notify_all();
        join(&self.thread);
    }
}

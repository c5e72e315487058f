//! Logs: a record is on disk when `commit` returns.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex};
use std::time::Duration;
use std::{env, fs, mem, thread};

use crossbeam_channel::{Receiver, Sender, bounded};
use selvedge::batch::Batch;

pub(crate) type Record = [u8; 100];

/// The most records that one `fsync` is shared by.
const MOST: usize = 64;

pub(crate) trait Log: Send + Sync + 'static {
    fn new(file: File) -> Self;

    fn commit(&self, record: Record);
}

/// A new file beside the bench's own program: a real file system, unlike many a `/tmp`. Its name is gone at
/// once.
pub(crate) fn file() -> File {
    let program = env::current_exe().expect("a bench knows where it is");
    let path = program.with_file_name(format!("commits-{}", std::process::id()));
    let file = File::create(&path).expect("the target folder is writable");
    fs::remove_file(&path).expect("the file was made");
    file
}

fn write_all(file: &mut File, records: &[Record]) -> io::Result<()> {
    file.write_all(records.as_flattened())?;
    file.sync_data()
}

/// One `fsync` for each record.
pub(crate) struct OneEach(Mutex<File>);

impl Log for OneEach {
    fn new(file: File) -> Self {
        OneEach(Mutex::new(file))
    }

    fn commit(&self, record: Record) {
        write_all(&mut self.0.lock().unwrap(), &[record]).expect("the disk works");
    }
}

impl Log for selvedge::Batcher<Record> {
    fn new(mut file: File) -> Self {
        let builder = selvedge::Batcher::builder().max_items(MOST).max_age(Duration::ZERO);
        let handler = move |batch: &mut Batch<Record>| write_all(&mut file, batch);
        builder.build(handler).expect("a bench needs its thread")
    }

    fn commit(&self, record: Record) {
        self.submit(record).expect("nobody closes it").join().expect("the disk works");
    }
}

/// A channel with a reply channel in each message, and a thread that takes what is there.
pub(crate) struct Replies(Sender<(Record, Sender<()>)>);

impl Log for Replies {
    fn new(mut file: File) -> Self {
        let (sender, requests): (_, Receiver<(Record, Sender<()>)>) = bounded(2 * MOST);
        thread::spawn(move || {
            while let Ok(first) = requests.recv() {
                let taken = [first].into_iter().chain(requests.try_iter().take(MOST - 1));
                let (records, replies): (Vec<Record>, Vec<_>) = taken.unzip();
                write_all(&mut file, &records).expect("the disk works");
                replies.into_iter().for_each(|reply| _ = reply.send(()));
            }
        });
        Replies(sender)
    }

    fn commit(&self, record: Record) {
        let (reply, replied) = bounded(1);
        self.0.send((record, reply)).expect("the thread is there");
        replied.recv().expect("the disk works");
    }
}

/// No thread: whoever comes while nobody writes does so for all who are waiting.
pub(crate) struct Leader {
    state: Mutex<Waiting>,
    written: Condvar,
    file: Mutex<File>,
}

#[derive(Default)]
struct Waiting {
    records: Vec<Record>,
    /// The round that the records above will be written in.
    round: u64,
    /// Rounds that have been written.
    done: u64,
    busy: bool,
}

impl Log for Leader {
    fn new(file: File) -> Self {
        Leader { state: Mutex::default(), written: Condvar::new(), file: Mutex::new(file) }
    }

    fn commit(&self, record: Record) {
        let mut state = self.state.lock().unwrap();
        state.records.push(record);
        let round = state.round;
        while state.done <= round {
            if state.busy {
                state = self.written.wait(state).unwrap();
                continue;
            }
            state.busy = true;
            state.round += 1;
            let records = mem::take(&mut state.records);
            drop(state);
            write_all(&mut self.file.lock().unwrap(), &records).expect("the disk works");
            state = self.state.lock().unwrap();
            state.busy = false;
            state.done = state.round;
            self.written.notify_all();
        }
    }
}

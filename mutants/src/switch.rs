//! Goes into the woven copy of the crate: says which mutant is on. Not part of the crate or of this program.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

// Numbers that no mutant has.
const UNREAD: u32 = u32::MAX;
const NONE: u32 = u32::MAX - 1;
const RECORD: u32 = u32::MAX - 2;

/// The mutant that is on in this process. std's atomic in models too: it never changes once it is read, so no
/// schedule depends on it.
static ACTIVE: AtomicU32 = AtomicU32::new(UNREAD);

/// Which mutants this process has reached and written down.
static REACHED: [AtomicBool; 1 << 14] = [const { AtomicBool::new(false) }; 1 << 14];
static FILE: OnceLock<File> = OnceLock::new();

/// Whether mutant `id` takes the place of the original here.
#[inline]
pub(crate) fn on(id: u32) -> bool {
    match ACTIVE.load(Relaxed) {
        UNREAD => {
            read();
            on(id)
        }
        RECORD => {
            record(id);
            false
        }
        active => active == id,
    }
}

#[cold]
fn read() {
    let active = match env::var("SELVEDGE_MUTANT") {
        Err(_) => NONE,
        Ok(text) => match text.strip_prefix("record:") {
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                FILE.get_or_init(|| file.expect("the record can be written"));
                RECORD
            }
            None => text.parse().expect("SELVEDGE_MUTANT is a number"),
        },
    };
    ACTIVE.store(active, Relaxed);
}

/// Writes down, once for each mutant, that it was reached. Allocates nothing: a test may count.
#[cold]
fn record(id: u32) {
    if REACHED[id as usize].swap(true, Relaxed) {
        return;
    }
    let mut line = *b"00000\n";
    let mut rest = id;
    for digit in line[..5].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let mut file = FILE.get().expect("the file is open before the switch says so");
    file.write_all(&line).expect("the record can be written");
}

//! The word of a chunk: two counts and flags, so that one compare-and-swap changes them together.

/// The chunk has an owner, who computes its items.
pub(super) const OWNED: u64 = 1;
/// The owner has begun an item and not completed it.
pub(super) const BUSY: u64 = 1 << 1;
/// A thread reads into the chunk.
pub(super) const READING: u64 = 1 << 2;
/// The consumer sleeps until there is an output here, or there can be none any more.
pub(super) const WANTED: u64 = 1 << 3;
/// `last` follows the outputs in the cells.
pub(super) const HAS_LAST: u64 = 1 << 4;
/// The counts are above the flags, `filled` first.
pub(super) const ONE_FILLED: u64 = 1 << 8;
pub(super) const ONE_BEGUN: u64 = 1 << 36;
const COUNT: u64 = (1 << 28) - 1;

/// A value of the word.
#[derive(Clone, Copy)]
pub(super) struct Word(pub(super) u64);

impl Word {
    pub(super) fn filled(self) -> usize {
        ((self.0 / ONE_FILLED) & COUNT) as usize
    }

    pub(super) fn begun(self) -> usize {
        ((self.0 / ONE_BEGUN) & COUNT) as usize
    }

    pub(super) fn completed(self) -> usize {
        self.begun() - usize::from(self.has(BUSY))
    }

    /// The number of inputs.
    pub(super) fn inputs(self) -> usize {
        self.filled() - self.begun()
    }

    pub(super) fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    pub(super) fn with(self, flags: u64) -> Self {
        Word(self.0 | flags)
    }

    pub(super) fn without(self, flags: u64) -> Self {
        Word(self.0 & !flags)
    }

    /// True if the chunk will have no more outputs than it has now.
    pub(super) fn is_done(self) -> bool {
        self.inputs() == 0 && !self.has(OWNED | READING)
    }

    /// True if there are inputs, and no thread reads or computes here.
    pub(super) fn is_left_over(self) -> bool {
        self.inputs() > 0 && !self.has(OWNED | READING)
    }

    /// Without the last `count` inputs.
    pub(super) fn shortened(self, count: usize) -> Self {
        Word(self.0 - count as u64 * ONE_FILLED)
    }
}

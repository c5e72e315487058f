//! A pipeline into a crossbeam channel, so that `select!` can wait for its items.

use std::fmt;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::Pipeline;
use super::cancel_mode::CancelMode;
use super::output::Output;
use super::stage::Run;
use crate::cancel::CancelToken;
use crate::error::Rejected;
use crate::group::Nursery;
use crate::panics::{self, Payload};
use crate::sync::{Arc, Mutex};

/// Sends the items of a pipeline into a channel; made by [`Pipeline::into_channel`]. Dropping it stops the
/// pipeline.
///
/// # Blocking
/// [`join`](ChannelDriver::join) blocks until the pipeline has ended, which requires that its items are
/// received or the receiver is dropped. Dropping the driver blocks until the pipeline's threads have left.
///
/// # Cancellation
/// A cancellation interrupts a send that waits for room. The item is dropped, and `join` reports the
/// cancellation.
///
/// # Panics
/// `join` resumes the panic of a stage. If the driver is dropped instead, that panic is discarded; the panic
/// hook has reported it.
#[must_use = "dropping it stops the pipeline"]
pub struct ChannelDriver<G: CancelMode> {
    nursery: Arc<Nursery<'static>>,
    stop: CancelToken,
    end: Arc<Mutex<Option<End<G>>>>,
}

type End<G> = Result<<G as CancelMode>::Of<()>, Payload>;

impl<S, G> Pipeline<S, G>
where
    S: Run<'static, G>,
    S::Iter: Send + 'static,
    S::Item: Send + 'static,
    G: CancelMode,
    G::Of<()>: Send,
{
    /// Sends the items into a crossbeam channel of the given capacity, from a thread of its own, so that
    /// `select!` can wait for several pipelines. The channel is disconnected when the pipeline ends, however
    /// it ends; [`ChannelDriver::join`] returns its outcome.
    ///
    /// Once the receiver is dropped, the pipeline stops at the next item that it would send.
    ///
    /// # Errors
    /// If the operating system refuses the thread. The error contains the pipeline as an iterator, which the
    /// caller can pull on a thread of its own.
    ///
    /// ```
    /// use crossbeam_channel::select;
    /// use selvedge::Pipeline;
    ///
    /// let (words, driver) = Pipeline::source(["warp", "weft"]).map(str::len).into_channel(1).unwrap();
    /// let mut total = 0;
    /// loop {
    ///     select! {
    ///         recv(words) -> length => match length {
    ///             Ok(length) => total += length,
    ///             Err(_) => break,
    ///         },
    ///     }
    /// }
    /// driver.join();
    /// assert_eq!(total, 8);
    /// ```
    ///
    /// # Panics
    /// If a channel of this capacity does not fit into memory.
    #[allow(clippy::type_complexity, reason = "the parts are named where they are explained")]
    #[track_caller]
    pub fn into_channel(
        self,
        capacity: usize,
    ) -> Result<(Receiver<S::Item>, ChannelDriver<G>), Rejected<<Self as IntoIterator>::IntoIter, io::Error>>
    {
        // The channel allocates its buffer at once, an item and a stamp each, and aborts if that fails.
        let fits = Vec::<(S::Item, usize)>::new().try_reserve_exact(capacity);
        assert!(fits.is_ok(), "a channel of capacity {capacity} does not fit into memory");
        let (sender, receiver) = bounded(capacity);
        let (nursery, end) = (Nursery::owned(None), Arc::new(Mutex::new(None)));
        let output = self.into_iter();
        let stop = output.token().clone();
        // Taken by the thread when it starts, or back by this call if no thread starts.
        let raw = Arc::new(Mutex::new(Some((output, sender))));
        let (token, result, handoff) = (stop.clone(), Arc::clone(&end), Arc::clone(&raw));
        let spawned = nursery.spawn(move || {
            let Some((output, sender)) = handoff.lock().take() else { return };
            let sent = panics::catch(|| send(output, &sender, &token));
            // Stored before the sender is dropped, so that a receiver that sees the disconnection finds the
            // outcome.
            *result.lock() = Some(sent);
        });
        if let Err(error) = spawned {
            let unsent = raw.lock().take();
            if let Some((output, _)) = unsent {
                // Withdraws the task, which has nothing left to do.
                nursery.close();
                return Err(Rejected::new(output, error));
            }
        }
        Ok((receiver, ChannelDriver { nursery, stop, end }))
    }
}

fn send<I: Iterator, G: CancelMode>(
    mut output: Output<I, G>,
    sender: &Sender<I::Item>,
    stop: &CancelToken,
) -> G::Of<()> {
    for item in output.by_ref() {
        select! {
            send(sender, item) -> sent => if sent.is_err() { break },
            recv(stop.done()) -> _ => {
                // The item is dropped unsent. Without this mark the end would count as success.
                output.mark_truncated();
                break;
            }
        }
    }
    output.outcome()
}

impl<G: CancelMode> ChannelDriver<G> {
    /// Waits until the pipeline has ended, and returns its outcome.
    ///
    /// # Panics
    /// Resumes the first panic of a stage.
    pub fn join(self) -> G::Of<()> {
        self.nursery.close();
        let end = self.end.lock().take();
        match end.expect("the nursery is closed when its task has ended, and nobody else takes the end") {
            Ok(outcome) => outcome,
            Err(payload) => panics::resume(payload),
        }
    }
}

impl<G: CancelMode> Drop for ChannelDriver<G> {
    fn drop(&mut self) {
        self.stop.cancel();
        self.nursery.close();
        // The outcome was not asked for.
        let unread = self.end.lock().take();
        // Contained: the outcome may be the payload of a stage, which has no receiver any more.
        panics::discard(unread);
    }
}

impl<G: CancelMode> fmt::Debug for ChannelDriver<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelDriver").field("stop", &self.stop).finish_non_exhaustive()
    }
}

// It waits for an end, and hands it over whole.
impl<G: CancelMode> UnwindSafe for ChannelDriver<G> {}
impl<G: CancelMode> RefUnwindSafe for ChannelDriver<G> {}

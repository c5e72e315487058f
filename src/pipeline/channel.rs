//! A pipeline into a crossbeam channel, for `select!`.

use std::fmt;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::Pipeline;
use super::cancel_mode::CancelMode;
use super::sinks::Output;
use super::stage::Run;
use crate::cancel::CancelToken;
use crate::error::Rejected;
use crate::group::Nursery;
use crate::panics::{self, Payload};
use crate::sync::{Arc, Mutex};

/// What drives a pipeline into a channel; made by [`Pipeline::into_channel`]. Dropping it stops the pipeline.
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
    /// Sends the items into a crossbeam channel of that capacity, from a thread of its own: for `select!`
    /// over several pipelines. The channel is disconnected at the end, whatever the end was; [`ChannelDriver::join`]
    /// says which.
    ///
    /// When the receiver is dropped the pipeline stops with the next item that it would send.
    ///
    /// # Errors
    /// If the operating system refuses the thread, with the pipeline as an iterator: whoever has it may pull
    /// the items on a thread of their own.
    ///
    /// ```
    /// use crossbeam_channel::select;
    /// use selvedge::Pipeline;
    ///
    /// let (words, pump) = Pipeline::source(["warp", "weft"]).map(str::len).into_channel(1).unwrap();
    /// let mut total = 0;
    /// loop {
    ///     select! {
    ///         recv(words) -> length => match length {
    ///             Ok(length) => total += length,
    ///             Err(_) => break,
    ///         },
    ///     }
    /// }
    /// pump.join();
    /// assert_eq!(total, 8);
    /// ```
    ///
    /// # Panics
    /// If so many items do not fit into memory.
    #[allow(clippy::type_complexity, reason = "the parts are named where they are explained")]
    #[track_caller]
    pub fn into_channel(
        self,
        capacity: usize,
    ) -> Result<(Receiver<S::Item>, ChannelDriver<G>), Rejected<<Self as IntoIterator>::IntoIter, io::Error>>
    {
        // The channel is allocated at once, an item and a number each; if that fails, the process ends.
        let fits = Vec::<(S::Item, usize)>::new().try_reserve_exact(capacity);
        assert!(fits.is_ok(), "a channel of capacity {capacity} does not fit into memory");
        let (sender, receiver) = bounded(capacity);
        let (nursery, end) = (Nursery::owned(None), Arc::new(Mutex::new(None)));
        let output = self.into_iter();
        let stop = output.root().clone();
        // Until the thread has come, or does not.
        let raw = Arc::new(Mutex::new(Some((output, sender))));
        let (token, place, taken) = (stop.clone(), Arc::clone(&end), Arc::clone(&raw));
        let spawned = nursery.spawn(move || {
            let Some((output, sender)) = taken.lock().take() else { return };
            let sent = panics::catch(|| send(output, &sender, &token));
            // Before the sender is dropped: who sees the channel's end finds the pipeline's.
            *place.lock() = Some(sent);
        });
        if let Err(error) = spawned {
            let unsent = raw.lock().take();
            if let Some((output, _)) = unsent {
                // Takes back the task, which has nothing to do any more.
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
                // The item is in nobody's hands: without this, the end would pass for success.
                output.lose();
                break;
            }
        }
    }
    output.outcome()
}

impl<G: CancelMode> ChannelDriver<G> {
    /// Waits until the pipeline has ended, and says how.
    ///
    /// # Panics
    /// With the payload, if a stage panicked.
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
        // Nobody has asked how it ended.
        let unread = self.end.lock().take();
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

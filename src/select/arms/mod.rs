//! The operations that can be arms, one file for each kind of object that is waited for.

mod cancelled;
mod count;
mod join;
mod monitor;
mod queue;
mod retry;
mod semaphore;
mod tick;
mod watch;

pub use cancelled::cancelled;
pub use count::{Opens, wait};
pub use join::{Join, join};
pub use monitor::monitor;
pub use queue::{PopFrom, PushInto, pop, push, push_from};
pub use semaphore::{acquire, acquire_many};
pub use tick::tick;
pub use watch::{changed, hear};

/// Takes the result of an arm that has taken effect.
#[inline]
fn brought<R>(outcome: &mut Option<R>) -> R {
    outcome.take().expect("an arm is asked once, after it has taken effect")
}

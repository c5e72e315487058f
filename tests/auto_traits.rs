//! Which public types may be sent, shared, moved while pinned, and carried across a caught panic.
//!
//! A type that gains or loses one of these changes what callers may write, so each is pinned here, also
//! those that a type must not have.

#[macro_use]
#[path = "common/probe.rs"]
mod probe;

use std::cell::Cell;
use std::rc::Rc;

use probe::{Otherwise, Probe};
use selvedge::batch::{self, Batch, BatchError, Failed, Reason, Ticket};
use selvedge::cancel::{CallbackGuard, Cause, DropGuard};
use selvedge::error::{Cancelled, Closed, JoinError, Panic, Rejected, TryError, WaitError, WouldDeadlock};
use selvedge::flight::SingleFlight;
use selvedge::group::{self, Group, Handle, Scope, Spawner, Threads, Unfinished};
use selvedge::inspect;
use selvedge::latch::Member;
use selvedge::limiter::{KeyedLimiter, Missed, Pacer, Reservation, Tick, Ticker};
use selvedge::map;
use selvedge::pipeline::{Cancellable, ChannelDriver, Figures, Flow, Free, StageFigures};
use selvedge::pool::{BuildError, Builder, Keyed, Report, Results, ResultsIter, Stats, Unstarted, Workers};
use selvedge::queue::{IntoIter, Iter, Receiver, Rest, Sender};
use selvedge::retry::{self, Again, Attempt, Jitter, Policy};
use selvedge::semaphore::{OwnedPermit, Permit};
use selvedge::timeout::{self, Running};
use selvedge::watch::{Broadcast, Heard, Listener, Watch, Watcher};
use selvedge::{
    Batcher, BoundedQueue, CancelToken, Clock, Counter, Latch, ManualClock, Pipeline, Pool, RateLimiter,
    Semaphore, ShardedMap, StripedCounter, Task, Until, WaitGroup,
};

/// May be sent, but not shared.
type SendOnly = Cell<u8>;
/// May be neither sent nor shared.
type Neither = Rc<u8>;

#[test]
fn probe_tells_types_apart() {
    table! {
        u8 => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Cell<u8> => "Send Unpin UnwindSafe",
        Rc<u8> => "Unpin UnwindSafe RefUnwindSafe",
        std::marker::PhantomPinned => "Send Sync UnwindSafe RefUnwindSafe",
        &'static mut u8 => "Send Sync Unpin RefUnwindSafe",
    }
}

#[test]
fn what_threads_share_can_be_shared() {
    table! {
        CancelToken => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Clock => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        ManualClock => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Latch => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        WaitGroup => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Semaphore => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        BoundedQueue<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Sender<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Receiver<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        IntoIter<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Counter => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        StripedCounter => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        KeyedLimiter<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        KeyedLimiter<SendOnly> => "Unpin UnwindSafe RefUnwindSafe",
        Ticker => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Tick => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Missed => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Pacer<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        // A value is the pacer's or one thread's, never looked at by two.
        Pacer<SendOnly> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        RateLimiter => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        SingleFlight<u8, u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        // A result is looked at by all who waited for it.
        SingleFlight<u8, SendOnly> => "Unpin UnwindSafe RefUnwindSafe",
        Watch<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Watcher<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Broadcast<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Listener<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Heard<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        // The threads share a value.
        Watch<SendOnly> => "Unpin UnwindSafe RefUnwindSafe",
        Broadcast<SendOnly> => "Unpin UnwindSafe RefUnwindSafe",
        Pool => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Keyed<str> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Keyed<Neither> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Batcher<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Scope<'static, 'static, u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Group<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Spawner<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
    }
}

#[test]
fn handles_and_guards_can_be_sent() {
    table! {
        CallbackGuard => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        DropGuard => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Member => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Reservation<'static> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Permit<'static> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        OwnedPermit => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Task<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Handle<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Running<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Threads => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Unfinished => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Unstarted => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Report => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Stats => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Results<'static, u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        ResultsIter<'static, u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Workers => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Builder => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Ticket<u8, u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Batch<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Reason => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        batch::Stats => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        batch::Report<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        batch::Builder<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Until<'static> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Attempt<'static> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Policy => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Jitter => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Again => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Iter<'static, u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Rest<std::vec::IntoIter<u8>> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
    }
}

#[test]
fn errors_fit_where_errors_go() {
    table! {
        Closed => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Cancelled => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        TryError => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        WaitError => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        WouldDeadlock => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Rejected<u8, WaitError> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Cause => "Send Sync Unpin",
        BuildError => "Send Sync Unpin",
        batch::BuildError => "Send Sync Unpin",
        BatchError => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Failed<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        JoinError => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Panic => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        group::Error<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        group::AllFailed<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        timeout::Error<u8, u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        retry::Error<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        retry::Reason => "Send Sync Unpin UnwindSafe RefUnwindSafe",
    }
}

#[test]
fn queue_of_items_that_cannot_be_shared_can_be_shared() {
    // An item is owned by the queue or by one thread, never looked at by two.
    table! {
        BoundedQueue<SendOnly> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Sender<SendOnly> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Receiver<SendOnly> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        IntoIter<SendOnly> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Iter<'static, SendOnly> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
    }
}

#[test]
fn queue_of_items_that_cannot_be_sent_stays_on_its_thread() {
    table! {
        BoundedQueue<Neither> => "Unpin UnwindSafe RefUnwindSafe",
        Sender<Neither> => "Unpin UnwindSafe RefUnwindSafe",
        Receiver<Neither> => "Unpin UnwindSafe RefUnwindSafe",
        IntoIter<Neither> => "Unpin UnwindSafe RefUnwindSafe",
        Iter<'static, Neither> => "Unpin UnwindSafe RefUnwindSafe",
        Rest<std::vec::IntoIter<Neither>> => "Unpin UnwindSafe RefUnwindSafe",
    }
}

#[test]
fn batcher_of_items_and_results_that_cannot_be_shared_can_be_shared() {
    // An item is the batcher's, its handler's or its ticket's, never looked at by two; a result is its
    // ticket's.
    table! {
        Batcher<SendOnly, SendOnly> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Ticket<SendOnly, SendOnly> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Failed<SendOnly> => "Send Unpin UnwindSafe",
        Batch<SendOnly> => "Send Unpin UnwindSafe",
        Ticket<Neither, u8> => "Unpin UnwindSafe RefUnwindSafe",
    }
}

#[test]
fn rejected_value_decides_what_its_error_is() {
    table! {
        Rejected<SendOnly, Closed> => "Send Unpin UnwindSafe",
        Rejected<Neither, Closed> => "Unpin UnwindSafe RefUnwindSafe",
        group::Error<Neither> => "Unpin UnwindSafe RefUnwindSafe",
        group::Error<SendOnly> => "Send Unpin UnwindSafe",
        retry::Error<Neither> => "Unpin UnwindSafe RefUnwindSafe",
        retry::Error<SendOnly> => "Send Unpin UnwindSafe",
    }
}

#[test]
fn scope_can_be_shared_if_its_error_can_be_sent() {
    table! {
        Scope<'static, 'static, SendOnly> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Scope<'static, 'static, Neither> => "Unpin UnwindSafe RefUnwindSafe",
    }
}

#[test]
fn group_of_errors_that_cannot_be_shared_stays_on_its_thread() {
    // Each wait returns the same error, so two threads may look at it.
    table! {
        Group<SendOnly> => "Unpin UnwindSafe RefUnwindSafe",
        Spawner<SendOnly> => "Unpin UnwindSafe RefUnwindSafe",
        Group<Neither> => "Unpin UnwindSafe RefUnwindSafe",
    }
}

#[test]
fn task_handle_can_be_sent_whatever_its_result_is() {
    table! {
        Task<SendOnly> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Task<Neither> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Handle<SendOnly> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Handle<Neither> => "Unpin UnwindSafe RefUnwindSafe",
        Running<SendOnly> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
    }
}

#[test]
fn map_can_be_shared_if_what_is_in_it_can() {
    // Readers look at one entry at the same time.
    table! {
        ShardedMap<u8, u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        ShardedMap<u8, SendOnly> => "Send Unpin UnwindSafe RefUnwindSafe",
        ShardedMap<SendOnly, u8> => "Send Unpin UnwindSafe RefUnwindSafe",
        ShardedMap<u8, Neither> => "Unpin UnwindSafe RefUnwindSafe",
        ShardedMap<u8, u8, Neither> => "Unpin UnwindSafe RefUnwindSafe",
        map::Iter<'static, u8, u8, u8, u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        map::Iter<'static, u8, SendOnly, u8, u8> => "Unpin UnwindSafe RefUnwindSafe",
        map::Drain<'static, u8, u8, u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        map::Drain<'static, u8, SendOnly, u8> => "Unpin UnwindSafe RefUnwindSafe",
        map::IntoIter<u8, u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        map::IntoIter<u8, SendOnly> => "Send Unpin UnwindSafe RefUnwindSafe",
        map::Entry<'static, u8, u8> => "Send Sync Unpin RefUnwindSafe",
        map::OccupiedEntry<'static, u8, u8> => "Send Sync Unpin RefUnwindSafe",
        map::VacantEntry<'static, u8, u8> => "Send Sync Unpin RefUnwindSafe",
    }
}

#[test]
fn inspection_is_plain_data() {
    table! {
        inspect::Report => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        inspect::Sleep => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        inspect::Object => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        inspect::Running => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        inspect::Token => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        inspect::Recording => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        inspect::AlreadyRecording => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        inspect::Trace => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        inspect::Event => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        inspect::Activity => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        inspect::Watchdog => "Send Sync Unpin UnwindSafe RefUnwindSafe",
    }
}

#[test]
fn pipeline_is_what_its_stages_are() {
    type Of<T> = Pipeline<selvedge::pipeline::Items<std::vec::IntoIter<T>>>;
    table! {
        Of<u8> => "Send Sync Unpin",
        Of<Neither> => "Unpin",
        Free => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Cancellable => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Figures => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        StageFigures => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        ChannelDriver<Free> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Flow<u8> => "Send Sync Unpin UnwindSafe RefUnwindSafe",
    }
}

//! The macro `select!`: puts the arms into a tuple, waits for it, and matches on the result.

/// Waits for the first of several operations and performs that one only.
///
/// ```
/// use selvedge::{BoundedQueue, CancelToken, select};
/// use std::time::Duration;
///
/// let (jobs, urgent) = (BoundedQueue::new(8), BoundedQueue::new(8));
/// let stop = CancelToken::new();
/// urgent.push("now")?;
/// let job = select! {
///     pop(&jobs) -> job => job?,
///     pop(&urgent) -> job => job?,
///     until((&stop, Duration::from_secs(5))) -> why => return Err(why.into()),
/// };
/// assert_eq!(job, "now");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Arms
/// An arm is `operation(arguments) -> pattern => expression`. The operations are the functions of the module
/// [`select`](mod@crate::select), called with these arguments. The pattern binds the result of the operation
/// that took effect. The expression is evaluated after the wait has ended and the other arms have been
/// dropped. It may use `?`, `return`, `break` and `continue`, and the values that the other arms borrowed.
/// Arms are separated by commas; the comma after a block may be left out.
///
/// | arm | takes effect when | the pattern is bound to |
/// |---|---|---|
/// | [`pop(&queue)`](fn@crate::select::pop) | it has taken an item, or the queue is closed and empty | `Result<T, Closed>` |
/// | [`push(&queue, &mut item)`](fn@crate::select::push) | it has pushed the item of an `Option`, which is then `None`, or the queue is closed | `Result<(), Closed>` |
/// | [`acquire(&semaphore)`](fn@crate::select::acquire), [`acquire_many(&semaphore, n)`](fn@crate::select::acquire_many) | it has acquired the permits, or never will | `Result<Permit, WaitError>` |
/// | [`join(&mut task)`](fn@crate::select::join) | the task of an `Option` has ended; the `Option` is then `None` | the result of the handle's `join` |
/// | [`wait(&latch)`](fn@crate::select::wait) | the count is zero | `()` |
/// | [`monitor(&monitor, attempt)`](fn@crate::select::monitor) | the closure has returned `Some` | the content of the `Some` |
/// | [`changed(&mut watcher)`](fn@crate::select::changed) | a [`Watch`](crate::Watch) has another value, or is closed | `Result<Arc<T>, Closed>` |
/// | [`hear(&mut listener)`](fn@crate::select::hear) | a [`Broadcast`](crate::watch::Broadcast) has another value, or is closed | `Result<Heard<T>, Closed>` |
/// | [`tick(&mut ticker)`](fn@crate::select::tick) | a tick is due | [`Tick`](crate::limiter::Tick) |
/// | [`cancelled(&token)`](fn@crate::select::cancelled) | the token is cancelled | `()` |
/// | `until(limit)`, at most once | the [limit](crate::Until) has passed | [`WaitError`](crate::error::WaitError), `TimedOut` or `Cancelled` |
/// | `default`, without a pattern, at most once | no other arm can take effect without waiting | |
///
/// `biased;` before the first arm prefers ready arms in the order in which they are written. Without it, each
/// ready arm has the same chance.
///
/// # Blocking
/// Blocks until an arm takes effect. Without `until` and `default` there is no limit; with `default` it never
/// blocks. A thread that makes an arm ready wakes the selection.
///
/// # Cancellation
/// If the token of `until` was cancelled beforehand, no other arm takes effect, even one that is ready. If an
/// arm becomes ready before the limit passes, it takes effect, however late the thread wakes up. Operations
/// that did not take effect have had no effect.
///
/// # Panics
/// If the closure of a `monitor` arm panics, or if this thread has that monitor locked. The other arms have
/// had no effect then.
///
/// # Examples
/// An `Option` that is `None` disables its arm. This loop forwards items; it holds at most one and loses
/// none:
/// ```
/// use selvedge::{BoundedQueue, select};
///
/// let (input, output) = (BoundedQueue::new(4), BoundedQueue::new(4));
/// input.push_all([1, 2, 3]).unwrap();
/// input.close();
/// let (mut held, mut open) = (None, true);
/// while open || held.is_some() {
///     let source = (open && held.is_none()).then(|| select::pop(&input));
///     select! {
///         arm(source) -> item => match item {
///             Ok(item) => held = Some(item * 10),
///             Err(_) => open = false,
///         },
///         push(&output, &mut held) -> sent => sent?,
///     }
/// }
/// output.close();
/// assert_eq!(output.iter().collect::<Vec<_>>(), [10, 20, 30]);
/// # Ok::<(), selvedge::error::Closed>(())
/// ```
///
/// # Mistakes that do not compile
/// An operation that does not exist:
/// ```compile_fail,E0425
/// # let queue = selvedge::BoundedQueue::<u32>::new(1);
/// selvedge::select! { popp(&queue) -> item => drop(item) }
/// ```
/// A handle that items cannot be popped from:
/// ```compile_fail,E0277
/// # let (sender, _receiver) = selvedge::queue::bounded::<u32>(1);
/// selvedge::select! { pop(&sender) -> item => drop(item) }
/// ```
/// An item that could not be returned to the caller:
/// ```compile_fail,E0308
/// # let queue = selvedge::BoundedQueue::<u32>::new(1);
/// selvedge::select! { push(&queue, 7) -> sent => drop(sent) }
/// ```
/// A pattern that does not cover every result:
/// ```compile_fail,E0004
/// # let queue = selvedge::BoundedQueue::<u32>::new(1);
/// selvedge::select! { pop(&queue) -> Ok(item) => drop::<u32>(item) }
/// ```
/// Arms of different types:
/// ```compile_fail,E0308
/// # let queue = selvedge::BoundedQueue::<u32>::new(1);
/// let number: u32 = selvedge::select! {
///     pop(&queue) -> item => item.unwrap(),
///     default => "nothing",
/// };
/// ```
/// Two operations that take from the same variable:
/// ```compile_fail,E0499
/// # let queue = selvedge::BoundedQueue::<u32>::new(1);
/// let mut item = Some(7);
/// selvedge::select! {
///     push(&queue, &mut item) -> sent => drop(sent),
///     push(&queue, &mut item) -> sent => drop(sent),
/// }
/// ```
///
/// # Fairness
/// Toward its own arms and toward other threads as in [`Select`](crate::select::Select#fairness).
///
/// # Ordering
/// That of the operation that took effect, as its own docs state.
///
/// # Proof
/// Models in `loom-tests/tests/select.rs`, and two in `loom-tests/tests/rendezvous.rs`:
/// `two_selections_meet_each_other` and `a_selection_that_gives_up_has_its_item`.
///
/// # Cost
/// Bench `select`. If an arm is ready, a selection of up to 8 arms allocates nothing.
///
/// # Instead
/// [`Select`](crate::select::Select) if the number of arms is known only at run time, or is above about 40.
#[macro_export]
macro_rules! select {
    // The part of an arm before `=>`. The state is the order and what was found so far: arms, `until`,
    // `default`.
    (@arms $pick:ident $arms:tt $until:tt []
        default => $($rest:tt)*
    ) => {
        $crate::select!(@body [$pick $arms $until] [default] $($rest)*)
    };
    (@arms $pick:ident $arms:tt $until:tt [$($default:tt)+] default => $($rest:tt)*) => {
        ::core::compile_error!("`select!` has two `default` arms: leave one out")
    };
    // Before the rule for operations, which would take `until` for one.
    (@arms $pick:ident $arms:tt [] $default:tt
        until($limit:expr $(,)?) -> $pattern:pat => $($rest:tt)*
    ) => {
        $crate::select!(@body [$pick $arms $default] [until ($limit) ($pattern)] $($rest)*)
    };
    (@arms $pick:ident $arms:tt [$($until:tt)+] $default:tt until($($limit:tt)*) $($rest:tt)*) => {
        ::core::compile_error!(
            "`select!` has two `until` arms: combine the limits, as in `until((&token, duration)) -> why => ..`"
        )
    };
    (@arms $pick:ident $arms:tt $until:tt $default:tt
        $operation:ident $arguments:tt -> $pattern:pat => $($rest:tt)*
    ) => {
        $crate::select!(@body [$pick $arms $until $default] [$operation $arguments ($pattern)] $($rest)*)
    };
    (@arms $pick:ident $arms:tt $until:tt $default:tt) => {
        $crate::select!(@wait $pick $arms $until $default)
    };
    (@arms $pick:ident $arms:tt $until:tt $default:tt $operation:ident $arguments:tt => $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "an arm of `select!` lacks its pattern: write `",
            ::core::stringify!($operation $arguments),
            " -> result => ..`"
        ))
    };
    (@arms $pick:ident $arms:tt $until:tt $default:tt $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "an arm of `select!` is `operation(arguments) -> pattern => expression`, `until(limit) -> why => \
             expression` or `default => expression`, with a comma after an expression that is not a block; \
             found `",
            ::core::stringify!($($rest)*),
            "`"
        ))
    };

    // The part after it. Rules are tried in order: an expression and a comma, the last expression, and a
    // block without a comma.
    (@body $state:tt $head:tt $body:expr, $($rest:tt)*) => {
        $crate::select!(@add $state $head ($body) $($rest)*)
    };
    (@body $state:tt $head:tt $body:expr) => {
        $crate::select!(@add $state $head ($body))
    };
    (@body $state:tt $head:tt $body:block $($rest:tt)*) => {
        $crate::select!(@add $state $head ($body) $($rest)*)
    };
    (@body $state:tt $head:tt $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "an arm of `select!` ends with an expression and a comma, or with a block; found `",
            ::core::stringify!($($rest)*),
            "`"
        ))
    };

    (@add [$pick:ident $arms:tt $until:tt] [default] $body:tt $($rest:tt)*) => {
        $crate::select!(@arms $pick $arms $until [$body] $($rest)*)
    };
    (@add [$pick:ident $arms:tt $default:tt] [until $limit:tt $pattern:tt] $body:tt $($rest:tt)*) => {
        $crate::select!(@arms $pick $arms [$limit $pattern $body] $default $($rest)*)
    };
    (@add [$pick:ident [$($arms:tt)*] $until:tt $default:tt] [$($head:tt)*] $body:tt $($rest:tt)*) => {
        $crate::select!(@arms $pick [$($arms)* {$($head)* $body}] $until $default $($rest)*)
    };

    // A statement of its own, so that the arms are dropped, and what they borrowed is free, before a body
    // runs.
    (@wait $pick:ident [$($arms:tt)*] [] []) => {{
        let selected = $crate::select::among::wait(
            $crate::select!(@tuple $($arms)*), $crate::select::among::Pick::$pick,
        );
        $crate::select!(@match selected, $($arms)*)
    }};
    (@wait $pick:ident [$($arms:tt)*] [($limit:expr) ($why:pat) ($late:expr)] []) => {{
        let selected = $crate::select::among::wait_until(
            $crate::select!(@tuple $($arms)*), $crate::select::among::Pick::$pick, $limit,
        );
        match selected {
            ::core::result::Result::Ok(selected) => $crate::select!(@match selected, $($arms)*),
            ::core::result::Result::Err($why) => $late,
        }
    }};
    (@wait $pick:ident [$($arms:tt)*] [] [($default:expr)]) => {{
        let selected = $crate::select::among::attempt(
            $crate::select!(@tuple $($arms)*), $crate::select::among::Pick::$pick,
        );
        match selected {
            ::core::option::Option::Some(selected) => $crate::select!(@match selected, $($arms)*),
            ::core::option::Option::None => $default,
        }
    }};
    (@wait $pick:ident [$($arms:tt)*] [($limit:expr) ($why:pat) ($late:expr)] [($default:expr)]) => {{
        let selected = $crate::select::among::attempt_until(
            $crate::select!(@tuple $($arms)*), $crate::select::among::Pick::$pick, $limit,
        );
        match selected {
            ::core::result::Result::Ok(::core::option::Option::Some(selected)) => {
                $crate::select!(@match selected, $($arms)*)
            }
            ::core::result::Result::Ok(::core::option::Option::None) => $default,
            ::core::result::Result::Err($why) => $late,
        }
    }};

    // A list of nested pairs instead of a flat tuple, so that `Among` covers any number of arms with two
    // impls.
    (@tuple) => { () };
    (@tuple {$operation:ident ($($arguments:tt)*) $pattern:tt $body:tt} $($rest:tt)*) => {
        ($crate::select::$operation($($arguments)*), $crate::select!(@tuple $($rest)*))
    };

    // `Nothing` has no values, so the end of the list needs no body.
    (@match $selected:ident,) => { match $selected {} };
    (@match $selected:ident, {$operation:ident $arguments:tt ($pattern:pat) ($body:expr)} $($rest:tt)*) => {
        match $selected {
            $crate::select::among::Either::First(output) => match output {
                $pattern => $body,
            },
            $crate::select::among::Either::Other(other) => $crate::select!(@match other, $($rest)*),
        }
    };

    // Rejected at compile time, since no event could end such a wait.
    () => {
        ::core::compile_error!("`select!` without an arm would wait forever")
    };
    (biased;) => {
        ::core::compile_error!("`select!` without an arm would wait forever")
    };
    // Before the general rule, which matches any tokens.
    (biased; $($arms:tt)*) => {
        $crate::select!(@arms Biased [] [] [] $($arms)*)
    };
    ($($arms:tt)*) => {
        $crate::select!(@arms Fair [] [] [] $($arms)*)
    };
}

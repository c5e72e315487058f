//! Arms on the stack, each of its own type: the basis of the macro.

use super::arm::Arm;
use super::engine::{self, Arms, RawArm};
pub use super::order::Pick;
use crate::error::WaitError;
use crate::until::Until;

/// The number of arms up to which the list of references needs no allocation. Most selections have two or
/// three.
const FEW: usize = 8;

/// The result of the first arm, or of one of the others.
#[derive(Debug)]
pub enum Either<F, O> {
    First(F),
    Other(O),
}

/// The result of an empty list of arms: there is none.
#[derive(Debug)]
pub enum Nothing {}

/// A list of arms: `(first, (second, (third, ())))`.
pub trait Among {
    type Output;
    const LEN: usize;

    fn list<'a>(&'a mut self, into: &mut impl FnMut(&'a mut dyn RawArm));

    /// Returns the result of the arm at this position, which has taken effect.
    fn output(&mut self, at: usize) -> Self::Output;
}

impl Among for () {
    type Output = Nothing;
    const LEN: usize = 0;

    fn list<'a>(&'a mut self, _into: &mut impl FnMut(&'a mut dyn RawArm)) {}

    fn output(&mut self, _at: usize) -> Nothing {
        unreachable!("an arm that has taken effect is in the list")
    }
}

impl<F: Arm, O: Among> Among for (F, O) {
    type Output = Either<F::Output, O::Output>;
    const LEN: usize = 1 + O::LEN;

    #[inline]
    fn list<'a>(&'a mut self, into: &mut impl FnMut(&'a mut dyn RawArm)) {
        into(&mut self.0);
        self.1.list(into);
    }

    #[inline]
    fn output(&mut self, at: usize) -> Self::Output {
        match at.checked_sub(1) {
            None => Either::First(self.0.output()),
            Some(at) => Either::Other(self.1.output(at)),
        }
    }
}

/// References to the arms; always `Some`, as the engine's interface allows removed arms.
type List<'a> = [Option<&'a mut dyn RawArm>];

impl Arms for List<'_> {
    #[inline]
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    #[inline]
    fn get(&mut self, at: usize) -> Option<&mut dyn RawArm> {
        match &mut self[at] {
            Some(arm) => Some(&mut **arm),
            None => None,
        }
    }
}

#[inline]
fn with_list<A: Among, R>(arms: &mut A, f: impl FnOnce(&mut List<'_>) -> R) -> R {
    // Decided at compile time, since `LEN` is a constant of the tuple's type.
    if A::LEN > FEW {
        let mut list: Vec<Option<&mut dyn RawArm>> = Vec::with_capacity(A::LEN);
        arms.list(&mut |arm| list.push(Some(arm)));
        return f(&mut list);
    }
    let (mut list, mut len) = ([const { None }; FEW], 0);
    arms.list(&mut |arm| {
        list[len] = Some(arm);
        len += 1;
    });
    f(&mut list[..len])
}

/// Waits until an arm takes effect, as long as it takes.
#[inline]
#[track_caller]
pub fn wait<A: Among>(arms: A, pick: Pick) -> A::Output {
    match wait_until(arms, pick, Until::forever()) {
        Ok(output) => output,
        Err(_) => {
            // A cycle of the wait-for graph is no error of the wait here, but the result of an arm
            // (`RawArm::refuse`).
            unreachable!("a forever limit does not end, and a wait that never could takes effect as an arm")
        }
    }
}

/// Waits until an arm takes effect, until `limit` at most.
#[inline]
#[track_caller]
pub fn wait_until<'l, A: Among>(
    mut arms: A,
    pick: Pick,
    limit: impl Into<Until<'l>>,
) -> Result<A::Output, WaitError> {
    let limit = limit.into().called("select!");
    // The references end with this statement, so the arms are free again for `output`.
    let at = with_list(&mut arms, |list| engine::wait(list, pick, limit, &mut None))?;
    Ok(arms.output(at))
}

/// Tries each arm once, without waiting.
#[inline]
pub fn attempt<A: Among>(mut arms: A, pick: Pick) -> Option<A::Output> {
    let at = with_list(&mut arms, |list| engine::attempt_now(list, pick))?;
    Some(arms.output(at))
}

/// Tries each arm once, without waiting, unless the limit's token is cancelled.
#[inline]
pub fn attempt_until<'l, A: Among>(
    arms: A,
    pick: Pick,
    limit: impl Into<Until<'l>>,
) -> Result<Option<A::Output>, WaitError> {
    let limit = limit.into();
    // Tie: a token that was cancelled before the call wins over an arm that is ready.
    limit.check_token()?;
    // Tie: an arm that is ready wins over a deadline that has passed.
    match attempt(arms, pick) {
        Some(output) => Ok(Some(output)),
        // No arm is ready: `until` takes effect if its limit has passed, otherwise `default`.
        None => limit.start().check().map(|()| None),
    }
}

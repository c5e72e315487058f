//! The stages between a source and a sink: a file for each adaptor, with its method, its type and its
//! iterator.
//!
//! Most adaptors handle one item at a time on the thread that pulls; each of those is a
//! [`Step`](super::step::Step), and its iterator is [`StepIter`](super::step::StepIter). `par_map` has
//! threads of its own, and `buffered` and `chunks_within` are built on it.

#[forbid(unsafe_code)]
mod and_then;
#[forbid(unsafe_code)]
mod broadcast;
#[forbid(unsafe_code)]
mod buffered;
#[forbid(unsafe_code)]
mod chain;
#[forbid(unsafe_code)]
mod chunks;
#[forbid(unsafe_code)]
mod chunks_within;
#[forbid(unsafe_code)]
mod dedup;
#[forbid(unsafe_code)]
mod fan_out;
#[forbid(unsafe_code)]
mod fan_out_by;
#[forbid(unsafe_code)]
mod filter;
#[forbid(unsafe_code)]
mod filter_map;
#[forbid(unsafe_code)]
mod flat_map;
#[forbid(unsafe_code)]
mod inspect;
#[forbid(unsafe_code)]
mod map;
#[forbid(unsafe_code)]
mod merge;
#[forbid(unsafe_code)]
mod merge_sorted;
mod par_map;
#[forbid(unsafe_code)]
mod scan;
#[forbid(unsafe_code)]
mod skip;
#[forbid(unsafe_code)]
mod split;
#[forbid(unsafe_code)]
mod take;
#[forbid(unsafe_code)]
mod take_while;
#[forbid(unsafe_code)]
mod try_map;

pub use and_then::AndThen;
pub use broadcast::ToAll;
pub use buffered::Buffered;
pub use chain::Chain;
pub use chunks::Chunks;
pub use chunks_within::ChunksWithin;
pub use dedup::Dedup;
pub use fan_out::{Share, Shared};
pub use fan_out_by::ByKey;
pub use filter::Filter;
pub use filter_map::FilterMap;
pub use flat_map::FlatMap;
pub use inspect::Inspect;
pub use map::Map;
pub use merge::Merge;
pub use merge_sorted::MergeSorted;
pub use par_map::ParMap;
pub use scan::Scan;
pub use skip::Skip;
pub use split::{Route, Routed, Split};
pub use take::Take;
pub use take_while::TakeWhile;
pub use try_map::TryMap;

use super::cancel_mode::CancelMode;
use super::{Config, Pipeline};

/// Makes one pipeline of several. The mode and the configuration of the first apply to all.
fn join_inputs<S, T, G: CancelMode>(
    inputs: impl IntoIterator<Item = Pipeline<S, G>>,
    join: impl FnOnce(Vec<S>) -> T,
) -> Pipeline<T, G> {
    let (mut first, mut stages) = (None, Vec::new());
    for Pipeline { stage, mode, config } in inputs {
        first.get_or_insert((mode, config));
        stages.push(stage);
    }
    let (mode, config) = first.unwrap_or_else(|| (G::fresh(), Config::default()));
    Pipeline { stage: join(stages), mode, config }
}

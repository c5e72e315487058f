//! Sizes that make no sense, sizes that are enormous, and what `Debug` shows.

use super::*;

#[test]
fn sizes_of_nothing_are_refused_with_what_to_do() {
    let build = |builder: Builder<u32>| builder.build(|_: &mut Batch<u32>| ()).unwrap_err();
    let errors = [
        (build(ageless().max_items(0)), "0 items"),
        (build(ageless().max_weight(0)), "weight 0"),
        (build(ageless().backlog(0)), "backlog of 0"),
        (ageless().build_concurrent(0, |_: &mut Batch<u32>| ()).unwrap_err(), "0 batches in flight"),
    ];
    for (error, part) in errors {
        assert!(error.to_string().contains(part), "{error}");
        assert!(!matches!(error, BuildError::Spawn(_)));
    }
}

#[test]
fn largest_sizes_allocate_nothing_beforehand() {
    within_a_minute(|| {
        let (handler, told) = telling();
        let most = usize::MAX;
        let builder = ageless().max_items(most).max_weight(most).backlog(most);
        let batcher = builder.build(handler).unwrap();
        batcher.add(1).unwrap();
        batcher.flush().unwrap();
        assert_eq!(told.recv().unwrap(), seen([1], Reason::Flushed));
    });
}

#[test]
fn debug_shows_figures_and_never_waits() {
    let (handler, _told) = telling();
    let builder = ageless();
    assert!(format!("{builder:?}").contains("Builder"));
    let batcher = builder.build(handler).unwrap();
    let ticket = batcher.submit(1).unwrap();
    assert!(format!("{batcher:?}").contains("items: 1"), "{batcher:?}");
    assert!(format!("{ticket:?}").contains("finished: false"), "{ticket:?}");
}

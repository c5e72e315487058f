use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const WIDE: Limits = Limits { depth: 100, hops: 10, pages: 1_000 };

fn url(path: &str) -> Url {
    Url::parse(&format!("http://loom.test/{path}")).unwrap()
}

fn anywhere(_: HostId) -> bool {
    true
}

fn take_all(frontier: &mut Frontier) -> Vec<PageId> {
    std::iter::from_fn(|| frontier.take(anywhere)).collect()
}

#[test]
fn a_page_found_twice_is_taken_once() {
    let mut frontier = Frontier::new(url(""), WIDE);
    let start = frontier.take(anywhere).unwrap();
    let a = frontier.lead(start, Step::Link, url("a"), true);
    assert_eq!(frontier.lead(start, Step::Link, url("a"), true), a);
    frontier.lead(start, Step::Link, url(""), true);
    frontier.finish(start);
    assert_eq!(take_all(&mut frontier), [a]);
    frontier.finish(a);
    assert!(frontier.is_finished());
}

#[test]
fn nothing_to_take_is_not_the_end_while_a_page_is_out() {
    let mut frontier = Frontier::new(url(""), WIDE);
    let start = frontier.take(anywhere).unwrap();
    assert_eq!(frontier.take(anywhere), None);
    assert!(!frontier.is_finished());
    let late = frontier.lead(start, Step::Link, url("late"), true);
    frontier.finish(start);
    assert!(!frontier.is_finished());
    assert_eq!(frontier.take(anywhere), Some(late));
    frontier.finish(late);
    assert!(frontier.is_finished());
}

#[test]
fn a_slow_page_near_the_start_corrects_what_was_found_by_a_longer_way() {
    // start -> slow -> target, and start -> fast -> detour -> target, where `slow` answers last.
    let mut frontier = Frontier::new(url(""), WIDE);
    let start = frontier.take(anywhere).unwrap();
    let slow = frontier.lead(start, Step::Link, url("slow"), true);
    let fast = frontier.lead(start, Step::Link, url("fast"), true);
    frontier.finish(start);
    assert_eq!(take_all(&mut frontier), [slow, fast]);
    let detour = frontier.lead(fast, Step::Link, url("detour"), true);
    frontier.finish(fast);
    assert_eq!(frontier.take(anywhere), Some(detour));
    let target = frontier.lead(detour, Step::Link, url("target"), true);
    frontier.finish(detour);
    assert_eq!(frontier.take(anywhere), Some(target));
    let behind = frontier.lead(target, Step::Link, url("behind"), true);
    frontier.finish(target);
    assert_eq!(frontier.page(behind).distance.depth, 4);

    frontier.lead(slow, Step::Link, url("target"), true);
    assert_eq!(frontier.page(target).distance.depth, 2);
    assert_eq!(frontier.page(behind).distance.depth, 3);
}

#[test]
fn a_page_beyond_the_depth_is_fetched_once_a_shorter_way_turns_up() {
    let mut frontier = Frontier::new(url(""), Limits { depth: 1, ..WIDE });
    let start = frontier.take(anywhere).unwrap();
    let a = frontier.lead(start, Step::Link, url("a"), true);
    let deep = frontier.lead(a, Step::Link, url("deep"), true);
    assert_eq!(frontier.page(deep).state, State::TooFar);
    frontier.lead(start, Step::Link, url("deep"), true);
    assert_eq!(take_all(&mut frontier), [a, deep]);
}

#[test]
fn a_redirect_keeps_the_depth_and_an_endless_one_ends() {
    let mut frontier = Frontier::new(url("0"), Limits { hops: 3, ..WIDE });
    let mut taken = 0;
    while let Some(id) = frontier.take(anywhere) {
        taken += 1;
        let next = frontier.lead(id, Step::Redirect, url(&taken.to_string()), true);
        assert_eq!(frontier.page(next).distance.depth, 0);
        frontier.finish(id);
    }
    assert_eq!(taken, 4); // the start and three redirects after it
    assert!(frontier.is_finished());
}

#[test]
fn the_page_limit_counts_what_is_out_and_not_what_is_skipped() {
    let mut frontier = Frontier::new(url(""), Limits { pages: 2, ..WIDE });
    let start = frontier.take(anywhere).unwrap();
    for path in ["a", "b", "c"] {
        frontier.lead(start, Step::Link, url(path), true);
    }
    let a = frontier.take(anywhere).unwrap();
    assert_eq!(frontier.take(anywhere), None);
    frontier.finish(start);
    frontier.skip(a, Skip::Robots);
    let b = frontier.take(anywhere).unwrap();
    frontier.finish(b);
    assert_eq!(frontier.take(anywhere), None);
    assert!(frontier.is_finished());
}

#[test]
fn what_is_out_of_scope_is_known_and_never_taken() {
    let mut frontier = Frontier::new(url(""), WIDE);
    let start = frontier.take(anywhere).unwrap();
    let outside = frontier.lead(start, Step::Link, Url::parse("http://other.test/").unwrap(), false);
    frontier.finish(start);
    assert!(frontier.is_finished());
    assert_eq!(frontier.page(outside).linked_from, [start]);
}

#[test]
fn a_host_without_room_does_not_stand_in_the_way_of_others() {
    let mut frontier = Frontier::new(url(""), WIDE);
    let start = frontier.take(anywhere).unwrap();
    let near = frontier.lead(start, Step::Link, url("near"), true);
    let other = frontier.lead(near, Step::Link, Url::parse("http://other.test/far").unwrap(), true);
    let busy = frontier.page(near).host;
    assert_ne!(busy, frontier.page(other).host);
    assert_eq!(frontier.take(|host| host != busy), Some(other));
    assert_eq!(frontier.take(|host| host != busy), None);
    assert_eq!(frontier.take(anywhere), Some(near));
}

/// Breadth first, one page at a time: what the distances must come out as.
fn distances(links: &[Vec<usize>]) -> HashMap<String, u32> {
    let mut depths = HashMap::from([(0, 0)]);
    let mut queue = VecDeque::from([0]);
    while let Some(page) = queue.pop_front() {
        for &to in &links[page] {
            if !depths.contains_key(&to) {
                depths.insert(to, depths[&page] + 1);
                queue.push_back(to);
            }
        }
    }
    depths.into_iter().map(|(page, depth)| (url(&page.to_string()).to_string(), depth)).collect()
}

proptest! {
    /// Any web, any number of workers, answers in any order: each page once, and at its shortest depth.
    #[test]
    fn the_order_of_answers_changes_neither_what_is_fetched_nor_how_deep_it_is(
        links in prop::collection::vec(prop::collection::vec(0usize..14, 0..5), 14),
        workers in 1usize..6,
        answers in prop::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        let mut frontier = Frontier::new(url("0"), WIDE);
        let (mut out, mut fetched) = (Vec::new(), Vec::new());
        let mut answers = answers.iter().cycle();
        while !frontier.is_finished() {
            while out.len() < workers && let Some(id) = frontier.take(anywhere) {
                out.push(id);
            }
            let id = out.swap_remove(answers.next().unwrap().index(out.len()));
            let name = frontier.page(id).url.path()[1..].parse::<usize>().unwrap();
            for to in &links[name] {
                frontier.lead(id, Step::Link, url(&to.to_string()), true);
            }
            frontier.finish(id);
            fetched.push(frontier.page(id).url.to_string());
        }
        prop_assert!(out.is_empty());
        let depths: HashMap<_, _> =
            frontier.into_pages().into_iter().map(|page| (page.url.to_string(), page.distance.depth)).collect();
        prop_assert_eq!(&depths, &distances(&links));
        prop_assert_eq!(fetched.len(), depths.len());
    }
}

//! The pure part: what is known, what is taken, in which order and when.

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;

use super::*;

const WIDE: Limits = Limits { depth: 100, hops: 10, pages: 1_000, urls: 1_000, links: 10_000 };
const SECOND: Duration = Duration::from_secs(1);

/// A table of small pages with the time in hand.
struct Book {
    table: PageTable<()>,
    now: Instant,
}

fn new_link(url: &str, step: Step, rank: u8, skip: Option<Skip>) -> NewLink<'_> {
    let host = if url.starts_with("http://") { "other" } else { "loom" };
    NewLink { url, host, step, label: url, rank, skip, again: false }
}

impl Book {
    fn new(start: &str, limits: Limits) -> Self {
        let mut book = Book { table: PageTable::new(limits), now: Instant::now() };
        book.table.seed(&new_link(start, Step::Link, 0, None), book.now).unwrap();
        let host = book.table.entry(0).host;
        book.table.queues.set(host, 100, Duration::ZERO, false, book.now);
        book
    }

    fn take(&mut self) -> Option<PageId> {
        self.table.take(self.now)
    }

    fn take_all(&mut self) -> Vec<PageId> {
        std::iter::from_fn(|| self.take()).collect()
    }

    fn add_link(&mut self, from: PageId, url: &str) -> PageId {
        self.table.add_link(from, &new_link(url, Step::Link, 0, None), self.now).unwrap()
    }

    fn finish(&mut self, page: PageId) {
        let (host, rank) = (self.table.entry(page).host, self.table.entry(page).rank);
        self.table.finish(page, rank, (), self.now);
        self.table.queues.release(host, true, self.now);
    }

    fn depth(&self, page: PageId) -> u32 {
        self.table.entry(page).distance.depth
    }

    fn state(&self, page: PageId) -> State {
        self.table.entry(page).state
    }
}

#[test]
fn a_page_found_twice_is_taken_once() {
    let mut book = Book::new("", WIDE);
    let start = book.take().unwrap();
    let a = book.add_link(start, "a");
    assert_eq!(book.add_link(start, "a"), a);
    book.add_link(start, "");
    book.finish(start);
    assert_eq!(book.take_all(), [a]);
    book.finish(a);
    assert!(book.table.is_over());
}

#[test]
fn nothing_to_take_is_not_the_end_while_a_page_is_out() {
    let mut book = Book::new("", WIDE);
    let start = book.take().unwrap();
    assert_eq!(book.take(), None);
    assert!(!book.table.is_over());
    let late = book.add_link(start, "late");
    book.finish(start);
    assert!(!book.table.is_over());
    assert_eq!(book.take(), Some(late));
    book.finish(late);
    assert!(book.table.is_over());
}

#[test]
fn a_slow_page_near_the_start_corrects_what_was_found_by_a_longer_way() {
    // start -> slow -> target, and start -> fast -> detour -> target, where `slow` answers last.
    let mut book = Book::new("", WIDE);
    let start = book.take().unwrap();
    let (slow, fast) = (book.add_link(start, "slow"), book.add_link(start, "fast"));
    book.finish(start);
    assert_eq!(book.take_all(), [slow, fast]);
    let detour = book.add_link(fast, "detour");
    book.finish(fast);
    assert_eq!(book.take(), Some(detour));
    let target = book.add_link(detour, "target");
    book.finish(detour);
    assert_eq!(book.take(), Some(target));
    let behind = book.add_link(target, "behind");
    book.finish(target);
    assert_eq!(book.depth(behind), 4);

    book.add_link(slow, "target");
    assert_eq!((book.depth(target), book.depth(behind)), (2, 3));
}

#[test]
fn a_page_beyond_the_depth_is_fetched_once_a_shorter_way_turns_up() {
    let mut book = Book::new("", Limits { depth: 1, ..WIDE });
    let start = book.take().unwrap();
    let a = book.add_link(start, "a");
    let deep = book.add_link(a, "deep");
    assert_eq!(book.state(deep), State::TooFar);
    book.add_link(start, "deep");
    assert_eq!(book.take_all(), [a, deep]);
}

#[test]
fn a_redirect_keeps_the_depth_and_an_endless_one_ends() {
    let mut book = Book::new("0", Limits { hops: 3, ..WIDE });
    let mut taken = 0;
    while let Some(id) = book.take() {
        taken += 1;
        let url = taken.to_string();
        let next = book.table.add_link(id, &new_link(&url, Step::Redirect, 0, None), book.now).unwrap();
        assert_eq!(book.depth(next), 0);
        book.finish(id);
    }
    assert_eq!(taken, 4); // the start and three redirects after it
    assert!(book.table.is_over());
}

#[test]
fn the_page_limit_counts_what_is_out_and_not_what_is_skipped() {
    let mut book = Book::new("", Limits { pages: 2, ..WIDE });
    let start = book.take().unwrap();
    for path in ["a", "b", "c"] {
        book.add_link(start, path);
    }
    let a = book.take().unwrap();
    assert_eq!(book.take(), None);
    book.finish(start);
    book.table.skip(a, Skip::Robots);
    let b = book.take().unwrap();
    book.finish(b);
    assert_eq!(book.take(), None);
    assert!(book.table.is_over());
}

#[test]
fn what_is_out_of_scope_is_known_and_taken_only_if_somebody_wants_it() {
    let mut book = Book::new("", WIDE);
    let start = book.take().unwrap();
    let outside = new_link("out", Step::Link, 0, Some(Skip::OutOfScope));
    let outside = book.table.add_link(start, &outside, book.now).unwrap();
    assert_eq!(book.take(), None);
    book.add_link(start, "out");
    assert_eq!(book.take(), Some(outside));
}

#[test]
fn a_page_that_was_looked_at_is_read_when_somebody_links_to_it() {
    let mut book = Book::new("", WIDE);
    let start = book.take().unwrap();
    let picture = book.add_link(start, "picture");
    assert_eq!(book.take(), Some(picture));
    // Wanted for more while it is out, and for more still when it is back.
    book.table.add_link(start, &new_link("picture", Step::Link, 1, None), book.now);
    book.table.finish(picture, 0, (), book.now);
    let host = book.table.entry(picture).host;
    book.table.queues.release(host, true, book.now);
    assert_eq!(book.take(), Some(picture));
    book.finish(picture);
    assert_eq!(book.take(), None);
    book.table.add_link(start, &new_link("picture", Step::Link, 2, None), book.now);
    assert_eq!(book.take(), Some(picture));
    book.finish(picture);
    book.finish(start);
    assert!(book.table.is_over());
    assert_eq!(book.table.counts().fetched, 2);
}

#[test]
fn a_page_that_is_wanted_once_more_is_fetched_once_more_also_while_it_is_out() {
    let mut book = Book::new("", WIDE);
    let start = book.take().unwrap();
    let again = |url| NewLink { again: true, ..new_link(url, Step::Redirect, 0, None) };
    book.table.add_link(start, &again(""), book.now);
    book.finish(start);
    assert_eq!(book.take(), Some(start));
    let a = book.add_link(start, "a");
    book.finish(start);
    assert_eq!(book.take(), Some(a));
    book.table.add_link(a, &again(""), book.now);
    book.finish(a);
    assert_eq!(book.take(), Some(start));
    book.finish(start);
    assert!(book.table.is_over());
}

#[test]
fn urls_beyond_the_limit_are_refused_and_links_beyond_theirs_are_followed() {
    let mut book = Book::new("", Limits { urls: 2, links: 1, ..WIDE });
    let start = book.take().unwrap();
    let a = book.add_link(start, "a");
    assert_eq!(book.table.add_link(start, &new_link("b", Step::Link, 0, None), book.now), None);
    assert_eq!(book.add_link(start, "a"), a);
    assert_eq!((book.table.refused(), book.table.unrecorded()), (1, 1));
    assert_eq!(book.table.entry(start).leads_to.len(), 1);
    assert_eq!(book.take(), Some(a));
}

#[test]
fn a_new_host_lets_one_in_and_a_busy_one_does_not_stand_in_the_way_of_others() {
    let mut book = Book::new("", WIDE);
    let start = book.take().unwrap();
    let first = book.add_link(start, "http://other.test/1");
    let second = book.add_link(start, "http://other.test/2");
    let near = book.add_link(start, "near");
    assert_eq!(book.take_all(), [first, near]);
    book.finish(first);
    assert_eq!(book.take_all(), [second]);
}

#[test]
fn a_delay_counts_from_when_a_request_begins_and_not_from_when_its_page_was_taken() {
    let mut book = Book::new("0", WIDE);
    let host = book.table.entry(0).host;
    book.table.queues.set(host, 2, SECOND, false, book.now);
    let first = book.take().unwrap();
    let second = book.add_link(first, "1");
    // Until the first has begun nobody knows when the second may.
    book.now += 5 * SECOND;
    assert_eq!((book.take(), book.table.next_timer()), (None, None));
    book.table.queues.begin(host, book.now);
    assert_eq!((book.take(), book.table.next_timer()), (None, Some(book.now + SECOND)));
    book.now += SECOND - Duration::from_nanos(1);
    assert_eq!(book.take(), None);
    book.now += Duration::from_nanos(1);
    assert_eq!(book.take(), Some(second));
}

#[test]
fn a_page_that_is_put_off_comes_back_in_its_time_and_others_go_first() {
    let mut book = Book::new("0", WIDE);
    let start = book.take().unwrap();
    let (a, b) = (book.add_link(start, "a"), book.add_link(start, "b"));
    assert_eq!(book.take(), Some(a));
    let host = book.table.entry(a).host;
    book.table.put_back(a, Some(book.now + SECOND), book.now);
    book.table.queues.release(host, true, book.now);
    assert_eq!(book.take_all(), [b]);
    assert!(!book.table.is_over());
    assert_eq!(book.table.next_timer(), Some(book.now + SECOND));
    book.now += SECOND;
    assert_eq!(book.take(), Some(a));
    assert_eq!(book.table.entry(a).tries, 1);
}

#[test]
fn a_host_that_is_paused_lets_nobody_in_until_then() {
    let mut book = Book::new("0", WIDE);
    let host = book.table.entry(0).host;
    book.table.queues.pause(host, book.now + SECOND, book.now);
    assert_eq!(book.take(), None);
    book.now += SECOND;
    assert_eq!(book.take(), Some(0));
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
    depths.into_iter().map(|(page, depth)| (page.to_string(), depth)).collect()
}

proptest! {
    /// Any web, any number of workers, answers in any order: each page once, and at its shortest depth.
    #[test]
    fn the_order_of_answers_changes_neither_what_is_fetched_nor_how_deep_it_is(
        links in prop::collection::vec(prop::collection::vec(0usize..14, 0..5), 14),
        workers in 1usize..6,
        answers in prop::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        let mut book = Book::new("0", WIDE);
        let (mut out, mut fetched) = (Vec::new(), Vec::new());
        let mut answers = answers.iter().cycle();
        while !book.table.is_over() {
            while out.len() < workers && let Some(id) = book.take() {
                out.push(id);
            }
            let id = out.swap_remove(answers.next().unwrap().index(out.len()));
            let name = book.table.entry(id).url.parse::<usize>().unwrap();
            for to in &links[name] {
                book.add_link(id, &to.to_string());
            }
            book.finish(id);
            fetched.push(id);
        }
        prop_assert!(out.is_empty());
        let depths: HashMap<_, _> = book
            .table
            .entries()
            .iter()
            .map(|entry| (entry.url.to_string(), entry.distance.depth))
            .collect();
        prop_assert_eq!(&depths, &distances(&links));
        prop_assert_eq!(fetched.len(), depths.len());
    }
}

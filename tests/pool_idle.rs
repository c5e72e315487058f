//! Idle workers cost no processor time. A program of its own, because the time is the whole program's.
#![cfg(target_os = "linux")]

mod common;

use std::thread;
use std::time::Duration;

use common::{eventually, within_a_minute};
use selvedge::{Latch, Pool};

/// Processor time of this program so far, in ticks of a hundredth of a second.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name in brackets may contain spaces; behind it the user's time is the 12th, the system's the 13th.
    let behind = stat.rsplit(')').next().unwrap();
    behind.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[test]
fn sixty_four_idle_workers_use_no_processor_for_a_second() {
    within_a_minute(|| {
        // The account works: a thread that looks all the time is in it.
        let start = ticks();
        eventually("work is seen", || ticks() > start + 2);

        let pool = Pool::builder().workers(64).build().unwrap();
        let all = std::sync::Arc::new(Latch::new(64));
        for _ in 0..64 {
            let all = std::sync::Arc::clone(&all);
            pool.execute(move || {
                all.count_down();
                all.wait();
            })
            .unwrap();
        }
        all.wait();
        // This looks all the time too, so it ends before the second begins.
        eventually("all are idle", || pool.stats().idle == 64);
        // Those who look out sleep by now, or in a moment; that is in the second and within its bound.
        let start = ticks();
        thread::sleep(Duration::from_secs(1));
        let spent = ticks() - start;
        assert!(spent <= 10, "{spent} hundredths of a second");
        assert_eq!(pool.stats().idle, 64);
    });
}

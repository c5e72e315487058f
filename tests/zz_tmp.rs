//! x
use std::sync::{Arc, atomic::{AtomicUsize, Ordering::*}};
#[test]
fn burst() {
    let pool = selvedge::Pool::builder().workers(1).queue(1<<17).build().unwrap();
    let n = Arc::new(AtomicUsize::new(0));
    let mut goal = 0;
    for r in 0..200 {
        for _ in 0..50_000 { let n = n.clone(); pool.execute(move || { n.fetch_add(1, Relaxed); }).unwrap(); }
        goal += 50_000;
        let t = std::time::Instant::now();
        while n.load(Relaxed) < goal {
            if t.elapsed().as_secs() > 3 { panic!("{r} {} {goal} {:?} {:?}", n.load(Relaxed), pool.stats(), pool); }
            std::thread::yield_now();
        }
    }
}

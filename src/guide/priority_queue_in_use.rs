
let stop = selvedge::CancelToken::new();
let queue = PriorityQueue::new(2);
std::thread::scope(|s| {
    let producer = s.spawn(|| (1..=3).try_for_each(|item| queue.push(item)));
    // The third item waits for room.
    let sum: i32 = (0..3).map(|_| queue.pop_until(&stop).unwrap()).sum();
    assert_eq!(sum, 6);
    producer.join().unwrap().unwrap();
});
queue.close();
assert_eq!(queue.pop(), Err(WaitError::Closed));

// Every schedule of it, in a build with `--cfg loom`; a hundred runs in an ordinary one.
selvedge::sync::model::check(|| {
    let queue = selvedge::sync::Arc::new(PriorityQueue::new(1));
    let consumer = selvedge::sync::thread::spawn({
        let queue = queue.clone();
        move || queue.pop().unwrap() + queue.pop().unwrap()
    });
    queue.push(1).unwrap();
    queue.push(2).unwrap();
    assert_eq!(consumer.join().unwrap(), 3);
});

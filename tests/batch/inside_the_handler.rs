//! The batcher used by its own handler: nothing waits for itself.

use super::*;

type Cell = Arc<Mutex<Option<Arc<Batcher<u32>>>>>;

/// A batcher whose handler is given the batcher.
fn reentrant(
    builder: Builder<u32>,
    mut handler: impl FnMut(&Batcher<u32>, &Batch<u32>) + Send + 'static,
) -> Arc<Batcher<u32>> {
    let cell: Cell = Cell::default();
    let ready = Arc::new(Latch::new(1));
    let built = builder.build({
        let (cell, ready) = (Arc::clone(&cell), Arc::clone(&ready));
        move |batch: &mut Batch<u32>| {
            ready.wait();
            let batcher = cell.lock().unwrap().clone();
            if let Some(batcher) = batcher {
                handler(&batcher, batch);
            }
        }
    });
    let batcher = Arc::new(built.unwrap());
    *cell.lock().unwrap() = Some(Arc::clone(&batcher));
    ready.count_down();
    batcher
}

#[test]
fn adding_succeeds_while_there_is_room() {
    within_a_minute(|| {
        let batcher = reentrant(ageless().max_items(1), |batcher, batch| {
            if batch[0] > 0 {
                batcher.add(batch[0] - 1).unwrap();
            }
        });
        batcher.add(5).unwrap();
        eventually("the last is processed", || batcher.stats().processed == 6);
    });
}

#[test]
fn adding_to_a_full_backlog_says_that_it_would_wait_for_itself() {
    within_a_minute(|| {
        let (tell, told) = channel();
        let batcher = reentrant(ageless().max_items(1).backlog(1), move |batcher, batch| {
            if batch[0] == 0 {
                batcher.add(1).unwrap();
                let refused = batcher.add(2).unwrap_err();
                let limited = batcher.add_until(3, HOUR).unwrap_err();
                tell.send((refused.value, refused.error, limited.value, limited.error)).unwrap();
            }
        });
        batcher.add(0).unwrap();
        let refused = told.recv().unwrap();
        assert_eq!(refused, (2, WaitError::WouldDeadlock, 3, WaitError::WouldDeadlock));
        assert!(WaitError::WouldDeadlock.to_string().contains("wait for itself"));
        assert!(batcher.close().is_clean());
    });
}

#[test]
fn adding_from_a_scope_of_the_handlers_is_inside_too() {
    within_a_minute(|| {
        let (tell, told) = channel();
        let batcher = reentrant(ageless().max_items(1).backlog(1), move |batcher, batch| {
            if batch[0] == 0 {
                batcher.add(1).unwrap();
                let inside = group::scope(&CancelToken::new(), |g| {
                    g.spawn(|_| batcher.add(2).map_err(|refused| refused.error));
                    Ok(())
                });
                tell.send(inside.unwrap_err().to_string()).unwrap();
            }
        });
        batcher.add(0).unwrap();
        assert!(told.recv().unwrap().contains("wait for itself"));
    });
}

#[test]
fn flush_and_ticket_say_that_they_would_wait_for_themselves() {
    within_a_minute(|| {
        let (tell, told) = channel();
        let batcher = reentrant(ageless().max_items(1), move |batcher, batch| {
            if batch[0] == 0 {
                tell.send(batcher.flush()).unwrap();
                let ticket = batcher.submit(1).unwrap();
                let back = ticket.join_until(HOUR).unwrap_err();
                tell.send(Err(back.error)).unwrap();
                let failed = back.value.join().unwrap_err();
                assert!(matches!(failed.error, BatchError::WouldDeadlock));
            }
        });
        batcher.add(0).unwrap();
        assert_eq!(told.recv().unwrap(), Err(WaitError::WouldDeadlock));
        assert_eq!(told.recv().unwrap(), Err(WaitError::WouldDeadlock));
        assert_eq!(batcher.close().stats.processed, 2);
    });
}

#[test]
fn close_and_abort_return_at_once_and_name_the_thread() {
    within_a_minute(|| {
        let (tell, told): (Sender<Vec<String>>, _) = channel();
        let batcher = reentrant(ageless().max_items(1), move |batcher, _| {
            tell.send(batcher.close().running).unwrap();
            tell.send(batcher.abort().running).unwrap();
        });
        batcher.add(0).unwrap();
        assert_eq!(told.recv().unwrap(), ["batch-0"]);
        assert_eq!(told.recv().unwrap(), ["batch-0"]);
        assert_eq!(batcher.close().stats.processed, 1);
    });
}

#[test]
fn last_handle_may_be_dropped_there() {
    within_a_minute(|| {
        let (gone, tell) = (Arc::new(Latch::new(1)), channel());
        let (send, told) = tell;
        let cell: Cell = Cell::default();
        let batcher = ageless().max_items(1).build({
            let (cell, gone) = (Arc::clone(&cell), Arc::clone(&gone));
            move |_: &mut Batch<u32>| {
                gone.wait();
                drop(cell.lock().unwrap().take());
                send.send(()).unwrap();
            }
        });
        *cell.lock().unwrap() = Some(Arc::new(batcher.unwrap()));
        let batcher = cell.lock().unwrap().clone().unwrap();
        batcher.add(0).unwrap();
        drop(batcher);
        gone.count_down();
        told.recv().unwrap();
    });
}

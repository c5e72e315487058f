//! A stand-in until the crate's pool is there.
use selvedge::BoundedQueue;
use selvedge::sync::Arc;
type Job = Box<dyn FnOnce() + Send>;
pub(crate) struct Pool {
    queue: Arc<BoundedQueue<Job>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}
pub(crate) struct Builder {
    workers: usize,
    queue: usize,
    name: String,
}
impl Pool {
    pub(crate) fn builder() -> Builder {
        Builder { workers: 1, queue: 1, name: String::new() }
    }
    pub(crate) fn execute(&self, f: impl FnOnce() + Send + 'static) -> Result<(), ()> {
        self.queue.push(Box::new(f)).map_err(|_| ())
    }
}
impl Builder {
    pub(crate) fn workers(mut self, n: usize) -> Self {
        self.workers = n;
        self
    }
    pub(crate) fn queue(mut self, n: usize) -> Self {
        self.queue = n;
        self
    }
    pub(crate) fn name(mut self, n: &str) -> Self {
        self.name = n.into();
        self
    }
    pub(crate) fn build(self) -> std::io::Result<Pool> {
        let queue = Arc::new(BoundedQueue::<Job>::new(self.queue));
        let threads = (0..self.workers)
            .map(|i| {
                let queue = Arc::clone(&queue);
                std::thread::Builder::new()
                    .name(format!("{}-{i}", self.name))
                    .spawn(move || {
                        for job in queue.iter() {
                            job()
                        }
                    })
                    .unwrap()
            })
            .collect();
        Ok(Pool { queue, threads })
    }
}
impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.close();
        for t in self.threads.drain(..) {
            t.join().unwrap()
        }
    }
}

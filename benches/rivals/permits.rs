//! Semaphores.

use super::plain;

/// A semaphore, as a thread uses it.
pub(crate) trait Permits: Send + Sync + 'static {
    fn new(permits: usize) -> Self;

    /// Acquires a permit, does `inside`, and gives the permit back.
    fn pass(&self, inside: impl FnOnce());
}

impl Permits for selvedge::Semaphore {
    fn new(permits: usize) -> Self {
        selvedge::Semaphore::new(permits)
    }

    fn pass(&self, inside: impl FnOnce()) {
        let _permit = self.acquire().expect("nobody closes it");
        inside();
    }
}

impl Permits for tokio::sync::Semaphore {
    fn new(permits: usize) -> Self {
        tokio::sync::Semaphore::new(permits)
    }

    fn pass(&self, inside: impl FnOnce()) {
        let _permit = pollster::block_on(self.acquire()).expect("nobody closes it");
        inside();
    }
}

impl Permits for async_lock::Semaphore {
    fn new(permits: usize) -> Self {
        async_lock::Semaphore::new(permits)
    }

    fn pass(&self, inside: impl FnOnce()) {
        let _permit = self.acquire_blocking();
        inside();
    }
}

impl Permits for std_semaphore::Semaphore {
    fn new(permits: usize) -> Self {
        std_semaphore::Semaphore::new(permits.try_into().expect("a small number"))
    }

    fn pass(&self, inside: impl FnOnce()) {
        let _permit = self.access();
        inside();
    }
}

impl Permits for plain::Semaphore {
    fn new(permits: usize) -> Self {
        plain::Semaphore::new(permits)
    }

    fn pass(&self, inside: impl FnOnce()) {
        self.acquire();
        inside();
        self.release();
    }
}

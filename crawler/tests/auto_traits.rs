//! Which public types may be sent, shared, moved while pinned, and carried across a caught panic.
//!
//! A type that gains or loses one of these changes what callers may write.

#[macro_use]
#[path = "../../tests/common/probe.rs"]
mod probe;

use probe::{Otherwise, Probe};
use selvedge_crawl::{
    BuildError, Builder, Cache, CacheError, Canonical, Crawl, Crawler, FetchError, Files, Folder,
    FolderError, Http, Ignore, MemorySite, Page, Pattern, Report, Response, StartError, Visited,
};

#[test]
fn probe_tells_types_apart() {
    table! {
        u8 => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        std::rc::Rc<u8> => "Unpin UnwindSafe RefUnwindSafe",
        std::marker::PhantomPinned => "Send Sync UnwindSafe RefUnwindSafe",
    }
}

#[test]
fn crawls_and_what_they_find_can_be_sent_and_shared() {
    table! {
        Crawler => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Builder => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Crawl => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Report => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Page => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Visited => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        MemorySite => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Http => "Send Sync Unpin",
        Cache => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        CacheError => "Send Sync Unpin",
        Ignore => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Files => "Send Sync Unpin",
        Folder => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        FolderError => "Send Sync Unpin",
        Response => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Pattern => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Canonical => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        FetchError => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        StartError => "Send Sync Unpin",
        BuildError => "Send Sync Unpin UnwindSafe RefUnwindSafe",
    }
}

//! Which public types may be sent, shared, moved while pinned, and carried across a caught panic.
//!
//! A type that gains or loses one of these changes what callers may write.

use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

use selvedge_crawl::{
    BuildError, Builder, Canonical, Crawl, Crawler, FetchError, Http, MemorySite, Page, Pattern, Report,
    Response, StartError, Visited,
};

/// An inherent constant hides the trait's where its bound holds, and only there.
struct Probe<T: ?Sized>(PhantomData<T>);

trait Otherwise {
    const SEND: bool = false;
    const SYNC: bool = false;
    const UNPIN: bool = false;
    const UNWIND_SAFE: bool = false;
    const REF_UNWIND_SAFE: bool = false;
}

impl<T: ?Sized> Otherwise for Probe<T> {}

impl<T: ?Sized + Send> Probe<T> {
    const SEND: bool = true;
}

impl<T: ?Sized + Sync> Probe<T> {
    const SYNC: bool = true;
}

impl<T: ?Sized + Unpin> Probe<T> {
    const UNPIN: bool = true;
}

impl<T: ?Sized + UnwindSafe> Probe<T> {
    const UNWIND_SAFE: bool = true;
}

impl<T: ?Sized + RefUnwindSafe> Probe<T> {
    const REF_UNWIND_SAFE: bool = true;
}

/// The names of the auto traits that a type has.
macro_rules! traits {
    ($type:ty) => {{
        let has = [
            ("Send", Probe::<$type>::SEND),
            ("Sync", Probe::<$type>::SYNC),
            ("Unpin", Probe::<$type>::UNPIN),
            ("UnwindSafe", Probe::<$type>::UNWIND_SAFE),
            ("RefUnwindSafe", Probe::<$type>::REF_UNWIND_SAFE),
        ];
        has.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    }};
}

/// Asserts a row a type, and names every row that is wrong.
macro_rules! table {
    ($($type:ty => $expected:literal),* $(,)?) => {{
        let mut wrong = Vec::new();
        $(
            let found = traits!($type);
            if found != $expected {
                wrong.push(format!("{} => {found:?}, not {:?}", stringify!($type), $expected));
            }
        )*
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }};
}

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
        Response => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Pattern => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        Canonical => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        FetchError => "Send Sync Unpin UnwindSafe RefUnwindSafe",
        StartError => "Send Sync Unpin",
        BuildError => "Send Sync Unpin UnwindSafe RefUnwindSafe",
    }
}

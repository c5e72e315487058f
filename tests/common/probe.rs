//! Which auto traits a type has, as text, and a table of what is expected. The macros name `Probe` and
//! `Otherwise` where they are used.

use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// An inherent constant hides the trait's where its bound holds, and only there.
pub(crate) struct Probe<T: ?Sized>(PhantomData<T>);

/// What holds where no inherent constant does.
pub(crate) trait Otherwise {
    const SEND: bool = false;
    const SYNC: bool = false;
    const UNPIN: bool = false;
    const UNWIND_SAFE: bool = false;
    const REF_UNWIND_SAFE: bool = false;
}

impl<T: ?Sized> Otherwise for Probe<T> {}

impl<T: ?Sized + Send> Probe<T> {
    pub(crate) const SEND: bool = true;
}

impl<T: ?Sized + Sync> Probe<T> {
    pub(crate) const SYNC: bool = true;
}

impl<T: ?Sized + Unpin> Probe<T> {
    pub(crate) const UNPIN: bool = true;
}

impl<T: ?Sized + UnwindSafe> Probe<T> {
    pub(crate) const UNWIND_SAFE: bool = true;
}

impl<T: ?Sized + RefUnwindSafe> Probe<T> {
    pub(crate) const REF_UNWIND_SAFE: bool = true;
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

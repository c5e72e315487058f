//! The control of `.ci/scan`: a program without a fault that rustc 1.95.0 and 1.96.0 compile wrongly
//! (rust-lang/rust#158206). Right it prints `first 1`, wrong anything else.

/// The comparison's answer is used as data, and returned.
#[inline]
fn count_if_first(first: &mut usize, number: usize) -> bool {
    let is_first = number == 0;
    *first += usize::from(is_first);
    is_first
}

/// Branches on the answer at once.
#[inline(never)]
fn join(first: &mut usize, number: usize, len: usize) -> usize {
    if count_if_first(first, number) { len } else { 0 }
}

fn main() {
    let (mut first, arguments) = (0, std::env::args().count());
    let len = join(&mut first, arguments - 1, 7);
    println!("first {first}");
    assert_eq!(len, 7);
}

//! Builds this package, and nothing else, on the model side of `selvedge::sync`.

fn main() {
    println!("cargo::rustc-cfg=loom");
    println!("cargo::rerun-if-changed=build.rs");
}

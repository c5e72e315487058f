//! The reference's patterns, each with the ways in which it breaks: ours come through. Its pipelines are in
//! `reference_pipeline.rs`, because their tests count the threads of the process.

#[path = "../common/mod.rs"]
mod common;

mod groups;
mod pools;
mod primitives;

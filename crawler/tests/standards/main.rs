//! Small sites and what the standards say of them, a row each: the program is run on every one.
//!
//! A row is a sentence with the place in the standard that decides it, or with what browsers do where the
//! standards leave it open.

#[path = "../common/mod.rs"]
mod common;

mod row;

mod answers;
mod codings;
mod connections;
mod cookies;
mod css;
mod fragments;
mod head;
mod html;
mod large;
mod limits;
mod redirects;
mod robots;
mod secrets;
mod silence;
mod sitemaps;
mod terminal;
mod urls;

//! Who is measured: ours and the others behind one face, so that a cell is written once.

pub(crate) mod alarms;
pub(crate) mod batches;
pub(crate) mod channels;
pub(crate) mod commits;
pub(crate) mod counts;
pub(crate) mod crawlers;
pub(crate) mod flights;
pub(crate) mod forks;
pub(crate) mod limits;
pub(crate) mod maps;
pub(crate) mod permits;
pub(crate) mod plain;
pub(crate) mod streams;
pub(crate) mod turns;
pub(crate) mod workers;

//! The links of a report, by where they lead.

use super::frontier::PageId;
use super::report::Page;

/// The pages that lead to page `n`, each once: `from[starts[n]..starts[n + 1]]`.
///
/// Only the pages: what is written on a link is found again among the links of the page that it is on. That
/// costs a search through some dozens of links where a question is asked, and saves 8 of 12 bytes for every
/// link of the crawl, which in a report of a million links is the largest single part.
#[derive(Debug)]
pub(super) struct Reverse {
    starts: Vec<u32>,
    from: Vec<PageId>,
}

impl Reverse {
    /// Counts the pages that lead to each page, then puts each into its place.
    pub(super) fn of(pages: &[Page]) -> Self {
        let mut starts = vec![0_u32; pages.len() + 1];
        each(pages, |_, to| starts[to as usize + 1] += 1);
        for page in 0..pages.len() {
            starts[page + 1] += starts[page];
        }
        let mut from = vec![0; starts[pages.len()] as usize];
        let mut next = starts.clone();
        each(pages, |page, to| {
            let place = &mut next[to as usize];
            from[*place as usize] = page;
            *place += 1;
        });
        Reverse { starts, from }
    }

    /// The pages that lead to this one, in their order.
    pub(super) fn to(&self, id: PageId) -> &[PageId] {
        &self.from[self.starts[id as usize] as usize..self.starts[id as usize + 1] as usize]
    }
}

/// Calls `f` with each page and each page that it leads to, once also where several links lead there.
fn each(pages: &[Page], mut f: impl FnMut(PageId, PageId)) {
    let mut last = vec![PageId::MAX; pages.len()];
    for (id, page) in (0..).zip(pages) {
        for edge in &page.leads_to {
            if std::mem::replace(&mut last[edge.to as usize], id) != id {
                f(id, edge.to);
            }
        }
    }
}

//! Parts of pages: those that pages have, and those that links name.
//!
//! A page's parts are kept as hashes of eight bytes, since a page has more of them than links.

use std::collections::{BTreeMap, HashMap, HashSet};

use percent_encoding::percent_decode_str;

use super::frontier::PageId;
use super::record::Outcome;
use super::report::Report;
use super::resolution::{DeadLink, LinkedFrom, Problem, Resolution};

/// All parts that were found; empty unless fragments are checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Fragments {
    /// The parts of each page that was read.
    pub(super) parts: HashMap<PageId, Box<[u64]>>,
    /// Links to parts: the page with the link, the URL and the part.
    pub(super) links: Vec<(PageId, Box<str>, Box<str>)>,
    /// Redirects whose `Location` names a part, which replaces the part in the link.
    pub(super) redirected: HashSet<PageId>,
}

/// The hash of a part: FNV-1a, since states contain it and it must be the same in every version.
pub(super) fn hash(part: &[u8]) -> u64 {
    part.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The part that a fragment names; `None` for one that no page can lack: the top, a text fragment, or a
/// route for a script.
pub(super) fn part_of(fragment: &str) -> Option<&str> {
    let part = fragment.split(":~:").next().unwrap_or_default();
    let is_for_scripts = part.starts_with(['/', '!']);
    (!part.is_empty() && !part.eq_ignore_ascii_case("top") && !is_for_scripts).then_some(part)
}

impl Report {
    /// The links to parts that their pages do not have; none, unless that was [asked
    /// for](super::Builder::fragments). They are among the [dead](Report::dead_links).
    pub(super) fn missing_parts(&self) -> Vec<DeadLink> {
        let fragments = &self.log.fragments;
        if fragments.links.is_empty() {
            return Vec::new();
        }
        let ids: HashMap<&str, PageId> =
            self.pages.iter().zip(0..).map(|(page, id)| (&*page.url, id)).collect();
        let mut missing: BTreeMap<(&str, &str), Vec<LinkedFrom>> = BTreeMap::new();
        for (from, url, part) in &fragments.links {
            if ids.get(&**url).is_some_and(|&id| self.lacks(id, part)) {
                let page = self.page(*from).url.to_string();
                missing.entry((url, part)).or_default().push(LinkedFrom { page, text: String::new() });
            }
        }
        let dead = missing.into_iter().map(|((url, part), linked_from)| DeadLink {
            url: format!("{url}#{part}"),
            via: Vec::new(),
            problem: Problem::NoSuchPart,
            linked_from,
        });
        dead.collect()
    }

    /// True if what a URL leads to was read, and has no such part.
    fn lacks(&self, id: PageId, part: &str) -> bool {
        let fragments = &self.log.fragments;
        let (via, resolution) = self.resolution(id);
        let last = via.last().copied().unwrap_or(id);
        let redirected = std::iter::once(&id).chain(&via).any(|id| fragments.redirected.contains(id));
        if redirected || resolution != Resolution::Alive || self.page(last).outcome() != Some(Outcome::Page) {
            return false;
        }
        let Some(parts) = fragments.parts.get(&last) else { return false };
        let has = |part: &[u8]| parts.binary_search(&hash(part)).is_ok();
        let decoded: Vec<u8> = percent_decode_str(part).collect();
        // As it is written, then what that stands for, and then as GitHub's pages have it, whose script
        // looks there.
        !has(part.as_bytes()) && !has(&decoded) && !has(&[b"user-content-", &*decoded].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::part_of;

    #[test]
    fn what_no_page_could_lack_is_not_looked_for() {
        for fragment in ["", "top", "TOP", ":~:text=a", "/route", "!bang"] {
            assert_eq!(part_of(fragment), None, "{fragment}");
        }
        assert_eq!((part_of("a:~:text=b"), part_of("a%20b")), (Some("a"), Some("a%20b")));
    }
}

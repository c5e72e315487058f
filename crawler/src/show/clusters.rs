//! The pages of a site by folder: few enough to be drawn and read.

use std::collections::{BTreeMap, HashSet};

use super::fixes::{counted, is_inside, origin};
use crate::frontier::PageId;
use crate::{Report, Resolution, Step};

/// Folders of the site.
const FOLDERS: usize = 16;
/// Other hosts that are named; the rest is one cluster.
const HOSTS: usize = 5;

/// Pages that are drawn as one.
pub(super) struct Cluster {
    pub(super) name: String,
    pub(super) pages: usize,
    pub(super) dead: usize,
    /// The distance of the nearest page; `None` for other hosts.
    pub(super) depth: Option<u32>,
}

/// Links from one cluster to another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Links {
    pub(super) all: usize,
    pub(super) dead: usize,
}

/// Clusters, and the links between them by the places of both.
pub(super) struct Map {
    pub(super) clusters: Vec<Cluster>,
    pub(super) links: BTreeMap<(usize, usize), Links>,
}

/// The pages below a prefix of their URLs, except those of clusters below it.
struct Folder<'a> {
    prefix: &'a str,
    pages: Vec<PageId>,
    /// Folders below it, or too few pages, or nothing below it that is large enough.
    is_done: bool,
}

impl Map {
    pub(super) fn of(report: &Report) -> Self {
        let mut inside: BTreeMap<&str, Vec<PageId>> = BTreeMap::new();
        let mut outside = inside.clone();
        for (page, id) in report.pages().iter().zip(0..) {
            let hosts = if is_inside(report, &page.url) { &mut inside } else { &mut outside };
            hosts.entry(origin(&page.url)).or_default().push(id);
        }
        let folders = folders(report, inside);
        let home = report.home();
        let mut groups: Vec<(String, Option<u32>, Vec<PageId>)> = Vec::new();
        for Folder { prefix, pages, .. } in folders {
            let depth = pages.iter().map(|&id| report.page(id).depth).min();
            let name = match prefix.strip_prefix(home) {
                Some("") => "/",
                Some(path) if path.starts_with('/') => path,
                _ => prefix,
            };
            groups.push((name.to_owned(), depth, pages));
        }
        groups.extend(hosts(outside).into_iter().map(|(name, pages)| (name, None, pages)));
        Map::linked(report, groups)
    }

    /// Counts the links between groups of pages.
    fn linked(report: &Report, groups: Vec<(String, Option<u32>, Vec<PageId>)>) -> Self {
        let mut cluster_of = vec![0; report.pages().len()];
        let is_dead = |id: PageId| matches!(report.resolution(id).1, Resolution::Dead(_));
        let dead: Vec<bool> = (0..report.pages().len() as PageId).map(is_dead).collect();
        let mut clusters = Vec::new();
        for (name, depth, pages) in groups {
            pages.iter().for_each(|&id| cluster_of[id as usize] = clusters.len());
            let dead = pages.iter().filter(|&&id| dead[id as usize]).count();
            clusters.push(Cluster { name, pages: pages.len(), dead, depth });
        }
        let mut links: BTreeMap<(usize, usize), Links> = BTreeMap::new();
        for id in 0..report.pages().len() as PageId {
            for link in report.links(id).filter(|link| link.step == Step::Link) {
                let count =
                    links.entry((cluster_of[id as usize], cluster_of[link.page as usize])).or_default();
                count.all += 1;
                count.dead += usize::from(dead[link.page as usize]);
            }
        }
        Map { clusters, links }
    }
}

/// Splits the largest folder as long as that makes no more clusters than can be read.
fn folders<'a>(report: &'a Report, hosts: BTreeMap<&'a str, Vec<PageId>>) -> Vec<Folder<'a>> {
    let all: usize = hosts.values().map(Vec::len).sum();
    let of = |(prefix, pages)| Folder { prefix, pages, is_done: false };
    let mut folders: Vec<Folder<'_>> = hosts.into_iter().map(of).collect();
    // A site on many hosts shows the largest of them.
    folders.sort_by_key(|folder| std::cmp::Reverse(folder.pages.len()));
    if folders.len() > FOLDERS {
        let rest = folders.split_off(FOLDERS - 1);
        let pages = rest.into_iter().flat_map(|folder| folder.pages).collect();
        folders.push(Folder { prefix: "further hosts", pages, is_done: true });
    }
    loop {
        let open = folders.iter().enumerate().filter(|(_, folder)| !folder.is_done);
        let Some((largest, _)) = open.max_by_key(|(_, folder)| folder.pages.len()) else { return folders };
        let room = FOLDERS.saturating_sub(folders.len());
        let below = split(report, &mut folders[largest], room, (all / 100).max(2));
        folders.extend(below);
        folders.retain(|folder| !folder.pages.is_empty());
    }
}

/// Takes at most `room` of the largest folders below out of a folder, each with at least `enough` pages;
/// none if they have less than half of its pages.
fn split<'a>(report: &'a Report, folder: &mut Folder<'a>, room: usize, enough: usize) -> Vec<Folder<'a>> {
    let mut below: BTreeMap<&str, Vec<PageId>> = BTreeMap::new();
    for &id in &folder.pages {
        let url: &str = &report.page(id).url;
        let path = &url[..url.find(['?', '#']).unwrap_or(url.len())];
        // Behind the slash that ends a host or a folder.
        let begin = folder.prefix.len() + usize::from(!folder.prefix.ends_with('/'));
        if let Some(slash) = path.get(begin..).and_then(|rest| rest.find('/')) {
            below.entry(&url[..=begin + slash]).or_default().push(id);
        }
    }
    let mut below: Vec<_> = below.into_iter().filter(|(_, pages)| pages.len() >= enough).collect();
    below.sort_by_key(|(_, pages)| std::cmp::Reverse(pages.len()));
    // All in one folder: no cluster more.
    let is_moved = below.first().is_some_and(|(_, pages)| pages.len() == folder.pages.len());
    below.truncate(if is_moved { 1 } else { room });
    // A dozen of a hundred folders alike would say nothing.
    let covered: usize = below.iter().map(|(_, pages)| pages.len()).sum();
    if covered * 2 < folder.pages.len() {
        below.clear();
    }
    folder.is_done = true;
    let taken: HashSet<PageId> = below.iter().flat_map(|(_, pages)| pages).copied().collect();
    folder.pages.retain(|id| !taken.contains(id));
    below.into_iter().map(|(prefix, pages)| Folder { prefix, pages, is_done: false }).collect()
}

/// The largest of the other hosts by name, and the rest as one.
fn hosts(outside: BTreeMap<&str, Vec<PageId>>) -> Vec<(String, Vec<PageId>)> {
    let mut hosts: Vec<_> = outside.into_iter().collect();
    hosts.sort_by_key(|(_, pages)| std::cmp::Reverse(pages.len()));
    let rest = hosts.split_off(hosts.len().min(HOSTS));
    let name = |origin: &str| origin.rsplit_once("://").map_or(origin, |(_, host)| host).to_owned();
    let mut named: Vec<_> = hosts.into_iter().map(|(origin, pages)| (name(origin), pages)).collect();
    if !rest.is_empty() {
        let name = counted(rest.len(), "more host");
        named.push((name, rest.into_iter().flat_map(|(_, pages)| pages).collect()));
    }
    named
}

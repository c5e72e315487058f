//! What each path of the site answers. The same in every run, but for the ports.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::trouble::{self, Names};

const SECTIONS: [&str; 12] = [
    "warp", "weft", "heddle", "shuttle", "reed", "treadle", "twill", "satin", "plain", "dobby", "jacquard",
    "tapestry",
];
/// Numbered pages in a section.
const PAGES: u64 = 24;
/// Years in the archive.
const YEARS: std::ops::RangeInclusive<u64> = 1785..=1808;
/// Longer than any request may take.
const NEVER: Duration = Duration::from_secs(60);

/// A path's answer, and how long it takes.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) delay: Duration,
    pub(super) answer: Answer,
}

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Html(String),
    /// A body of another type.
    Of(&'static str, &'static str),
    Redirect(u16, String),
    Status(u16),
    /// Too much HTML; whether the header says how much.
    Large {
        announced: bool,
    },
}

/// All pages of one server.
#[derive(Debug)]
pub(super) struct Map {
    pages: BTreeMap<String, Planned>,
    /// True if every day leads to the next, without end.
    calendar: bool,
}

/// A page before it is HTML.
struct Draft {
    path: String,
    base: Option<&'static str>,
    links: Vec<String>,
}

impl Map {
    /// What a path with its query answers; `None` is a 404.
    pub(super) fn page(&self, path: &str) -> Option<Planned> {
        let day = || path.strip_prefix("/calendar?day=").filter(|_| self.calendar)?.parse::<u64>().ok();
        self.pages
            .get(path)
            .cloned()
            .or_else(|| day().map(|day| draft(path, vec![format!("?day={}", day + 1)]).plan()))
    }

    /// Every path that a crawler which obeys must have asked for, once.
    pub(super) fn public(&self) -> impl Iterator<Item = &str> {
        self.pages.keys().map(String::as_str).filter(|path| !trouble::is_private(path))
    }

    fn of(drafts: Vec<Draft>, names: &Names, calendar: bool) -> Self {
        let mut pages = BTreeMap::new();
        for mut draft in drafts {
            let planted = trouble::links_on(&draft.path, calendar);
            draft.links.extend(planted.map(|href| names.resolve(href)));
            pages.insert(draft.path.clone(), draft.plan());
        }
        Map { pages, calendar }
    }

    fn add(&mut self, path: &str, delay: Duration, answer: Answer) {
        self.pages.insert(path.to_owned(), Planned { delay, answer });
    }
}

/// The main site: a home page, twelve sections, and the trouble.
pub(super) fn main(names: &Names) -> Map {
    let mut drafts = vec![draft("/", SECTIONS.iter().map(|section| format!("{section}/")).collect())];
    for section in SECTIONS {
        drafts.push(draft(&format!("/{section}/"), vec!["1".into(), "./".into(), "/".into()]));
        drafts.extend((1..=PAGES).map(|number| numbered(section, number)));
    }
    for path in trouble::PAGES {
        drafts.push(draft(path, vec!["/".into()]));
    }
    let mut map = Map::of(drafts, names, true);
    map.add("/robots.txt", Duration::ZERO, Answer::Of("text/plain", trouble::ROBOTS));
    map.add("/broken", Duration::from_millis(20), Answer::Status(500));
    map.add("/silent", NEVER, Answer::Status(500));
    map.add("/bolt", Duration::from_millis(5), Answer::Large { announced: true });
    map.add("/endless", Duration::from_millis(5), Answer::Large { announced: false });
    map.add("/pattern.svg", Duration::from_millis(3), Answer::Of("image/svg+xml", "<svg/>"));
    map.add("/draft.json", Duration::from_millis(3), Answer::Of("application/json", "{}"));
    for (path, status, to) in trouble::REDIRECTS {
        map.add(path, Duration::from_millis(4), Answer::Redirect(*status, names.resolve(to)));
    }
    map
}

/// The archive, on a server of its own that asks for a pause between requests.
pub(super) fn archive(names: &Names) -> Map {
    let mut drafts = vec![draft("/", YEARS.step_by(8).map(|year| format!("year/{year}")).collect())];
    for year in YEARS {
        let near = [year.saturating_sub(1), year + 1, year + 3];
        let links = near.iter().filter(|year| YEARS.contains(year)).map(u64::to_string).collect();
        drafts.push(draft(&format!("/year/{year}"), links));
    }
    let mut map = Map::of(drafts, names, false);
    map.add("/robots.txt", Duration::ZERO, Answer::Of("text/plain", trouble::ARCHIVE_ROBOTS));
    map
}

/// A page in a section: a tree of twos from page 1, the next page, and two more of other sections.
fn numbered(section: &str, number: u64) -> Draft {
    let path = format!("/{section}/{number}");
    let mut links = vec![".".to_owned(), "#pattern".to_owned(), "../".to_owned()];
    let near = [2 * number, 2 * number + 1, number + 1];
    links.extend(near.iter().filter(|&&near| near <= PAGES).map(|near| format!("./{near}#weave")));
    for salt in 1..=2 {
        let (other, page) = (hash(&path, salt), hash(&path, salt + 10) % PAGES + 1);
        links.push(format!("../{}/{page}", SECTIONS[other as usize % SECTIONS.len()]));
    }
    Draft { base: (path == "/reed/5").then_some("/twill/"), path, links }
}

fn draft(path: &str, links: Vec<String>) -> Draft {
    Draft { path: path.to_owned(), base: None, links }
}

impl Draft {
    fn plan(&self) -> Planned {
        Planned { delay: delay(&self.path), answer: Answer::Html(self.html()) }
    }

    fn html(&self) -> String {
        let mut html = format!("<!doctype html>\n<title>{}</title>\n", self.path);
        if let Some(base) = self.base {
            let _ = writeln!(html, "<base href=\"{base}\">");
        }
        for (number, link) in self.links.iter().enumerate() {
            let thread = SECTIONS[hash(link, number as u64) as usize % SECTIONS.len()];
            let _ = writeln!(
                html,
                "<p>{} <a href=\"{link}\">follow the {thread}</a></p>",
                cloth(&self.path, number)
            );
        }
        html
    }
}

/// Some words, so that pages have a size.
fn cloth(path: &str, number: usize) -> String {
    let words = 20 + hash(path, number as u64) % 60;
    let word = |place| SECTIONS[hash(path, number as u64 * 100 + place) as usize % SECTIONS.len()];
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

/// Most pages take a few milliseconds, one in nine takes 50 to 300.
fn delay(path: &str) -> Duration {
    let hash = hash(path, 4);
    Duration::from_millis(if hash.is_multiple_of(9) { 50 + hash / 9 % 251 } else { 2 + hash % 9 })
}

/// FNV-1a over the text, stirred with `salt`: a die that falls the same way in every run and on every
/// machine.
fn hash(text: &str, salt: u64) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = text.bytes().chain(salt.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, step);
    hash ^ hash >> 29
}

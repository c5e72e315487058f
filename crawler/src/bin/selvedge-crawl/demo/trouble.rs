//! What is planted in the site.
//!
//! `{main}` and `{archive}` stand for the two servers.

/// The two servers, as name and port.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) main: String,
    pub(super) archive: String,
}

impl Names {
    pub(super) fn resolve(&self, text: &str) -> String {
        text.replace("{main}", &self.main).replace("{archive}", &self.archive)
    }
}

/// Allows one page of what it disallows.
pub(super) const ROBOTS: &str = "\
User-agent: *
Disallow: /private/
Allow: /private/open
";

/// A pause of 25 ms.
pub(super) const ARCHIVE_ROBOTS: &str = "\
User-agent: *
Crawl-delay: 0.025
";

/// Pages with nothing wrong on them, beside those of the sections.
pub(super) const PAGES: [&str; 5] =
    ["/private/ledger", "/private/wages", "/private/open", "/news/", "/private/open/day"];

/// A dead link: the page that has it, what is written there, and the URL that the crawl should name.
pub(super) const DEAD: [(&str, &str, &str); 12] = [
    ("http://{main}/warp/7", "99", "http://{main}/warp/99"),
    ("http://{main}/weft/3", "../warp/./99#top", "http://{main}/warp/99"),
    ("http://{main}/treadle/20", "/lost?page=2", "http://{main}/lost?page=2"),
    ("http://{main}/heddle/12", "/broken", "http://{main}/broken"),
    ("http://{main}/shuttle/4", "/silent", "http://{main}/silent"),
    // Nobody listens on port 1.
    ("http://{main}/plain/5", "http://127.0.0.1:1/attic", "http://127.0.0.1:1/attic"),
    ("http://{main}/plain/5", "http://127.0.0.1:1/cellar", "http://127.0.0.1:1/cellar"),
    ("http://{main}/twill/2", "/old/lost", "http://{main}/old/lost"),
    ("http://{main}/satin/9", "/round/a", "http://{main}/round/a"),
    ("http://{main}/jacquard/11", "http://[loom]/", "http://[loom]/"),
    ("http://{archive}/year/1801", "//{main}/lost?page=2", "http://{main}/lost?page=2"),
    ("http://{archive}/year/1804", "1750", "http://{archive}/year/1750"),
];

/// Links that are not dead, and not what they seem.
const ODD: [(&str, &str); 18] = [
    ("http://{main}/", "#top"),
    ("http://{main}/", "HTTP://{main}/./warp/../weft/#start"),
    ("http://{main}/", "http://{archive}/"),
    ("http://{main}/", "/calendar?day=1"),
    ("http://{main}/", "mailto:weaver@loom.invalid"),
    ("http://{main}/", "/private/ledger"),
    ("http://{main}/", "/private/open"),
    ("http://{main}/dobby/2", "/private/open/day"),
    ("http://{main}/dobby/3", "../private/wages"),
    ("http://{main}/warp/2", "javascript:print()"),
    ("http://{main}/warp/4", "/moved/1"),
    ("http://{main}/twill/6", "/away"),
    ("http://{main}/twill/7", "http://outside.invalid/page"),
    ("http://{main}/satin/", "/bolt"),
    ("http://{main}/satin/2", "/endless"),
    ("http://{main}/plain/", "/pattern.svg"),
    ("http://{main}/plain/2", "/draft.json"),
    ("http://{main}/tapestry/3", "/news"),
];

/// From where, with what status, to where.
pub(super) const REDIRECTS: &[(&str, u16, &str)] = &[
    ("/moved/1", 302, "/moved/2"),
    ("/moved/2", 301, "3"),
    ("/moved/3", 307, "http://{main}/twill/4#here"),
    ("/news", 301, "/news/"),
    ("/away", 302, "http://outside.invalid/"),
    ("/old/lost", 301, "/older/lost"),
    ("/round/a", 302, "/round/b"),
    ("/round/b", 302, "/round/a"),
];

/// What is planted on a page of the main site or of the archive.
pub(super) fn links_on(path: &str, main: bool) -> impl Iterator<Item = &'static str> {
    let page = format!("http://{}{path}", if main { "{main}" } else { "{archive}" });
    let dead = DEAD.iter().map(|&(on, href, _)| (on, href));
    dead.chain(ODD).filter(move |(on, _)| *on == page).map(|(_, href)| href)
}

/// True if [`ROBOTS`] disallows it.
pub(super) fn is_private(path: &str) -> bool {
    path.starts_with("/private/") && !path.starts_with("/private/open")
}

//! Reports for people: grouped by what to fix, harmless, small, and no wider than a terminal.

mod common;

use std::collections::BTreeMap;

use common::reports::{clean, footer, hostile, html, mixed, partial, run};
use common::within_a_minute;
use regex::Regex;
use selvedge_crawl::{Crawler, Ignore, MemorySite, Pattern, Redirects, Report, Response};
use unicode_width::UnicodeWidthStr;

fn markdown(report: &Report) -> String {
    let mut out = Vec::new();
    report.write_markdown(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn github(report: &Report) -> String {
    let mut out = Vec::new();
    report.write_github(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_dead_footer_link_on_4_000_of_40_000_urls_is_one_problem_and_a_small_file() {
    within_a_minute(|| {
        let report = footer(9);
        assert!(report.pages().len() > 40_000, "{report:?}");
        let html = html(&report);
        assert!(html.len() < 300_000, "{} bytes", html.len());
        assert_eq!(html.matches("<article").count(), 1);
        assert!(html.contains("and 3,991 more pages") && html.contains("4,001 dead links to 1 URL"));
        assert!(html.contains("On 4,001 of 4,001 pages, so probably in a template."));
        // Each place is there, if not as a link.
        for n in [0, 1, 99, 1_234, 3_999] {
            assert!(html.contains(&format!("page-{n}.html")), "{n}");
        }
        let text = report.to_text(false);
        assert!(text.contains("and 3,995 more") && text.contains("probably in a template"), "{text}");
        assert!(text.len() < 4_000, "{} bytes", text.len());
        assert_eq!(github(&report).lines().count(), 1);
        assert!(markdown(&report).len() < 4_000);
    });
}

#[test]
fn urls_of_a_host_that_does_not_exist_are_one_problem_in_every_format() {
    within_a_minute(|| {
        let report = mixed();
        let gone = report.dead_links().iter().filter(|link| link.url.contains("gone.test")).count();
        assert_eq!(gone, 100);
        assert!(
            html(&report)
                .contains("<h4>https://gone.test <small class=\"faint\">100 URLs of one host</small></h4>")
        );
        assert!(
            report.to_text(true).contains("    https://gone.test: 100 URLs\n"),
            "{}",
            report.to_text(true)
        );
        let told = github(&report);
        let line = told.lines().filter(|line| line.contains("gone.test")).collect::<Vec<_>>();
        assert!(line.len() == 1 && line[0].contains("100 URLs at https://gone.test: "), "{told}");
        let told = markdown(&report);
        assert!(
            told.contains("| **https://gone.test**<br>") && told.contains("<br>and 90 more | "),
            "{told}"
        );
    });
}

#[test]
fn links_to_what_has_moved_permanently_are_suggested_for_an_update_in_every_format() {
    within_a_minute(|| {
        let report = mixed();
        let told = html(&report);
        assert!(told.contains("Moved permanently: update the link <small>2</small>"), "{told}");
        assert!(
            markdown(&report).contains("| http://loom.test/old | http://loom.test/docs/chapter-1.html | ")
        );
        let told = github(&report);
        let hint = "::notice title=Moved permanently::http://loom.test/old is now http://loom.test/docs/chapter-1.html, on ";
        assert!(told.contains(hint), "{told}");
    });
}

#[test]
fn the_totals_say_what_each_url_came_to_and_add_up() {
    within_a_minute(|| {
        let report = mixed();
        let text = report.to_text(false);
        let (_, totals) = text.split_once(":\n").unwrap();
        let rows = totals.lines().take_while(|line| line.starts_with("           "));
        let counts: Vec<(usize, &str)> = rows
            .map(|row| row.trim_start().split_once(' ').unwrap())
            .map(|(count, words)| (count.replace(',', "").parse().unwrap(), words))
            .collect();
        assert_eq!(counts.iter().map(|(count, _)| count).sum::<usize>(), report.pages().len(), "{text}");
        assert!(counts.contains(&(1, "disallowed by robots.txt")), "{text}");
        assert!(html(&report).contains("<b>1</b> disallowed by robots.txt"));
    });
}

#[test]
fn each_way_in_which_a_url_can_end_is_counted_under_its_own_name() {
    within_a_minute(|| {
        let site = || {
            MemorySite::new()
                .page("http://loom.test/", "<a href=page>1</a> <a href=film.mp4>2</a> <a href=old>3</a> \
                     <a href=dead>4</a> <a href=https://other.test/>5</a> <a href=archive/>6</a> <a href=secret>7</a>")
                .page("http://loom.test/page", "<a href=/deep>8</a>")
                .response("http://loom.test/robots.txt", Response::of("text/plain", "User-agent: *\nDisallow: /secret"))
                .response("http://loom.test/film.mp4", Response::of("video/mp4", "film"))
                .redirect("http://loom.test/old", 302, "/page")
        };
        let builder =
            || Crawler::builder().fetch(site()).exclude(Pattern::glob("*/archive/*").unwrap()).depth(1);
        let counts = |report: &Report| {
            let text = report.to_text(false);
            let (_, totals) = text.split_once(":\n").unwrap();
            let rows = totals.lines().take_while(|line| line.starts_with("           "));
            let count = |row: &str| {
                let (count, words) = row.trim_start().split_once(' ').unwrap();
                (words.to_owned(), count.parse().unwrap())
            };
            rows.map(count).collect::<BTreeMap<String, usize>>()
        };
        let expected = [
            ("read for links", 2),
            ("checked, but not read for links", 1),
            ("redirect elsewhere", 1),
            ("refused or failed", 1),
            ("on other hosts, outside this crawl", 1),
            ("left out by the options", 1),
            ("disallowed by robots.txt", 1),
            ("deeper than was asked for", 1),
        ];
        let whole = builder().build().unwrap().run("http://loom.test/").unwrap();
        assert_eq!(counts(&whole), BTreeMap::from(expected.map(|(words, count)| (words.to_owned(), count))));
        let cut_short = builder().pages(1).build().unwrap().run("http://loom.test/").unwrap();
        assert_eq!(counts(&cut_short).get("not reached"), Some(&5), "{:?}", counts(&cut_short));
    });
}

/// Elements that a report is made of.
const TAGS: [&str; 45] = [
    "!DOCTYPE",
    "a",
    "article",
    "b",
    "body",
    "button",
    "circle",
    "code",
    "details",
    "div",
    "figcaption",
    "figure",
    "footer",
    "g",
    "h1",
    "h2",
    "h3",
    "h4",
    "head",
    "header",
    "html",
    "i",
    "input",
    "li",
    "line",
    "main",
    "meta",
    "nav",
    "ol",
    "p",
    "path",
    "q",
    "rect",
    "script",
    "section",
    "small",
    "span",
    "style",
    "summary",
    "svg",
    "text",
    "title",
    "ul",
    "td",
    "tr",
];

/// The tags of a page and their attributes. Every `<` must begin one, and every value must be in quotes.
fn tags(html: &str) -> Vec<(String, Vec<(String, String)>)> {
    let (before, rest) = html.split_once("<style>").unwrap();
    let (_, rest) = rest.split_once("</style>").unwrap();
    let (rest, script) = rest.split_once("<script>").unwrap();
    let after = script.split_once("</script>").unwrap().1;
    let html = [before, rest, after].concat();
    let tag = Regex::new(r#"^</?([a-zA-Z0-9!]+)((?:\s+[a-zA-Z0-9:-]+(?:="[^"<>]*")?)*)\s*/?>"#).unwrap();
    let attribute = Regex::new(r#"([a-zA-Z0-9:-]+)(?:="([^"]*)")?"#).unwrap();
    let found = html.match_indices('<').map(|(at, _)| {
        let found = tag.captures(&html[at..]).unwrap_or_else(|| panic!("{:?}", &html[at..at + 80]));
        let attributes = attribute.captures_iter(&found[2]);
        let attributes = attributes
            .map(|one| (one[1].to_owned(), one.get(2).map_or("", |value| value.as_str()).to_owned()));
        (found[1].to_owned(), attributes.collect())
    });
    found.collect()
}

#[test]
fn nothing_of_a_hostile_site_is_markup_in_the_report() {
    within_a_minute(|| {
        let report = hostile();
        assert!(report.dead_links().len() > 8, "{}", report.to_text(true));
        let html = html(&report);
        for (tag, attributes) in tags(&html) {
            assert!(TAGS.contains(&tag.as_str()), "<{tag}>");
            for (name, value) in attributes {
                assert!(!name.starts_with("on") && name != "style", "<{tag} {name}>");
                assert!(name != "href" || value.starts_with(['#', 'h']), "<{tag} {name}={value}>");
            }
        }
        let harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        for told in [&html, &report.to_text(false), &markdown(&report), &github(&report)] {
            assert!(!told.contains(harmful), "{told:?}");
        }
        let markdown = markdown(&report);
        assert!(!markdown.contains("<img") && !markdown.contains("<script"), "{markdown}");
    });
}

#[test]
fn a_terminal_of_80_columns_does_not_wrap_but_within_a_url() {
    within_a_minute(|| {
        for report in [mixed(), hostile(), clean(), partial()] {
            for quiet in [false, true] {
                let text = report.to_text(quiet);
                let wide = text.lines().filter(|line| line.width() > 80);
                // A URL that is wider has a line of its own.
                let words: Vec<_> = wide.filter(|line| line.contains(' ')).collect();
                assert!(words.is_empty(), "{words:#?} in {text}");
            }
        }
        let text = hostile().to_text(true);
        let url = format!("/{}", "x".repeat(400));
        assert!(text.lines().any(|line| line == url), "{text}");
    });
}

#[test]
fn the_graph_has_few_boxes_and_there_is_none_of_a_site_without_folders() {
    within_a_minute(|| {
        assert!(clean().to_graph_svg().is_none() && partial().to_graph_svg().is_none());
        for report in [mixed(), footer(1)] {
            let graph = report.to_graph_svg().unwrap();
            let boxes = graph.matches("class=\"box\"").count();
            assert!((3..=22).contains(&boxes), "{boxes}");
        }
        let graph = mixed().to_graph_svg().unwrap();
        for name in ["/docs/", "/api/reference/", "gone.test", "elsewhere.test"] {
            assert!(
                graph.contains(&format!("\n{name}\n")) || graph.contains(&format!(">{name}<")),
                "{name}: {graph}"
            );
        }
    });
}

#[test]
fn what_nobody_sees_in_a_link_is_an_escape_and_comes_back_from_the_json() {
    within_a_minute(|| {
        let hidden = "http://[\u{e0041}\u{202e}";
        let site = MemorySite::new().page("http://loom.test/", &format!("<a href='{hidden}'>x</a>"));
        let report = run(Crawler::builder(), site);
        let mut json = Vec::new();
        report.write_json(&mut json).unwrap();
        assert!(json.is_ascii());
        let read = Report::read_json(&json[..]).unwrap();
        assert_eq!(read.broken().collect::<Vec<_>>(), report.broken().collect::<Vec<_>>());
        assert_eq!(report.broken().next().unwrap().1, hidden);
    });
}

#[test]
fn ignored_links_and_warnings_of_redirects_have_sections_of_their_own_in_the_html() {
    within_a_minute(|| {
        let site = MemorySite::new()
            .page("http://loom.test/", "<a href=/known>x</a> <a href=/old>y</a>")
            .page("http://loom.test/new", "")
            .redirect("http://loom.test/old", 302, "/new");
        let known = Ignore::new(Pattern::glob("*/known").unwrap(), "<b>until the release</b>");
        let report = run(Crawler::builder().ignore(known).redirect_policy(Redirects::Warn), site);
        let told = html(&report);
        let section = |id: &str| {
            let (_, rest) =
                told.split_once(&format!("<section id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}"));
            rest.split_once("</section>").unwrap().0
        };
        assert!(section("ignored").contains("404 Not Found: &lt;b&gt;until the release&lt;/b&gt;"), "{told}");
        let moved = section("moved");
        assert!(moved.contains("redirect (302 Found)") && moved.contains(">/new</a>"), "{told}");
        assert!(!told.contains("<section id=\"dead\""), "{told}");
    });
}

//! What is found in HTML, however it is written.

use super::*;

fn links(html: &str) -> Links {
    let page = Url::parse("http://loom.test/warp/1").unwrap();
    Links::of(
        html,
        &page,
        UTF_8,
        &Reading {
            canonical: &Canonical::default(),
            fragments: false,
            files: false,
            root: None,
            is_xml: false,
        },
    )
}

fn urls(html: &str) -> Vec<String> {
    links(html)
        .found
        .iter()
        .filter(|found| found.kind == Kind::Page)
        .map(|found| found.url.to_string())
        .collect()
}

fn texts(html: &str) -> Vec<String> {
    links(html).found.into_iter().map(|found| found.text).collect()
}

#[test]
fn spellings_of_one_page_are_one_link() {
    let html = "<a href=2>, <a href='#x'>, <a href=2#a>, <a href=/warp/./2>, <a href=../warp/2#b>,
        <a href='HTTP://LOOM.test:80/weft/../warp/2'>, <a href=' 2 '>, <a href='/warp/1#top'>";
    assert_eq!(urls(html), ["http://loom.test/warp/2", "http://loom.test/warp/1"]);
}

#[test]
fn a_query_makes_another_page() {
    assert_eq!(urls("<a href='?day=1'><a href='?day=2'>").len(), 2);
}

#[test]
fn links_are_resolved_against_the_base_of_the_page() {
    let html = "<base href='/weft/'><a href=3><area href=../4><iframe src=//other.test/5></iframe>";
    assert_eq!(urls(html), ["http://loom.test/weft/3", "http://loom.test/4", "http://other.test/5"]);
}

#[test]
fn what_is_not_http_or_no_url_is_told_apart() {
    let links = links("<a href=mailto:a@b.test><a href='javascript:void(0)'><a href='http://[::'><a>");
    assert_eq!(links.not_http, ["mailto:a@b.test", "javascript:void(0)"]);
    assert_eq!((links.broken, links.found), (vec!["http://[::".to_owned()], vec![]));
}

#[test]
fn a_link_has_the_text_that_a_reader_sees() {
    assert_eq!(
        texts("<a href=1>the <b>warp</b>\n  beam</a> and <a href=2>more</a>"),
        ["the warp beam", "more"]
    );
    assert_eq!(texts("<a href=1><img alt='a loom'></a>"), ["a loom"]);
    assert_eq!(texts(&format!("<a href=1>{}</a>", "x".repeat(200))), [format!("{}…", "x".repeat(80))]);
    assert_eq!(texts("<a href=1>&lt;T&gt;"), ["<T>"]);
}

#[test]
fn what_only_looks_like_a_link_is_none() {
    let html = "<!-- <a href=1> --><script>'<a href=2>'</script><style>a{}<a href=3></style>
        <textarea><a href=4></textarea><title><a href=5></title><p title='<a href=6>'>";
    assert_eq!(urls(html), [""; 0]);
}

#[test]
fn broken_html_still_has_its_links() {
    let html = "<p><a href=1>x<div><a href='2'</p><A HREF = \"3\" href=4>y</a></z><a href=5 <b>";
    assert_eq!(
        urls(html),
        [
            "http://loom.test/warp/1",
            "http://loom.test/warp/2",
            "http://loom.test/warp/3",
            "http://loom.test/warp/5"
        ]
    );
}

#[test]
fn a_page_that_sends_its_reader_on_links_there() {
    assert_eq!(urls("<meta http-equiv=Refresh content='0; URL=../weft'>"), ["http://loom.test/weft"]);
    assert_eq!(urls("<meta http-equiv=refresh content='0;url=\"/a\"'>"), ["http://loom.test/a"]);
    assert_eq!(urls("<meta http-equiv=refresh content=5>"), [""; 0]);
}

#[test]
fn parts_of_a_page_are_told_from_its_links() {
    let html =
        "<img src=a.png><script src=b.js></script><link rel=stylesheet href=c.css><link rel=next href=d>";
    let found = links(html).found;
    let kinds: Vec<_> = found.iter().map(|found| found.kind).collect();
    assert_eq!(kinds, [Kind::Asset, Kind::Asset, Kind::Sheet, Kind::Page]);
    assert_eq!(found[3].text, "(next)");
}

#[test]
fn a_scheme_that_is_a_slip_is_told_from_those_that_exist() {
    let html =
        ["htp:x", "hhttps://a/", "https//", "htpps:x", "ttps:x", "mailto:a@b", "ftp://a/", "tel:1", "ws:x"];
    let html: String = html.iter().map(|href| format!("<a href='{href}'>")).collect();
    assert_eq!(links(&html).broken, ["htp:x", "hhttps://a/", "htpps:x", "ttps:x"]);
}

#[test]
fn a_query_is_encoded_as_its_page_is() {
    let page = Url::parse("http://loom.test/").unwrap();
    let links = Links::of(
        "<a href='/é?é'>",
        &page,
        encoding_rs::WINDOWS_1252,
        &Reading {
            canonical: &Canonical::default(),
            fragments: false,
            files: false,
            root: None,
            is_xml: false,
        },
    );
    assert_eq!(links.found[0].url.as_str(), "http://loom.test/%C3%A9?%E9");
}

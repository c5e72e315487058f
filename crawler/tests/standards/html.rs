//! What in a page is a link, and to where (WHATWG HTML).

use crate::row::{Row, answer, check, row};

/// A page, crawled with everything that it is shown with.
fn page(why: &'static str, html: &str) -> Row {
    row(why).on("/", format!("<!DOCTYPE html>{html}")).flags(&["--assets"])
}

#[test]
fn links_are_read_as_a_browser_reads_them() {
    check(vec![
        page("line ends and tabs within are dropped, spaces around too (URL §4.4)", "<a href=' /a\n\tb '>")
            .asks(&["/ab"]),
        page("a no-break space is part of the URL (URL §4.4 strips C0 controls and spaces)", "<a href='\u{a0}x'>")
            .asks(&["/%C2%A0x"]),
        page("an empty link is the page itself", "<a href=''><a href=' '>").lacks("not a URL"),
        page("without a base of its own; with one it is the base (§4.2.3)", "<base href=/b/><a href=''>").asks(&["/b/"]),
        page("an empty picture is asked of nobody (§4.8.4.3.5)", "<base href=/b/><img src=''><script src=''></script>")
            .never(&["/b/"]),
        page("nor is an empty frame (§4.8.5) or sheet (§4.6.7.1)", "<base href=/b/><iframe src=''></iframe><link rel=icon href=''>")
            .never(&["/b/"]),
        page("entities are read, with and without a semicolon (§13.2.5.73)", "<a href='/?a=1&amp;b&#61;2&copy=3'>")
            .asks(&["/?a=1&b=2&copy=3"]),
        page("of two attributes the first counts (§13.2.5.33)", "<A HREF=/a href=/b>").asks(&["/a"]).never(&["/b"]),
        page("of two bases the first with an href counts (§4.2.3)", "<base target=x><base href=/b/><base href=/c/><a href=x>")
            .asks(&["/b/x"]),
        page("a late base counts for all links", "<a href=x><p><base href=/b/>").asks(&["/b/x"]),
        page("a base that is no URL is none", "<base href='http://['><a href=x>").asks(&["/x"]),
        page("nor is one of data or script", "<base href='data:,x'><a href=x>").asks(&["/x"]),
        page("a base on another host leads there", "<base href='{b}/y/'><a href=x>").flags(&["--external"]).asks(&["b/y/x"]),
        page("a template is not shown (§4.12.3)", "<template><a href=/no><template></template><a href=/no></template><a href=/x>")
            .asks(&["/x"])
            .never(&["/no"]),
        page("but a shadow tree is", "<div><template shadowrootmode=open><a href=/x></a></template></div>").asks(&["/x"]),
        page("without scripts, what is for browsers without them is shown", "<noscript><a href=/x><img src=/i></noscript>")
            .asks(&["/x", "/i"]),
        page("a frame's own document is shown in it (§4.8.5)", "<iframe srcdoc=\"<a href='/x'>\" src=/no></iframe>")
            .asks(&["/x"])
            .never(&["/no"]),
        page("and has the base of the page around it", "<base href=/b/><iframe srcdoc='&lt;a href=x&gt;'></iframe>").asks(&["/b/x"]),
        page("what is in a frame element is no markup", "<iframe><a href=/no></iframe>").never(&["/no"]),
        page("a slash does not close a script, a frame or a title (§13.2.6.4.7)", "<iframe src=/f /><a href=/no>").asks(&["/f"]).never(&["/no"]),
        page("nor a script", "<script src=/s.js /><a href=/no></script>").asks(&["/s.js"]).never(&["/no"]),
        page("in XHTML it does", "")
            .on("/x", answer("200 -", "Content-Type: application/xhtml+xml\r\n", "<html><script src='/s.js'/><title/><a href='/y'>y</a></html>"))
            .on("/z", "<p>")
            .start("/x")
            .asks(&["/s.js", "/y"]),
        page("in XHTML a section of characters is text", "")
            .on("/x", answer("200 -", "Content-Type: application/xhtml+xml\r\n", "<html><![CDATA[ > <a href='/no'> ]]><a href='/y'/></html>"))
            .start("/x")
            .asks(&["/y"])
            .never(&["/no"]),
        page("a link of a drawing has an XML name (SVG 2 §16.3)", "<svg><a xlink:href=/a></a><a href=/b></a></svg>").asks(&["/a", "/b"]),
        page("outside of one it is no link", "<a xlink:href=/no>").never(&["/no"]),
        page("a drawing has pictures, symbols and scripts", "<svg><image href=/i /><use xlink:href='/u.svg#a'/><script href=/s.js></script></svg>")
            .asks(&["/i", "/u.svg", "/s.js"]),
        page("an image is a picture outside of a drawing (§13.2.6.4.7)", "<image src=/i>").asks(&["/i"]),
        page("the title of a drawing may have markup (§13.2.6.5)", "<svg><title><a href=/x></a></title></svg>").asks(&["/x"]),
        page("what is not markup is no link", "<!-- <a href=/no> --><script><a href=/no></script><style><a href=/no></style>\
            <textarea><a href=/no></textarea><title><a href=/no></title><xmp><a href=/no></xmp><noframes><a href=/no></noframes>\
            <plaintext><a href=/no>").never(&["/no"]),
        page("a comment that ends at once", "<!--><a href=/x><!---><a href=/y><!-- --!><a href=/z>").asks(&["/x", "/y", "/z"]),
        page("a script within a script", "<script><!--<script></script><a href=/no></script><a href=/x>").asks(&["/x"]).never(&["/no"]),
        page("a form is not sent (§4.10.21)", "<form action=/no><button formaction=/no2></form>").never(&["/no", "/no2"]),
        page("nor is a ping (§4.6.6)", "<a href=/x ping=/no>").asks(&["/x"]).never(&["/no"]),
        page("an area of a map is a link", "<map><area href=/x alt=x></map>").asks(&["/x"]),
        page("a source of a quotation or a change is one (§4.4.4, §4.7)", "<q cite=/a></q><blockquote cite=/b></blockquote><del cite=/c></del><ins cite=/d></ins>")
            .asks(&["/a", "/b", "/c", "/d"]),
        page("but not a sentence", "<blockquote cite='A. Weaver, 1801'></blockquote><img src=/i longdesc='a loom, in wood'>").asks(&["/i"]),
        page("frames are pages", "<frameset><frame src=/x></frameset>").asks(&["/x"]),
        page("films, sounds, plug-ins", "<video src=/v poster=/p><source src=/vs><track src=/t></video><audio src=/a></audio><embed src=/e><object data=/o></object>")
            .asks(&["/v", "/p", "/vs", "/t", "/a", "/e", "/o"]),
        page("an input is a picture if it says so", "<input type=IMAGE src=/i><input type=text src=/no>").asks(&["/i"]).never(&["/no"]),
        page("backgrounds of tables and their parts (§15.3.3, §15.3.9)", "<body background=/b><table background=/t><tr background=/r><td background=/d>")
            .asks(&["/b", "/t", "/r", "/d"]),
        page("a script's import map and rules are no links", "<script type=importmap>{\"imports\":{\"x\":\"/no\"}}</script>").never(&["/no"]),
        page("a link is asked for also if it says nofollow", "<a rel=nofollow href=/x>").asks(&["/x"]),
        page("a script of another type is data (§4.12.1)", "<script type=text/template src=/no></script><script type='' src=/a></script><script type=MODULE src=/b></script><script type=text/ecmascript src=/c></script>")
            .asks(&["/a", "/b", "/c"])
            .never(&["/no"]),
        page("a style of another type is none (§4.2.6)", "<style type=text/less>@import '/no';</style><style type=text/css>@import '/a';</style>").asks(&["/a"]).never(&["/no"]),
        page("nor is a sheet of another type loaded (§4.6.7.21)", "<link rel=stylesheet type=text/less href=/no><link rel=stylesheet type=TEXT/CSS href=/a>").asks(&["/a"]).never(&["/no"]),
        page("what a script would load later is not asked for", "<img data-src=/no><div data-href=/no></div>").never(&["/no"]),
        page("an end tag has no attributes (§13.2.2)", "<p></a href=/no></p href=/no>").never(&["/no"]),
        page("a tag that breaks off is none (§13.2.5)", "<a href=/x></a><a href=/no").asks(&["/x"]).never(&["/no"]),
        page("an empty frame of a page is no dead link", "<iframe src=about:blank></iframe>").lacks("not a URL"),
        page("an unclosed style is applied", "<style>@import '/a';").asks(&["/a"]),
        page("an unclosed template takes the rest", "<a href=/x></a><template><a href=/no>").asks(&["/x"]).never(&["/no"]),
        page("an end tag without a beginning ends nothing", "</template></svg><a href=/x>").asks(&["/x"]),
        page("a drawing in a template is none", "<template><svg></template><a xlink:href=/no><title><a href=/no></title>").never(&["/no"]),
        page("frames in frames", "<iframe srcdoc='<iframe srcdoc=\"<a href=/x>\">'></iframe>").asks(&["/x"]),
        page("a frame's document may have a base", "<base href=/b/><iframe srcdoc='<base href=c/><a href=x>'></iframe>").asks(&["/b/c/x"]),
        page("a manifest of a page is of the past", "<html manifest=/no>").never(&["/no"]),
        page("a codebase is, too", "<object codebase=/no/ classid=/no archive=/no data=/o></object><applet archive=/no code=/no></applet>").asks(&["/o"]).never(&["/no"]),
        page("a link to download is one", "<a download href=/x>").asks(&["/x"]),
    ]);
}

#[test]
fn candidates_of_pictures_are_split_as_the_standard_does() {
    check(vec![
        page(
            "densities and widths (§4.8.4.2.1)",
            "<img src=/a srcset='/a 1x, /b@2x.png 2x'><source srcset='/c.png 300w'>",
        )
        .asks(&["/a", "/b@2x.png", "/c.png"]),
        page("a comma within a URL stays", "<img srcset='/a,b 1x,/c,d 2x'>").asks(&["/a,b", "/c,d"]),
        page("a comma at its end does not", "<img srcset='/a, /b,'>").asks(&["/a", "/b"]),
        page("a comma in parentheses ends nothing", "<img srcset='/a f(1,2) 3x, /b'>")
            .asks(&["/a", "/b"])
            .never(&["/2)"]),
        page("data among them", "<img srcset='data:image/png;base64,AAAA 1x, /b 2x'>").asks(&["/b"]),
        page("a preload has them too (§4.2.4.3)", "<link rel=preload as=image imagesrcset='/a 1x, /b 2x'>")
            .asks(&["/a", "/b"]),
    ]);
}

#[test]
fn relations_say_what_is_at_the_other_end() {
    let link = |why, rel: &str| page(why, &format!("<link rel=\"{rel}\" href=/x>"));
    let mut rows: Vec<Row> =
        ["canonical", "next", "prev", "alternate", "license", "search", "author", "help", "me"]
            .map(|rel| link("a page, whether or not parts are looked at", rel).asks(&["/x"]))
            .into();
    rows.extend(
        [
            "stylesheet",
            "icon",
            "SHORTCUT ICON",
            "apple-touch-icon",
            "manifest",
            "preload",
            "modulepreload",
            "prefetch",
            "alternate\tstylesheet",
        ]
        .map(|rel| link("a part of the page", rel).asks(&["/x"])),
    );
    rows.extend(
        ["preconnect", "dns-prefetch", "pingback", "nonsense", ""]
            .map(|rel| link("no more than a hint, or nothing", rel).never(&["/x"])),
    );
    rows.extend([
        row("languages and feeds are pages (§4.6.7.2)")
            .on("/", "<link rel=alternate hreflang=de href=/de><link rel=alternate type=application/rss+xml href=/feed>")
            .asks(&["/de", "/feed"]),
        row("parts of a page are not looked at unasked")
            .on("/", "<link rel=icon href=/x><img src=/y><video poster=/z>")
            .never(&["/x", "/y", "/z"]),
        page("what is shown where the page is named (Open Graph)", "<meta property=og:image content='{a}/i'><meta name=twitter:image content='{a}/t'><meta name=description content=/no>")
            .asks(&["/i", "/t"])
            .never(&["/no"]),
    ]);
    check(rows);
}

#[test]
fn a_page_that_sends_its_reader_on_is_read_as_the_standard_does() {
    let refresh =
        |why, content: &str| row(why).on("/", format!("<meta http-equiv=Refresh content=\"{content}\">"));
    let mut rows: Vec<Row> = [
        "0;url=/x",
        "0; URL=/x",
        "5,url=/x",
        "0 url=/x",
        "0;/x",
        "0;url='/x'",
        "0;url='/x' and more",
        "0;url = /x",
        "  0  ;  url=/x",
        "0.5;url=/x",
        ".5;url=/x",
        "0;url='/x",
    ]
    .into_iter()
    .map(|content| refresh("a refresh (§4.2.5.3)", content).asks(&["/x"]))
    .collect();
    rows.extend(
        ["url=/x", "soon;url=/x", "0", "0;", "-1;url=/x"]
            .map(|content| refresh("none", content).never(&["/x"])),
    );
    rows.extend([
        refresh("without an equals sign it is all a URL", "0;url/x").asks(&["/url/x"]),
        row("it is relative to the base")
            .on("/", "<base href=/b/><meta http-equiv=refresh content='0;url=x'>")
            .asks(&["/b/x"]),
    ]);
    check(rows);
}

#[test]
fn a_page_in_any_encoding_is_read() {
    let utf16: Vec<u8> = "\u{feff}<a href=/x>".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let of = |why, content_type: &str, body: &[u8]| {
        row(why).on("/", answer("200 OK", &format!("Content-Type: {content_type}\r\n"), body))
    };
    check(vec![
        of("a mark beats the header and the page (§13.2.3.2)", "text/html; charset=utf-8", &utf16)
            .asks(&["/x"]),
        of(
            "the header beats the page",
            "text/html; charset=iso-8859-1",
            b"<meta charset=utf-8><a href='/\xe9'>",
        )
        .asks(&["/%C3%A9"]),
        of("the page, if the header is silent", "text/html", b"<meta charset=koi8-r><a href='/\xc1'>")
            .asks(&["/%D0%B0"]),
        of(
            "by a pragma",
            "text/html",
            b"<meta content='text/html; charset=koi8-r' http-equiv=content-type><a href='/\xc1'>",
        )
        .asks(&["/%D0%B0"]),
        of(
            "but not by a description",
            "text/html",
            b"<meta name=description content='charset=koi8-r'><a href='/\xe9'>",
        )
        .asks(&["/%C3%A9"]),
        of("nor in a comment", "text/html", b"<!-- <meta charset=koi8-r> --><a href='/\xe9'>")
            .asks(&["/%C3%A9"]),
        of(
            "a page that says UTF-16 in ASCII is UTF-8",
            "text/html",
            "<meta charset=utf-16><a href=/é>".as_bytes(),
        )
        .asks(&["/%C3%A9"]),
        of(
            "by its XML declaration",
            "application/xhtml+xml",
            b"<?xml version='1.0' encoding='koi8-r'?><html><a href='/\xc1'/></html>",
        )
        .asks(&["/%D0%B0"]),
        of(
            "a query is encoded as the page is (URL §4.4)",
            "text/html; charset=windows-1251",
            b"<a href='/?q=\xe0'>",
        )
        .asks(&["/?q=%E0"]),
        of(
            "what the encoding lacks is a number (Encoding §4, percent-encode after encoding)",
            "text/html; charset=iso-8859-1",
            b"<a href='/?q=&#x3b1;'>",
        )
        .asks(&["/?q=%26%23945%3B"]),
        of(
            "a late word of the page counts, too (§13.2.6.4.4)",
            "text/html",
            &[&b"<script>"[..], &[b' '; 3_000], b"</script><meta charset=koi8-r><a href='/\xc1'>"].concat(),
        )
        .asks(&["/%D0%B0"]),
        of(
            "UTF-16 by the header",
            "text/html; charset=utf-16le",
            &"<a href=/x>".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        )
        .asks(&["/x"]),
        of(
            "labels with quotes and spaces (Encoding §4.2)",
            "text/html; Charset=' Latin1 '",
            b"<a href='/\xe9'>",
        )
        .asks(&["/%C3%A9"]),
        of("an encoding that shifts", "text/html; charset=iso-2022-jp", b"<a href='/\x1b$B$\x22\x1b(B'>")
            .asks(&["/%E3%81%82"]),
        of("a name that nobody knows counts as none", "text/html; charset=loom", "<a href=/é>".as_bytes())
            .asks(&["/%C3%A9"]),
    ]);
}

//! What a style sheet names (CSS Syntax, Cascade and Values).

use crate::row::{Row, answer, check, row};

fn sheet(why: &'static str, css: &str) -> Row {
    row(why)
        .on("/", "<link rel=stylesheet href=/s/s.css>")
        .on("/s/s.css", format!("text/css: {css}"))
        .flags(&["--assets"])
}

#[test]
fn a_sheet_names_what_a_browser_would_load() {
    check(vec![
        sheet("imports with all that may follow (Cascade 5 §2)", "@import '/a.css' layer(x) supports(display: grid) screen;@import url(/b.css) print;@import url(\"/c.css\");\n@IMPORT\t'/d.css';")
            .asks(&["/a.css", "/b.css", "/c.css", "/d.css"]),
        sheet("an import is read in its turn, relative to itself", "@import 'b/c.css';")
            .on("/s/b/c.css", "text/css: a{background:url(x.png)}")
            .asks(&["/s/b/x.png"]),
        sheet("an import without a space, and with comments (Syntax 3 §4)", "/**/@import\"/a.css\";@import/**/'/b.css'/**/;").asks(&["/a.css", "/b.css"]),
        sheet("a line end that is escaped in a string is left out (Syntax 3 §4.3.5)", "@import '/a\\\nb.css';").asks(&["/ab.css"]),
        sheet("an encoding in the middle is none", "a{}@charset 'x';b{background:url(/x)}").asks(&["/x"]),
        sheet("an import after a namespace is void", "@namespace 'x';@import '/no.css';").never(&["/no.css"]),
        sheet("an import that begins with something else is void", "@import x '/no.css';@import url(/a.css);").asks(&["/a.css"]).never(&["/no.css"]),
        sheet("rules in rules (Nesting 1)", "a{b{background:url(/x)}&:hover{background:url(/y)}}").asks(&["/x", "/y"]),
        sheet("a semicolon in a URL is part of it", "a{background:url(/a;b)}").asks(&["/a;b"]),
        sheet("a brace in a string closes nothing", "a{content:'}';background:url(/x)}").asks(&["/x"]),
        sheet("what comes after a brace too many", "}a{background:url(/x)}").asks(&["/x"]),
        sheet("an import after a rule is void (Cascade 5 §2)", "a{}@import '/no.css';").never(&["/no.css"]),
        sheet("nor is there one in a block", "@media print{@import '/no.css';}").never(&["/no.css"]),
        sheet("but layers and the encoding may come before it", "@charset \"utf-8\";@layer a, b;@import '/a.css';").asks(&["/a.css"]),
        sheet("URLs with quotes, spaces, escapes and in capitals (Syntax 3 §4.3.6)", "a{background:url( '/a b' ),URL(/c\\29 d),u\\72l(/e)}")
            .asks(&["/a%20b", "/c)d", "/e"]),
        sheet("a URL that breaks off at the end is one", "a{background:url(/a").asks(&["/a"]),
        sheet("so is a string", "@import '/a").asks(&["/a"]),
        sheet("a string that breaks off at a line end is none (Syntax 3 §4.3.5)", "a{background:url('/no\n');color:red}").never(&["/no"]),
        sheet("a URL with a quote, a space or a parenthesis in it is none, to its end (§4.3.14)", "a{background:url(/no b url(/no2))}b{background:url(/x)}")
            .asks(&["/x"])
            .never(&["/no", "/no%20b", "/no2"]),
        sheet("a comment in a URL is part of it", "a{background:url(/*x*/y)}").asks(&["/*x*/y"]),
        sheet("elsewhere it is none", "/* url(/no) */a{/**/background/**/:/**/url(/x)/**/}").asks(&["/x"]).never(&["/no"]),
        sheet("a name that ends in url is another function", "a{background:curl(/no);x:-url(/no)}").never(&["/no"]),
        sheet("text is text", "a{content:'url(/no)';quotes:\"/no\"}").never(&["/no"]),
        sheet("sets of images have strings (Images 4 §2.2)", "a{background:image-set('/a' 1x,url(/b) 2x);b:-webkit-image-set(\"/c\" 1x)}")
            .asks(&["/a", "/b", "/c"]),
        sheet("whose types are none", "a{background:image-set('/a' type('image/avif') 1x)}").asks(&["/a"]).never(&["/s/image/avif"]),
        sheet("fonts", "@font-face{src:local('no'),url(/f.woff2) format('woff2') tech(variations)}").asks(&["/f.woff2"]).never(&["/s/no", "/s/woff2"]),
        sheet("a namespace is a name (Namespaces 3 §3)", "@namespace svg url(/no);@namespace '/no2';a{}").never(&["/no", "/no2"]),
        sheet("a condition loads nothing (Conditional 3 §6)", "@supports (background:url(/no)){a{background:url(/x)}}").asks(&["/x"]).never(&["/no"]),
        sheet("the condition of an import loads nothing", "@import '/a.css' supports(background:url(/no));").asks(&["/a.css"]).never(&["/no"]),
        sheet("a value of one's own may be used", "a{--x:url(/x)}").asks(&["/x"]),
        sheet("an empty URL is none (Values 4 §4.5)", "a{background:url(),url('')}").never(&["/s/"]),
        sheet("a part of the page itself is none", "a{filter:url(#x)}").never(&["/s/"]),
        sheet("data are there", "a{background:url(data:image/png;base64,AAAA)}").lacks("not a URL"),
        sheet("masks, cursors, lists, shapes", "a{mask:url(/m.svg#a);cursor:url(/c.cur),auto;list-style:url(/l);shape-outside:url(/o)}")
            .asks(&["/m.svg", "/c.cur", "/l", "/o"]),
        sheet("marks of HTML around a sheet are skipped (Syntax 3 §4.3.1)", "<!--\n@import '/a.css';\n-->").asks(&["/a.css"]),
        row("a sheet says its encoding (Syntax 3 §3.2)")
            .on("/", "<link rel=stylesheet href=/s.css>")
            .on("/s.css", answer("200 -", "Content-Type: text/css\r\n", b"@charset \"koi8-r\";a{background:url(/\xc1)}"))
            .flags(&["--assets"])
            .asks(&["/%D0%B0"]),
        row("a style element, and an attribute")
            .on("/", "<style>@import '/i.css';a{background:url(/css)}</style><p style=\"background:url('/st')\">")
            .flags(&["--assets"])
            .asks(&["/i.css", "/css", "/st"]),
        row("an attribute has no rules, only declarations (Style Attributes §3)")
            .on("/", "<p style=\"@import '/no'; color: red\">")
            .flags(&["--assets"])
            .never(&["/no"]),
        row("attributes of a drawing (SVG 2 §6.6)")
            .on("/", "<svg><rect fill=url(/p.svg#a) filter='url(#b)' mask=\"url('/m.svg#c')\"></svg>")
            .flags(&["--assets"])
            .asks(&["/p.svg", "/m.svg"]),
        row("a sheet that is none is not read")
            .on("/", "<link rel=stylesheet href=/s.css>")
            .on("/s.css", "text/plain: a{background:url(/no)}")
            .flags(&["--assets"])
            .never(&["/no"]),
    ]);
}

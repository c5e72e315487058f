//! The URLs in a style sheet that a browser would load: `url(..)`, and the strings of `@import` and
//! `image-set(..)`.
//!
//! This is as much of CSS Syntax 3 as that takes: comments, strings, escapes, URLs without quotes, blocks and
//! the preludes of at-rules. A URL in a prelude is a namespace or a condition, and loads nothing.

use std::borrow::Cow;

/// A URL in a sheet.
#[derive(Debug, PartialEq)]
pub(super) struct Named {
    pub(super) url: String,
    /// Whether it is imported, and so a sheet itself.
    pub(super) is_sheet: bool,
}

/// The URLs in a sheet, in its order.
pub(super) fn urls(css: &str) -> Vec<Named> {
    read(css, Place { has_rules: true, can_import: true, ..Place::default() })
}

/// The URLs in a list of declarations, such as an attribute `style`, which has no rules.
pub(super) fn urls_of_declarations(css: &str) -> Vec<Named> {
    read(css, Place::default())
}

fn read(css: &str, mut place: Place) -> Vec<Named> {
    let css = without_carriage_returns(css);
    let mut scanner = Scanner { rest: &css };
    while let Some(c) = scanner.rest.chars().next() {
        match c {
            '/' if scanner.rest.starts_with("/*") => {
                scanner.rest = scanner.rest[2..].split_once("*/").map_or("", |(_, rest)| rest);
            }
            '"' | '\'' => {
                let text = scanner.string(c);
                place.string(text);
            }
            '@' => {
                scanner.advance(1);
                let name = scanner.name();
                place.at_rule(&name);
            }
            _ if is_name(c) => {
                let name = scanner.name();
                match scanner.rest.starts_with('(') {
                    true if name.eq_ignore_ascii_case("url") => {
                        scanner.advance(1);
                        let url = scanner.url();
                        place.url(url);
                    }
                    true => {
                        scanner.advance(1);
                        place.function(&name);
                    }
                    false => place.other(),
                }
            }
            c => {
                scanner.advance(c.len_utf8());
                place.punctuation(c);
            }
        }
    }
    place.named
}

/// The three line ends of CSS as one (Syntax 3, section 3.3).
fn without_carriage_returns(css: &str) -> Cow<'_, str> {
    match css.contains(['\r', '\u{c}']) {
        true => css.replace("\r\n", "\n").replace(['\r', '\u{c}'], "\n").into(),
        false => css.into(),
    }
}

/// Where in a sheet the scanner stands, and what it has found.
#[derive(Default)]
struct Place {
    named: Vec<Named>,
    has_rules: bool,
    /// No rule has been seen that ends the imports.
    can_import: bool,
    rule: Rule,
    /// How many blocks are open.
    depth: usize,
    /// The open parentheses; true for those of an image set.
    functions: Vec<bool>,
}

/// What precedes the next block or semicolon.
#[derive(Clone, Copy, Default, PartialEq)]
enum Rule {
    /// Declarations or selectors.
    #[default]
    Plain,
    /// An import whose URL has not been read.
    Import,
    /// The rest of an import, or the prelude of another at-rule.
    Prelude,
}

impl Place {
    fn at_rule(&mut self, name: &str) {
        self.rule = Rule::Prelude;
        match name.to_ascii_lowercase().as_str() {
            "import" if self.can_import => self.rule = Rule::Import,
            "import" | "charset" | "layer" => {}
            _ => self.can_import = false,
        }
    }

    /// A string, or `None` for one that a line end cut short.
    fn string(&mut self, text: Option<String>) {
        match (self.rule, text) {
            (Rule::Import, Some(url)) => self.import(url),
            (Rule::Import, None) => self.rule = Rule::Prelude,
            (Rule::Plain, Some(url)) if self.functions.last() == Some(&true) => self.asset(url),
            _ => {}
        }
    }

    /// What stands in `url(..)`. If it is in quotes, its closing parenthesis is still to come.
    fn url(&mut self, url: Url) {
        if matches!(url, Url::Quoted(_)) {
            self.functions.push(false);
        }
        match (self.rule, url) {
            (Rule::Import, Url::Bare(Some(url)) | Url::Quoted(Some(url))) => self.import(url),
            (Rule::Import, _) => self.rule = Rule::Prelude,
            (Rule::Plain, Url::Bare(Some(url)) | Url::Quoted(Some(url))) => self.asset(url),
            _ => {}
        }
    }

    fn import(&mut self, url: String) {
        self.rule = Rule::Prelude;
        self.named.push(Named { url, is_sheet: true });
    }

    fn asset(&mut self, url: String) {
        // Between rules there is nothing to load.
        if self.depth > 0 || !self.has_rules {
            self.named.push(Named { url, is_sheet: false });
        }
    }

    fn function(&mut self, name: &str) {
        self.other();
        let is_set = ["image-set", "-webkit-image-set"].iter().any(|set| name.eq_ignore_ascii_case(set));
        self.functions.push(is_set);
    }

    /// Anything but white space: an import whose URL it precedes is void.
    fn other(&mut self) {
        if self.rule == Rule::Import {
            self.rule = Rule::Prelude;
        }
    }

    fn punctuation(&mut self, c: char) {
        match c {
            ' ' | '\t' | '\n' => return,
            '(' => self.functions.push(false),
            ')' => drop(self.functions.pop()),
            '{' => {
                self.depth += 1;
                self.can_import = false;
                self.functions.clear();
            }
            '}' => {
                self.depth = self.depth.saturating_sub(1);
                self.functions.clear();
            }
            _ => {}
        }
        match c {
            '{' | '}' | ';' => self.rule = Rule::Plain,
            _ => self.other(),
        }
    }
}

struct Scanner<'a> {
    rest: &'a str,
}

/// What stands in `url(..)`; `None` if it is no URL.
enum Url {
    Bare(Option<String>),
    Quoted(Option<String>),
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '\\') || !c.is_ascii()
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n')
}

impl Scanner<'_> {
    fn advance(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.advance(c.len_utf8());
        Some(c)
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.rest.chars().next().filter(|&c| is_name(c)) {
            self.advance(c.len_utf8());
            match c {
                '\\' => name.extend(self.escape()),
                _ => name.push(c),
            }
        }
        name
    }

    /// What the backslash that was just read stands for.
    fn escape(&mut self) -> Option<char> {
        let digits = self.rest.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
        if digits == 0 {
            // A line end that is escaped, in a string, is left out.
            return self.next().filter(|&c| c != '\n');
        }
        let code = u32::from_str_radix(&self.rest[..digits], 16).unwrap_or(0);
        self.advance(digits);
        // One space ends the number.
        if self.rest.starts_with(is_space) {
            self.advance(1);
        }
        Some(char::from_u32(code).filter(|&c| c != '\0').unwrap_or('\u{fffd}'))
    }

    /// The string that begins with this quote. It may end with the sheet, but not with a line.
    fn string(&mut self, quote: char) -> Option<String> {
        self.advance(1);
        let mut text = String::new();
        while let Some(c) = self.rest.chars().next() {
            match c {
                // What follows is read as if the string had ended.
                '\n' => return None,
                _ => self.advance(c.len_utf8()),
            }
            match c {
                '\\' => text.extend(self.escape()),
                c if c == quote => break,
                c => text.push(c),
            }
        }
        Some(text).filter(|text| !text.trim_ascii().is_empty())
    }

    /// What stands after `url(`, up to the parenthesis that closes it, or to the end of the string.
    fn url(&mut self) -> Url {
        self.skip_space();
        if let Some(quote @ ('"' | '\'')) = self.rest.chars().next() {
            return Url::Quoted(self.string(quote));
        }
        let mut url = String::new();
        while let Some(c) = self.next() {
            match c {
                ')' => break,
                '\\' if !self.rest.starts_with('\n') => url.extend(self.escape()),
                ' ' | '\t' | '\n' => {
                    self.skip_space();
                    match self.rest.chars().next() {
                        Some(')') => self.advance(1),
                        Some(_) => return self.bad_url(),
                        None => {}
                    }
                    break;
                }
                '"' | '\'' | '(' | '\\' => return self.bad_url(),
                c if c.is_ascii_control() => return self.bad_url(),
                c => url.push(c),
            }
        }
        Url::Bare(Some(url).filter(|url| !url.is_empty()))
    }

    /// Skips to the end of what is no URL.
    fn bad_url(&mut self) -> Url {
        while let Some(c) = self.next() {
            match c {
                ')' => break,
                '\\' => drop(self.next()),
                _ => {}
            }
        }
        Url::Bare(None)
    }
}

#[cfg(test)]
mod tests {
    use super::{urls, urls_of_declarations};

    #[test]
    fn urls_are_found_where_a_browser_would_load_them() {
        let css = "@charset \"utf-8\"; @import 'a.css' screen; @IMPORT url(b.css);\n\
            @namespace svg url(http://www.w3.org/2000/svg); /* url(no) */\n\
            a { background: url( 'c d.png' ) , URL(e\\29 .png); content: \"url(no)\" }\n\
            @font-face { src: url(f.woff) format('woff'), local('g') } b { x: curl(no); y: url(bad url) }\n\
            c { background: url(h.png";
        let found = urls(css);
        let names: Vec<_> = found.iter().map(|named| named.url.as_str()).collect();
        assert_eq!(names, ["a.css", "b.css", "c d.png", "e).png", "f.woff", "h.png"]);
        assert_eq!(found.iter().filter(|named| named.is_sheet).count(), 2);
    }

    #[test]
    fn declarations_have_no_rules() {
        let found = urls_of_declarations("@import 'no'; background: url(a), image-set('b' 1x, \"c\" 2x)");
        let names: Vec<_> = found.iter().map(|named| named.url.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn a_sheet_that_breaks_off_ends() {
        for css in
            ["/*", "'", "url(", "url('", "@import", "\\", "@import '\\", "url(\\", "a{b:url(c d", "@", "("]
        {
            let _ = (urls(css), urls_of_declarations(css));
        }
    }
}

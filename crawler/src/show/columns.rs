//! Lines that fit a terminal.

use unicode_width::UnicodeWidthStr;

use super::visible::visible;

/// Columns of a terminal that nobody has made wider.
pub(super) const WIDTH: usize = 80;

/// Appends a line; one that is too wide goes on below, `hang` columns in. A word that is wider than a line
/// has one of its own, so that a URL can be copied: only there does a line exceed [`WIDTH`].
pub(super) fn line(out: &mut String, text: &str, hang: usize) {
    let text = visible(text.trim_end());
    if text.width() <= WIDTH {
        out.push_str(&text);
        out.push('\n');
        return;
    }
    let begin = text.len() - text.trim_start().len();
    let mut written = begin;
    let mut now = " ".repeat(begin);
    for word in text.split_whitespace() {
        let is_first = now.trim_start().is_empty();
        if !is_first && written + 1 + word.width() <= WIDTH {
            now.push(' ');
            now.push_str(word);
            written += 1 + word.width();
            continue;
        }
        if !is_first {
            finish(out, &now);
            (now, written) = (" ".repeat(hang), hang);
        }
        if written + word.width() > WIDTH {
            // As far to the left as it takes, and without the comma of a list.
            let word = word.strip_suffix(',').unwrap_or(word);
            let indent = written.min(WIDTH.saturating_sub(word.width()));
            finish(out, &(" ".repeat(indent) + word));
            (now, written) = (" ".repeat(hang), hang);
        } else {
            now.push_str(word);
            written += word.width();
        }
    }
    finish(out, &now);
}

fn finish(out: &mut String, line: &str) {
    let line = line.trim_end();
    if !line.is_empty() {
        out.push_str(line);
        out.push('\n');
    }
}

/// Cuts a text that is wider than `width` characters.
pub(super) fn clipped(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(text: &str, hang: usize) -> String {
        let mut out = String::new();
        line(&mut out, text, hang);
        out
    }

    #[test]
    fn a_line_that_fits_is_left_as_it_is() {
        assert_eq!(laid_out("  a   b  ", 4), "  a   b\n");
        assert_eq!(laid_out("", 4), "\n");
    }

    #[test]
    fn a_wide_line_goes_on_below() {
        let text = format!("  on {}", ["/a/page,"; 20].join(" "));
        let out = laid_out(&text, 5);
        assert!(out.lines().count() == 3 && out.lines().all(|line| line.width() <= WIDTH), "{out}");
        assert!(out.lines().nth(1).unwrap().starts_with("     /a/page,"), "{out}");
    }

    #[test]
    fn a_long_url_has_a_line_of_its_own() {
        let url = format!("http://loom.test/{}", "x".repeat(100));
        assert_eq!(laid_out(&format!("  on /a, {url}, /b"), 5), format!("  on /a,\n{url}\n     /b\n"));
        let just = format!("/{}", "x".repeat(77));
        assert_eq!(laid_out(&format!("      on {just}"), 9), format!("      on\n  {just}\n"));
    }

    #[test]
    fn wide_characters_count_twice() {
        let out = laid_out(&["機織り機"; 20].join(" "), 2);
        assert!(out.lines().count() > 2 && out.lines().all(|line| line.width() <= WIDTH), "{out}");
    }
}

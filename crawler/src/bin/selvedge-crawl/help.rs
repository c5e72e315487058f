//! The help, the manual page and the shells' completions, made from the table of options.

use std::fmt::Write;

use crate::options::{GROUPS, Opt, Takes, all};

/// The width of a terminal by default.
const WIDTH: usize = 80;
/// The column where texts begin.
const COLUMN: usize = 27;
/// The same in the short help.
const BRIEF_COLUMN: usize = 25;

const USAGE: &str = "selvedge-crawl [OPTIONS] [URL | FILE | FOLDER | -]...";

/// What each exit status means.
const STATUSES: &[(&str, &str)] = &[
    ("0", "no dead links; on its own site, exactly what was planted"),
    ("1", "dead links; with --baseline, new ones"),
    ("2", "bad use, or a file that cannot be read or written"),
    ("3", "its own site was not found as it was planted"),
    ("4", "the time ran out"),
    (
        "5",
        "a start was not looked at (robots.txt, no page, out of scope), or more URLs were found than are remembered",
    ),
    ("6", "with --strict: no dead links, but uncertain ones, or warnings of redirects"),
    ("130", "interrupted"),
];

/// Sections of the help and the manual beside the options.
const NOTES: &[(&str, &str)] = &[
    (
        "Starts",
        "What is there on disk is a file or a folder, and everything else a URL. `-` reads them from standard input, a line \
         each. A host without a scheme is https, or http on this machine and with a port. Of a folder all pages are read, \
         HTML and Markdown, but for hidden files and those that git ignores. Without a start the program crawls a small \
         site of its own, in which every kind of trouble is planted, draws the run in crawl.svg, and checks that it found \
         exactly what was planted.",
    ),
    (
        "Patterns",
        "A PATTERN is a glob over the whole URL, or over the path if it begins with a slash, or re: and a regular expression.",
    ),
    (
        "Values",
        "A VALUE, of a header too, may be env:NAME or file:PATH, to keep it out of sight. What is given several times counts \
         each time. A flag may be followed by =false.",
    ),
    (
        "Interrupts",
        "robots.txt is obeyed. Ctrl-C stops the crawl and still reports what was found; a second one ends the program.",
    ),
];

/// The help with the most common options, which fits 80 by 24 characters.
pub(crate) fn short() -> String {
    let mut out = format!("Checks the links of a web site, or of pages in a folder.\n\nUsage: {USAGE}\n\n");
    for (option, brief) in all().filter_map(|option| Some((option, option.brief?))) {
        row(&mut out, option, BRIEF_COLUMN, brief);
    }
    out += "\nExit status: 0 no dead links, 1 dead links, 2 bad use, 4 out of time,\n";
    out += "5 a start was not looked at, 130 interrupted.\n";
    out
}

/// The help with all options.
pub(crate) fn long() -> String {
    let mut out = format!("Checks the links of a web site, or of pages in a folder.\n\nUsage: {USAGE}\n");
    for group in GROUPS {
        // Writing to a `String` does not fail.
        let _ = writeln!(out, "\n{}:", group.heading);
        group.options.iter().for_each(|option| row(&mut out, option, COLUMN, &sentence(option)));
    }
    for (heading, text) in NOTES {
        let _ = writeln!(out, "\n{heading}:");
        wrapped(&mut out, "  ", 2, text);
    }
    out += "\nExit status:\n";
    for (status, text) in STATUSES {
        wrapped(&mut out, &format!("  {status:>3}  "), 7, text);
    }
    out
}

/// Writes an option and its description.
fn row(out: &mut String, option: &Opt, column: usize, text: &str) {
    let short = option.short.map_or("    ".to_owned(), |short| format!("-{short}, "));
    let value = option.placeholder().map_or(String::new(), |name| format!(" {name}"));
    let mut head = format!("  {short}--{}{value}", option.long);
    if head.len() + 1 < column {
        head = format!("{head:column$}");
    } else {
        let _ = writeln!(out, "{head}");
        head = " ".repeat(column);
    }
    wrapped(out, &head, column, text);
}

/// The description of an option, with its default.
fn sentence(option: &Opt) -> String {
    let repeatable = if option.is_repeatable { "; repeatable" } else { "" };
    let default = if option.default.is_empty() { String::new() } else { format!(" [{}]", option.default) };
    format!("{}{repeatable}{default}", option.text)
}

/// Writes a text, wrapped; lines after the first are indented.
fn wrapped(out: &mut String, head: &str, indent: usize, text: &str) {
    let (mut line, mut is_empty) = (head.to_owned(), true);
    for word in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH - 1 {
            let _ = writeln!(out, "{line}");
            line = " ".repeat(indent);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line += word;
        is_empty = false;
    }
    let _ = writeln!(out, "{line}");
}

/// The manual page, in roff.
pub(crate) fn manual() -> String {
    let mut out = format!(
        ".TH SELVEDGE\\-CRAWL 1 \"\" \"selvedge\\-crawl {}\" \"User Commands\"\n.SH NAME\nselvedge\\-crawl \\- find dead links\n\
         .SH SYNOPSIS\n.B {}\n.SH DESCRIPTION\nChecks the links of a web site, or of pages in a folder, and reports those \
         that are dead.\n.SH OPTIONS\n",
        env!("CARGO_PKG_VERSION"),
        roff(USAGE)
    );
    for group in GROUPS {
        let _ = writeln!(out, ".SS {}", roff(group.heading));
        for option in group.options {
            let short = option.short.map_or(String::new(), |short| format!("-{short}, "));
            let value = option.placeholder().map_or(String::new(), |name| format!(" \\fI{}\\fR", roff(name)));
            let name = roff(&format!("{short}--{}", option.long));
            let _ = writeln!(out, ".TP\n\\fB{name}\\fR{value}\n{}.", roff(&sentence(option)));
        }
    }
    for (heading, text) in NOTES {
        let _ = writeln!(out, ".SH {}\n{}", heading.to_uppercase(), roff(text));
    }
    out += ".SH EXIT STATUS\n";
    for (status, text) in STATUSES {
        let _ = writeln!(out, ".TP\n.B {status}\n{}.", roff(text));
    }
    out
}

/// A text with all characters escaped that mean something in roff.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// Completions for a shell of [`crate::options`].
pub(crate) fn completions(shell: &str) -> String {
    match shell {
        "bash" => bash(),
        "zsh" => zsh(),
        _ => fish(),
    }
}

fn bash() -> String {
    let names: Vec<String> = all().flat_map(spellings).collect();
    let mut cases = String::new();
    for option in all() {
        let what = match option.takes {
            Takes::Nothing => continue,
            Takes::OneOf(_, words) => format!("COMPREPLY=($(compgen -W '{}' -- \"$word\"))", words.join(" ")),
            Takes::OneOfInFile(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("{word}=")).collect();
                format!("COMPREPLY=($(compgen -W '{}' -- \"$word\")); compopt -o nospace", words.join(" "))
            }
            Takes::File(_) => "COMPREPLY=($(compgen -f -- \"$word\"))".to_owned(),
            Takes::Folder(_) => "COMPREPLY=($(compgen -d -- \"$word\"))".to_owned(),
            Takes::Text(_) => "COMPREPLY=()".to_owned(),
        };
        let _ = writeln!(cases, "        {}) {what}; return ;;", spellings(option).join("|"));
    }
    format!(
        "_selvedge_crawl() {{\n    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}\n    \
         case $before in\n{cases}    esac\n    case $word in\n        -*) COMPREPLY=($(compgen -W '{}' -- \"$word\")) ;;\n        \
         *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n    esac\n}}\n\
         complete -o filenames -F _selvedge_crawl selvedge-crawl\n",
        names.join(" ")
    )
}

/// The spellings of an option: its letter and its name.
fn spellings(option: &Opt) -> Vec<String> {
    option.short.map(|short| format!("-{short}")).into_iter().chain([format!("--{}", option.long)]).collect()
}

fn zsh() -> String {
    let mut out = "#compdef selvedge-crawl\n_arguments -s \\\n".to_owned();
    for option in all() {
        // In a description these mean something, and the whole stands between single quotes.
        let text = option.text.replace('[', "(").replace(']', ")").replace(':', ";").replace('\'', "'\\''");
        let value = match option.takes {
            Takes::Nothing => String::new(),
            Takes::Text(_) => ":value: ".to_owned(),
            Takes::File(_) => ":file:_files".to_owned(),
            Takes::Folder(_) => ":folder:_files -/".to_owned(),
            Takes::OneOf(_, words) => format!(":value:({})", words.join(" ")),
            Takes::OneOfInFile(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("{word}=")).collect();
                format!(":value:({})", words.join(" "))
            }
        };
        let star = if option.is_repeatable { "*" } else { "" };
        for name in spellings(option) {
            let _ = writeln!(out, "    '{star}{name}[{text}]{value}' \\");
        }
    }
    out + "    '*:start:_files'\n"
}

fn fish() -> String {
    let mut out = String::new();
    for option in all() {
        let short = option.short.map_or(String::new(), |short| format!(" -s {short}"));
        let value = match option.takes {
            Takes::Nothing => String::new(),
            Takes::Text(_) => " -x".to_owned(),
            Takes::File(_) => " -r -F".to_owned(),
            Takes::Folder(_) => " -x -a '(__fish_complete_directories)'".to_owned(),
            Takes::OneOf(_, words) => format!(" -x -a '{}'", words.join(" ")),
            Takes::OneOfInFile(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("{word}=")).collect();
                format!(" -x -a '{}'", words.join(" "))
            }
        };
        let text = option.text.replace('\\', "\\\\").replace('\'', "\\'");
        let _ = writeln!(out, "complete -c selvedge-crawl{short} -l {}{value} -d '{text}'", option.long);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_fits_a_screen_and_no_help_is_wider_than_one() {
        assert!(short().lines().count() <= 24, "{}", short());
        for line in short().lines().chain(long().lines()) {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn what_is_made_from_the_table_names_every_option() {
        for (what, shown) in
            [("help", long()), ("manual", manual().replace("\\-", "-")), ("bash", bash()), ("zsh", zsh())]
        {
            for option in all() {
                assert!(shown.contains(&format!("--{}", option.long)), "--{} is not in {what}", option.long);
            }
        }
        for option in all() {
            assert!(fish().contains(&format!("-l {} ", option.long)), "{}", option.long);
        }
    }
}

//! The table of options. The command line, the config file, the help, the shells' completions and the
//! manual page are made from it, so they cannot differ.

use std::iter;

/// One option.
#[derive(Debug)]
pub(crate) struct Opt {
    /// The long name, without dashes.
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) takes: Takes,
    /// The description, without a capital letter and without a full stop.
    pub(crate) text: &'static str,
    /// The default, if it is worth mentioning.
    pub(crate) default: &'static str,
    /// Whether it may be given several times.
    pub(crate) is_repeatable: bool,
    /// The description in the short help, if the option is in it.
    pub(crate) brief: Option<&'static str>,
}

/// The kind of value that an option takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Takes {
    /// None; `=false` overrides the config file.
    Nothing,
    Text(&'static str),
    File(&'static str),
    Folder(&'static str),
    /// One of these words.
    OneOf(&'static str, &'static [&'static str]),
    /// One of these words, an equals sign and a file.
    OneOfInFile(&'static [&'static str]),
}

/// Options under one heading.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) heading: &'static str,
    pub(crate) options: &'static [Opt],
}

impl Opt {
    const fn new(long: &'static str, takes: Takes, text: &'static str) -> Self {
        Opt { long, short: None, takes, text, default: "", is_repeatable: false, brief: None }
    }

    const fn flag(long: &'static str, text: &'static str) -> Self {
        Opt::new(long, Takes::Nothing, text)
    }

    const fn short(self, short: char) -> Self {
        Opt { short: Some(short), ..self }
    }

    const fn or(self, default: &'static str) -> Self {
        Opt { default, ..self }
    }

    const fn repeatable(self) -> Self {
        Opt { is_repeatable: true, ..self }
    }

    const fn brief(self, brief: &'static str) -> Self {
        Opt { brief: Some(brief), ..self }
    }

    pub(crate) fn is_flag(&self) -> bool {
        matches!(self.takes, Takes::Nothing)
    }

    /// The placeholder of its value.
    pub(crate) fn placeholder(&self) -> Option<&'static str> {
        match self.takes {
            Takes::Nothing => None,
            Takes::Text(name) | Takes::File(name) | Takes::Folder(name) | Takes::OneOf(name, _) => Some(name),
            Takes::OneOfInFile(_) => Some("FORMAT=FILE"),
        }
    }
}

/// All options, in the order of the help.
pub(crate) fn all() -> impl Iterator<Item = &'static Opt> {
    GROUPS.iter().flat_map(|group| group.options)
}

/// Finds an option by its long name.
pub(crate) fn named(long: &str) -> Option<&'static Opt> {
    all().find(|option| option.long == long)
}

/// Finds an option by its letter.
pub(crate) fn lettered(short: char) -> Option<&'static Opt> {
    all().find(|option| option.short == Some(short))
}

/// The name that was probably meant.
pub(crate) fn meant(written: &str) -> Option<&'static str> {
    let near = all().map(|option| (distance(written, option.long), option.long)).min()?;
    (near.0 <= 1 + written.len() / 5).then_some(near.1)
}

/// The edit distance between two words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut before = iter::once(i + 1).collect::<Vec<_>>();
        for (j, y) in b.bytes().enumerate() {
            before.push((row[j] + usize::from(x != y)).min(row[j + 1] + 1).min(before[j] + 1));
        }
        row = before;
    }
    row[b.len()]
}

/// The values of `--redirects`.
pub(crate) const REDIRECTS: &[&str] = &["allow", "warn", "refuse-permanent", "refuse"];

/// The formats of a report.
pub(crate) const FORMATS: &[&str] = &["text", "json", "csv", "html", "markdown", "github", "junit", "sarif"];

pub(crate) const GROUPS: &[Group] = &[
    Group {
        heading: "What is crawled",
        options: &[
            Opt::new("depth", Takes::Text("N"), "follow links up to N away from the start")
                .or("all")
                .short('d')
                .brief("follow links up to N away from the start"),
            Opt::new("pages", Takes::Text("N"), "fetch at most N pages").or("all"),
            Opt::new("time", Takes::Text("SECONDS"), "stop after so long").or("no limit"),
            Opt::new("host", Takes::Text("NAME"), "crawl this host too").repeatable(),
            Opt::flag("subdomains", "crawl the hosts below these too"),
            Opt::new("prefix", Takes::Text("PATH"), "only paths that begin so").repeatable(),
            Opt::new("include", Takes::Text("PATTERN"), "only URLs that match")
                .short('i')
                .repeatable()
                .brief("only URLs that match: a glob, or re: and a regex"),
            Opt::new("exclude", Takes::Text("PATTERN"), "no URLs that match")
                .short('x')
                .repeatable()
                .brief("no URLs that match"),
            Opt::flag("external", "check links to other hosts too")
                .short('e')
                .brief("check links to other hosts too"),
            Opt::flag("assets", "check pictures, scripts, style sheets and what these name")
                .brief("check pictures, scripts and style sheets too"),
            Opt::flag("fragments", "check that a link's #part is on its page")
                .brief("check that a link's #part is on its page"),
            Opt::flag("external-fragments", "check #parts of pages of other hosts too, which are then read"),
            Opt::flag("sitemaps", "read the sitemaps"),
            Opt::flag("no-robots", "do not ask for robots.txt"),
        ],
    },
    Group {
        heading: "Files and folders",
        options: &[
            Opt::new(
                "base-url",
                Takes::Text("URL"),
                "where the folder is published, so that links to there are links to its files",
            )
            .brief("where a folder is published"),
            Opt::new(
                "root",
                Takes::Folder("FOLDER"),
                "the folder that is published, or that a link such as /a starts at",
            )
            .or("the folder given"),
            Opt::new(
                "fallback-extension",
                Takes::Text("EXT"),
                "read a missing about as about.EXT, as many servers do",
            ),
        ],
    },
    Group {
        heading: "How",
        options: &[
            Opt::new("cache", Takes::File("FILE"), "keep answers for the next run, and ask only for what may have changed").brief("keep answers for the next run"),
            Opt::new("cache-age", Takes::Text("SECONDS"), "believe for so long what was only looked at").or("86400"),
            Opt::new("workers", Takes::Text("N"), "fetch N pages at the same time")
                .or("8")
                .short('j')
                .brief("fetch N pages at the same time [8]"),
            Opt::new("per-host", Takes::Text("N"), "of these, at one host and port").or("6"),
            Opt::new("delay", Takes::Text("SECONDS"), "wait so long between two requests to one host")
                .or("0, or what robots.txt asks for"),
            Opt::new("timeout", Takes::Text("SECONDS"), "give up a request after so long")
                .or("30")
                .short('t'),
            Opt::new("retries", Takes::Text("N"), "repeat what failed for the moment").or("2"),
            Opt::new("max-size", Takes::Text("BYTES"), "do not read larger pages").or("4194304"),
            Opt::new("proxy", Takes::Text("URL"), "ask through this proxy, or none, whatever HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say"),
            Opt::new("ca", Takes::File("FILE"), "trust these authorities (PEM) in addition to the public ones").repeatable(),
            Opt::flag("insecure", "do not check certificates; every report says so"),
            Opt::new("user-agent", Takes::Text("TEXT"), "tell servers this name")
                .or("selvedge-crawl/version"),
        ],
    },
    Group {
        heading: "Who is told what",
        options: &[
            Opt::new(
                "header",
                Takes::Text("'NAME: VALUE'"),
                "send a header to the start's origin: its scheme, host and port",
            )
            .short('H')
            .repeatable(),
            Opt::new(
                "header-for",
                Takes::Text("'ORIGIN NAME: VALUE'"),
                "send a header to another origin, such as https://docs.example.org",
            )
            .repeatable(),
            Opt::new(
                "header-everywhere",
                Takes::Text("'NAME: VALUE'"),
                "send a header to everybody, so nothing secret",
            )
            .repeatable(),
            Opt::new("basic-auth", Takes::Text("ORIGIN=VALUE"), "log in at an origin as user:password")
                .repeatable(),
        ],
    },
    Group {
        heading: "What counts",
        options: &[
            Opt::new(
                "accept",
                Takes::Text("STATUSES"),
                "take these statuses for success, such as 200..=204,403",
            )
            .or("200..=299,300,304")
            .short('a')
            .brief("take these for success, such as 200..=204,403"),
            Opt::new("redirects", Takes::OneOf("WORD", REDIRECTS), "allow links to pages that have moved, warn of each, or take them for dead: those that have moved for good (refuse-permanent), or all (refuse)").or("allow"),
            Opt::new("ignore-file", Takes::File("FILE"), "do not count the problems listed there, each with a reason and perhaps a last day").repeatable(),
            Opt::flag("strict", "exit with 6 if links are uncertain or warned of and none is dead"),
            Opt::new(
                "baseline",
                Takes::File("FILE"),
                "take the dead links of an earlier JSON report for known: only new ones count",
            ),
        ],
    },
    Group {
        heading: "What comes out",
        options: &[
            Opt::new(
                "format",
                Takes::OneOf("FORMAT", FORMATS),
                "write the report as text, json, csv, html, markdown, github, junit or sarif",
            )
            .or("text")
            .short('f')
            .brief("text, json, csv, html, markdown, github, junit, sarif"),
            Opt::new("output", Takes::File("FILE"), "write it there")
                .or("standard output")
                .short('o')
                .brief("write the report there"),
            Opt::new("also", Takes::OneOfInFile(FORMATS), "write another format in the same run")
                .repeatable(),
            Opt::new("html", Takes::File("FILE"), "write a report with pictures, in addition"),
            Opt::new("svg", Takes::File("FILE"), "draw the run, in addition"),
            Opt::new("state", Takes::File("FILE"), "keep the state of a crawl that was stopped"),
            Opt::new("resume", Takes::File("FILE"), "go on with a crawl: its state, or its JSON report"),
            Opt::flag("verbose", "show each page when it is settled").short('v'),
            Opt::new("color", Takes::OneOf("WHEN", &["auto", "always", "never"]), "color the text; auto is on a terminal where NO_COLOR is not set").or("auto"),
            Opt::flag("silent", "show nothing; the exit status says it, and files are written"),
            Opt::flag("quiet", "show only the dead links, and whether all was looked at")
                .short('q')
                .brief("show only what is wrong"),
        ],
    },
    Group {
        heading: "This program",
        options: &[
            Opt::new("config", Takes::File("FILE"), "read options from this file").or("selvedge-crawl.toml, if it is there").short('c').brief("read options from there [selvedge-crawl.toml]"),
            Opt::flag("no-config", "read no options from a file"),
            Opt::flag("schema", "write the JSON schema of the JSON report"),
            Opt::flag("help", "show the options that are used most").short('h'),
            Opt::flag("help-all", "show all options").brief("show all options"),
            Opt::new(
                "completions",
                Takes::OneOf("SHELL", &["bash", "zsh", "fish"]),
                "write the completions for a shell",
            ),
            Opt::flag("man", "write the manual page"),
            Opt::flag("version", "show the version").short('V'),
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_options_have_one_name_or_one_letter() {
        let (mut names, mut letters) = (HashSet::new(), HashSet::new());
        for option in all() {
            assert!(names.insert(option.long), "{}", option.long);
            assert!(option.short.is_none_or(|short| letters.insert(short)), "{}", option.long);
        }
    }

    #[test]
    fn a_slip_of_the_hand_is_told_what_was_meant() {
        assert_eq!(meant("exlude"), Some("exclude"));
        assert_eq!(meant("time-out"), Some("timeout"));
        assert_eq!(meant("zzz"), None);
    }

    #[test]
    fn the_readme_names_every_option_and_no_other() {
        let readme = include_str!("../../../README.md");
        for option in all() {
            assert!(
                readme.contains(&format!("`--{}", option.long)),
                "--{} is not in the README",
                option.long
            );
        }
        let named_there = readme.split("`--").skip(1).map(|rest| {
            rest.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next().unwrap_or_default()
        });
        for name in named_there {
            assert!(named(name).is_some(), "the README names --{name}");
        }
    }
}

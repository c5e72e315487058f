//! The page for people: the plots, and under each the table of the repository's page.

use std::fmt::Write;

use crate::Result;
use crate::data::Data;
use crate::plots;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}\
svg{max-width:100%;height:auto}h2{margin-top:2em}.curves{display:flex;flex-wrap:wrap;gap:8px}\
p.note{color:#666}";

/// The whole page, in one file.
pub(crate) fn page(data: &Data) -> Result<String> {
    let machine = &data.machine;
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>selvedge: figures</title><style>{STYLE}</style><h1>Figures</h1>\
         <p>{}, {} processors, {}, {}, {}. A point is a rival's time over ours, a line the span of the interleaved rounds: \
         to the right of 1 selvedge is ahead. Tables and versions are in <a href=REPORT.md>REPORT.md</a>.",
        escape(&machine.processor),
        machine.processors,
        escape(&machine.system),
        escape(&machine.compiler),
        escape(&machine.date)
    );
    for section in data.compared() {
        let _ = write!(page, "<h2>{}</h2>", escape(&section.name));
        if let Some(note) = &section.note {
            let _ = write!(page, "<p class=note>{}.", escape(note));
        }
        if section.rows.is_empty() {
            continue;
        }
        page += &plots::ratios(section)?;
        let others = section.others.map_or_else(String::new, |others| {
            format!(", others had {:.0} % of the processors", 100.0 * others)
        });
        let _ = write!(page, "<p class=note>{} rounds{others}.", section.rounds);
    }
    if let Some(section) = data.curves() {
        let _ = write!(
            page,
            "<h2>How costs grow</h2><div class=curves>{}</div>",
            plots::curves(section)?.concat()
        );
    }
    Ok(page)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

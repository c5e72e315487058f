//! A failed execution in words: as a table for people, as JSON for programs, as a sequence diagram.

use std::fmt::Write;

use serde_json::{Value, json};

/// The widest column of the table.
const WIDTH: usize = 40;

/// What happened in an execution, up to its last panic.
#[derive(Clone, Debug, Default)]
pub(in crate::sync) struct Record {
    /// The names of the threads, in the order of the columns.
    pub(super) threads: Vec<String>,
    pub(super) steps: Vec<Row>,
    /// Where threads stood at the end.
    pub(super) standing: Vec<Row>,
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The step; for a thread that stands, the one since which it does.
    pub(super) number: usize,
    /// The column; none for a panic.
    pub(super) thread: Option<usize>,
    /// What is done to what, or the panic.
    pub(super) operation: String,
    pub(super) object: String,
    /// What came of it, if there is more to say.
    pub(super) outcome: String,
    /// The columns of threads that it starts or wakes.
    pub(super) reaches: Vec<usize>,
    pub(super) file: &'static str,
    pub(super) line: u32,
}

impl Row {
    pub(super) fn text(&self) -> String {
        let outcome = if self.outcome.is_empty() { String::new() } else { format!(" → {}", self.outcome) };
        match self.object.is_empty() {
            true => format!("{}{outcome}", self.operation),
            false => format!("{} {}{outcome}", self.operation, self.object),
        }
    }

    fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    fn json(&self) -> Value {
        json!({
            "step": self.number, "thread": self.thread, "operation": self.operation, "object": self.object,
            "outcome": self.outcome, "reaches": self.reaches, "file": self.file, "line": self.line,
        })
    }
}

impl Record {
    /// The last `rows` steps as a table, with a column for each thread.
    pub(super) fn table(&self, rows: usize) -> String {
        let first = self.steps.len().saturating_sub(rows);
        let steps = &self.steps[first..];
        let widths: Vec<usize> = (0..self.threads.len()).map(|column| self.width_of(column, steps)).collect();
        let mut out = String::new();
        if first > 0 {
            let all = self.steps.len();
            let _ = writeln!(out, "({first} steps before these: SELVEDGE_MODEL_STEPS={all} shows all)");
        }
        let _ = writeln!(out, "step  {}where", cells(self.threads.iter().map(String::as_str), &widths));
        for row in steps {
            let (number, text) = (row.number, row.text());
            match row.thread {
                None => _ = writeln!(out, "{number:>4}  {text}"),
                Some(thread) => {
                    let texts =
                        (0..widths.len()).map(|other| if other == thread { text.as_str() } else { "" });
                    let _ = writeln!(out, "{number:>4}  {}{}", cells(texts, &widths), row.place());
                }
            }
        }
        for row in &self.standing {
            let _ = writeln!(out, "{}, at {}", self.stands(row), row.place());
        }
        out
    }

    /// Where a thread stands: `main stands in lock Mutex 1 since step 4, held by thread 2 since step 3`.
    fn stands(&self, row: &Row) -> String {
        let Row { number, operation, object, outcome, .. } = row;
        let name = row.thread.map_or("", |thread| &self.threads[thread]);
        let outcome = if outcome.is_empty() { String::new() } else { format!(", {outcome}") };
        format!("{name} stands in {operation} {object} since step {number}{outcome}")
    }

    fn width_of(&self, column: usize, steps: &[Row]) -> usize {
        let cells = steps.iter().filter(|row| row.thread == Some(column));
        let widest = cells.map(|row| row.text().chars().count()).max().unwrap_or(0);
        widest.max(self.threads[column].chars().count()).min(WIDTH)
    }

    /// All of it, for programs.
    pub(super) fn json(&self) -> Value {
        let rows = |rows: &[Row]| rows.iter().map(Row::json).collect::<Vec<_>>();
        json!({ "threads": self.threads, "steps": rows(&self.steps), "standing": rows(&self.standing) })
    }

    /// The last `rows` steps as a sequence diagram: a lifeline for each thread, a row for each step, and
    /// arrows to the threads that it starts or wakes.
    pub(super) fn svg(&self, title: &str, rows: usize) -> String {
        let steps = &self.steps[self.steps.len().saturating_sub(rows)..];
        let mut picture = Picture::new(self.threads.len(), steps.len() + self.standing.len());
        picture.text(MARGIN, 20, "title", title);
        for (column, name) in self.threads.iter().enumerate() {
            picture.lifeline(column, name);
        }
        for (row, step) in steps.iter().enumerate() {
            picture.step(row, step);
        }
        for (row, standing) in self.standing.iter().enumerate() {
            picture.text(MARGIN, picture.row(steps.len() + row), "panic", &self.stands(standing));
        }
        picture.end()
    }
}

/// One row of the threads' columns.
fn cells<'a>(texts: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    texts.zip(widths).fold(String::new(), |mut row, (text, width)| {
        let cut: String = match text.chars().count() > *width {
            true => text.chars().take(width - 1).chain(['…']).collect(),
            false => text.to_owned(),
        };
        let _ = write!(row, "{cut:<width$}  ");
        row
    })
}

/// Sizes in pixels.
const MARGIN: usize = 16;
const COLUMN: usize = 260;
const ROW: usize = 22;
const HEAD: usize = 70;
const PLACE: usize = 320;

const STYLE: &str = "text{font:12px monospace}.title{font-weight:bold}.place{fill:#777}.panic{fill:#b00020}\
                     line{stroke:#999}.arrow{stroke:#1a5fb4;marker-end:url(#tip)}circle{fill:#333}";
const TIP: &str = "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" \
                   markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#1a5fb4\"/></marker></defs>";

struct Picture {
    out: String,
    columns: usize,
    height: usize,
}

impl Picture {
    fn new(columns: usize, rows: usize) -> Self {
        let (width, height) = (2 * MARGIN + columns * COLUMN + PLACE, HEAD + (rows + 1) * ROW);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\"><style>{STYLE}</style>{TIP}"
        );
        let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>");
        Picture { out, columns, height }
    }

    /// The middle of a lifeline, and the height of a row.
    fn column(&self, column: usize) -> usize {
        MARGIN + 8 + column * COLUMN
    }

    fn row(&self, row: usize) -> usize {
        HEAD + row * ROW
    }

    fn text(&mut self, x: usize, y: usize, class: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = writeln!(self.out, "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{text}</text>");
    }

    fn lifeline(&mut self, column: usize, name: &str) {
        let (x, end) = (self.column(column), self.height - ROW);
        self.text(x - 4, HEAD - 26, "title", name);
        let _ = writeln!(self.out, "<line x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{end}\"/>", HEAD - 18);
    }

    fn step(&mut self, row: usize, step: &Row) {
        let y = self.row(row);
        let Some(thread) = step.thread else {
            return self.text(MARGIN, y, "panic", &format!("{} {}", step.number, step.text()));
        };
        let x = self.column(thread);
        let _ = writeln!(self.out, "<circle cx=\"{x}\" cy=\"{}\" r=\"3\"/>", y - 4);
        self.text(x + 8, y, "step", &format!("{} {}", step.number, step.text()));
        self.text(self.column(self.columns), y, "place", &step.place());
        for other in &step.reaches {
            let (to, y) = (self.column(*other), y + 5);
            let _ =
                writeln!(self.out, "<line class=\"arrow\" x1=\"{x}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\"/>");
        }
    }

    fn end(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }
}

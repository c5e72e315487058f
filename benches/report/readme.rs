//! The plots that the README shows: small, and to be read on a light page and on a dark one.

use plotters::coord::Shift;
use plotters::prelude::*;
use selvedge_benches::measure::{Row, families};

use crate::Result;
use crate::data::Data;
use crate::plots::{COLOURS, FONT};

const WIDTH: u32 = 900;
const HEIGHT: u32 = 260;
/// For the legend, below the panels.
const FOOT: u32 = 26;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One line of a panel: its name, and a value for each place on the axis.
type Line = (String, Vec<(f64, f64)>);

/// A plot beside others that have the same lines.
struct Panel {
    title: String,
    /// Values at 0, 1, 2, and so on.
    labels: Vec<String>,
    /// Of the vertical axis, where it is not the neighbour's.
    unit: &'static str,
    lines: Vec<Line>,
}

/// Each with the name of its file; those whose sections were measured.
pub(crate) fn plots(data: &Data) -> Result<Vec<(&'static str, String)>> {
    let all = [
        ("throughput.svg", throughput(data)),
        ("ordered-map.svg", ordered(data)),
        ("growth.svg", growth(data)),
    ];
    let drawn = all.into_iter().filter(|(_, panels)| !panels.is_empty());
    drawn.map(|(name, panels)| Ok((name, for_both(&draw(&panels)?)))).collect()
}

fn rows<'a>(data: &'a Data, section: &str) -> &'a [Row] {
    data.sections.iter().find(|other| other.name == section).map_or(&[], |section| &section.rows)
}

/// Of the queues, by threads and by capacity.
fn throughput(data: &Data) -> Vec<Panel> {
    let panel = |threads: &str| {
        let row = |capacity: &&str| {
            let title = format!("{threads} capacity {capacity}");
            rows(data, "queue").iter().find(|row| row.title == title)
        };
        let capacities = ["1", "16", "128", "1024"];
        let found: Vec<&Row> = capacities.iter().filter_map(row).collect();
        let per_second = |ns: f64| 1e3 / ns;
        let panel = Panel {
            title: threads.replace('p', " to ").replace('c', ""),
            labels: capacities.map(str::to_owned).into(),
            unit: "million items/s, by capacity",
            lines: lines(&found, per_second),
        };
        (found.len() == capacities.len()).then_some(panel)
    };
    ["1p1c", "2p2c", "4p4c", "8p8c"].into_iter().filter_map(panel).collect()
}

/// What an item of the ordered map costs, by what its work costs.
fn ordered(data: &Data) -> Vec<Panel> {
    let panel = |workers: u32| {
        let start = format!("ordered, {workers} workers, item costs ");
        let cost = |row: &'_ Row| row.title.strip_prefix(&start).map(str::to_owned);
        let found: Vec<&Row> = rows(data, "pipeline").iter().filter(|row| cost(row).is_some()).collect();
        let panel = Panel {
            title: format!("ordered, {workers} workers"),
            labels: found.iter().filter_map(|row| cost(row)).collect(),
            unit: "ns an item, by the cost of its work",
            lines: lines(&found, |ns| ns),
        };
        (!found.is_empty()).then_some(panel)
    };
    [2, 4].into_iter().filter_map(panel).collect()
}

/// Three curves.
fn growth(data: &Data) -> Vec<Panel> {
    let curves = data.curves().map_or(Vec::new(), |section| families(&section.rows));
    let chosen = ["queue, by threads a side", "pool, by tasks of a burst", "cancel, by children"];
    let panel = |family: &str| {
        let (_, rows) = curves.iter().find(|(other, _)| *other == family)?;
        let size = |row: &&Row| row.size.map_or_else(String::new, short);
        Some(Panel {
            title: family.to_owned(),
            labels: rows.iter().map(size).collect(),
            unit: "ns each",
            lines: lines(rows, |ns| ns),
        })
    };
    chosen.into_iter().filter_map(panel).collect()
}

fn lines(rows: &[&Row], value: impl Fn(f64) -> f64) -> Vec<Line> {
    let Some(first) = rows.first() else { return Vec::new() };
    let of = |name: &str| {
        let points =
            rows.iter().enumerate().filter_map(|(place, row)| Some((place as f64, value(row.of(name)?))));
        (name.to_owned(), points.collect())
    };
    first.entries.iter().map(|(name, _)| of(name)).collect()
}

/// 1, 10, 100, 1k, 10k, 1M.
fn short(size: u64) -> String {
    match size {
        1_000_000.. => format!("{}M", size / 1_000_000),
        1_000.. => format!("{}k", size / 1_000),
        _ => size.to_string(),
    }
}

fn draw(panels: &[Panel]) -> Result<String> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in panels.iter().flat_map(|panel| &panel.lines) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let values = || panels.iter().flat_map(|panel| &panel.lines).flat_map(|(_, points)| points);
    let low = values().map(|point| point.1).fold(f64::MAX, f64::min) * 0.8;
    let high = values().map(|point| point.1).fold(0.0, f64::max) * 1.25;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT + FOOT)).into_drawing_area();
        let (top, foot) = area.split_vertically(HEIGHT);
        for (part, panel) in top.split_evenly((1, panels.len())).iter().zip(panels) {
            draw_panel(part, panel, &names, low..high)?;
        }
        legend(&foot, &names)?;
        area.present()?;
    }
    Ok(svg)
}

fn draw_panel(area: &Area<'_>, panel: &Panel, names: &[&str], values: std::ops::Range<f64>) -> Result<()> {
    let last = (panel.labels.len() - 1) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .caption(&panel.title, (FONT, 17))
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(-0.2..last + 0.2, values.log_scale())?;
    let label = |place: &f64| {
        let is_whole = (place - place.round()).abs() < 1e-6 && *place > -0.1;
        panel.labels.get(place.round() as usize).filter(|_| is_whole).cloned().unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_mesh()
        .x_labels(panel.labels.len())
        .y_labels(5)
        .x_label_formatter(&label)
        .y_label_formatter(&|value| {
            if *value < 1.0 { format!("{value:.1}") } else { short(value.round() as u64) }
        })
        .x_desc(panel.unit)
        .label_style((FONT, 14))
        .draw()?;
    // Ours last, on top of the others.
    for (name, points) in panel.lines.iter().rev() {
        let index = names.iter().position(|other| other == name).unwrap_or(0);
        let style = COLOURS[index % (COLOURS.len() - 1)].stroke_width(if index == 0 { 3 } else { 1 });
        chart.draw_series(LineSeries::new(points.iter().copied(), style).point_size(2))?;
    }
    Ok(())
}

fn legend(area: &Area<'_>, names: &[&str]) -> Result<()> {
    /// Of a letter, at most.
    const LETTER: i32 = 8;
    let (mut x, y) = (50, FOOT as i32 / 2);
    for (index, name) in names.iter().enumerate() {
        // The last colour is black, which is not to be seen on a dark page.
        let colour = COLOURS[index % (COLOURS.len() - 1)];
        area.draw(&PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(3)))?;
        area.draw(&Text::new((*name).to_owned(), (x + 24, y - 6), (FONT, 15)))?;
        x += 40 + LETTER * name.len() as i32;
    }
    Ok(())
}

/// Without a background, and with text and axes in a grey that is read on white and on black.
fn for_both(svg: &str) -> String {
    svg.replace("\"#000000\"", "\"#787878\"")
}

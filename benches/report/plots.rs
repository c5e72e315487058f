//! The plots: each section's ratios with their spreads, and the curves.

use plotters::prelude::*;
use selvedge_benches::measure::{Row, Section, families};

use crate::Result;

pub(crate) const FONT: &str = "sans-serif";
const WIDTH: u32 = 960;
/// Of a row of a section's plot, in pixels.
const LINE: u32 = 22;
/// Told apart by those who do not see all colours, too (Okabe and Ito).
pub(crate) const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
    RGBColor(0, 0, 0),
];

/// Each row of a section: a point for each rival where its time over ours lies, with the span of the rounds.
/// Right of the line at 1 we are ahead.
pub(crate) fn ratios(section: &Section) -> Result<String> {
    let rows: Vec<&Row> = section.rows.iter().filter(|row| row.entries.len() > 1).collect();
    let names = rivals(&rows);
    let spans =
        |row: &&Row| row.entries[1..].iter().filter_map(|(name, _)| row.ratio(name)).collect::<Vec<_>>();
    let all: Vec<[f64; 3]> = rows.iter().flat_map(spans).collect();
    let low = all.iter().map(|span| span[0]).fold(0.5, f64::min) * 0.9;
    let high = all.iter().map(|span| span[2]).fold(2.0, f64::max) * 1.1;

    let mut svg = String::new();
    {
        let height = 90 + LINE * rows.len() as u32;
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .x_label_area_size(40)
            .y_label_area_size(380)
            .build_cartesian_2d((low..high).log_scale(), -0.5..rows.len() as f64 - 0.5)?;
        let count = rows.len();
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(count)
            .y_label_formatter(&|y| {
                rows.get(count - 1 - y.round() as usize).map_or_else(String::new, |row| row.title.clone())
            })
            .x_label_formatter(&|x| format!("{x:.2}"))
            .x_desc("rival's time ÷ ours: to the right of 1, selvedge is ahead")
            .label_style((FONT, 13))
            .draw()?;
        chart
            .draw_series(LineSeries::new([(1.0, -0.5), (1.0, count as f64 - 0.5)], BLACK.stroke_width(2)))?;
        for (index, name) in names.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            // Beside each other, so that spans do not hide each other.
            let shift = (index as f64 - (names.len() - 1) as f64 / 2.0) * 0.7 / names.len() as f64;
            let points = points(&rows, name, shift);
            chart.draw_series(points.iter().map(|&(y, [low, _, high])| {
                PathElement::new(vec![(low, y), (high, y)], colour.mix(0.5).stroke_width(2))
            }))?;
            chart
                .draw_series(
                    points.iter().map(|&(y, [_, middle, _])| Circle::new((middle, y), 4, colour.filled())),
                )?
                .label(*name)
                .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight)?;
        area.present()?;
    }
    Ok(svg)
}

/// Where a rival's ratios lie, the first row on top: the height, and the lowest, the median and the highest.
fn points(rows: &[&Row], name: &str, shift: f64) -> Vec<(f64, [f64; 3])> {
    let point =
        |(line, row): (usize, &&Row)| Some(((rows.len() - 1 - line) as f64 + shift, row.ratio(name)?));
    rows.iter().enumerate().filter_map(point).collect()
}

/// The libraries that are measured beside ours, in the order in which they come.
fn rivals<'a>(rows: &[&'a Row]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.entries[1..]) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// One curve for each library: nanoseconds over the size, both logarithmic.
pub(crate) fn curve(family: &str, rows: &[&Row]) -> Result<String> {
    let sizes = rows.iter().filter_map(|row| row.size).map(|size| size as f64);
    let (first, last) = (sizes.clone().fold(f64::MAX, f64::min), sizes.fold(1.0, f64::max));
    let all = || rows.iter().flat_map(|row| row.entries.iter().filter_map(|(name, _)| row.of(name)));
    let (low, high) = (all().fold(f64::MAX, f64::min) * 0.7, all().fold(0.0, f64::max) * 1.4);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH / 2, 320)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .caption(family, (FONT, 16))
            .x_label_area_size(30)
            .y_label_area_size(60)
            .build_cartesian_2d((first..last * 1.01).log_scale(), (low..high).log_scale())?;
        chart
            .configure_mesh()
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| crate::markdown::figure(*y))
            .y_desc(format!("ns per {}", rows[0].unit))
            .label_style((FONT, 12))
            .draw()?;
        for (index, (name, _)) in rows[0].entries.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let points: Vec<(f64, f64)> =
                rows.iter().filter_map(|row| Some((row.size? as f64, row.of(name)?))).collect();
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(3))?
                .label(name)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour.stroke_width(2)));
        }
        legend(&mut chart, SeriesLabelPosition::UpperRight)?;
        area.present()?;
    }
    Ok(svg)
}

/// Every curve of a section.
pub(crate) fn curves(section: &Section) -> Result<Vec<String>> {
    families(&section.rows).iter().map(|(family, rows)| curve(family, rows)).collect()
}

type Chart<'a, 'b, C> = ChartContext<'a, SVGBackend<'b>, C>;

fn legend<'a, 'b: 'a, X: Ranged, Y: Ranged>(
    chart: &mut Chart<'a, 'b, Cartesian2d<X, Y>>,
    position: SeriesLabelPosition,
) -> Result<()> {
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(200, 200, 200))
        .label_font((FONT, 12))
        .draw()?;
    Ok(())
}

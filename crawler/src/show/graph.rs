//! The site as a picture: its pages by their distance from the start, and the links between them.

use svg::Document;
use svg::node::element::{Circle, Group, Line, Title};

use super::shapes::{label, round};
use crate::frontier::PageId;
use crate::{Outcome, Page, Report, Resolution};

/// Pages that are drawn; more is a felt.
const PAGES: usize = 400;
/// Links that are drawn.
const LINKS: usize = 3_000;
const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 640.0;
const EDGE: f64 = 40.0;

const INK: &str = "#66727f";
const LINK: &str = "#9aa5b1";
const ALIVE: &str = "#2a9d8f";
const REDIRECT: &str = "#eeb23e";
const DEAD: &str = "#d1384f";
const UNREAD: &str = "#c3cbd4";

impl Report {
    /// Draws the site as an SVG picture: a column for each depth, the start at the left; dead pages are red,
    /// redirects yellow, what was not read is grey. The nearest 400 pages are drawn.
    pub fn to_graph_svg(&self) -> String {
        Graph::of(self).draw().to_string()
    }
}

struct Graph<'a> {
    report: &'a Report,
    /// The pages that are drawn, with their places.
    nodes: Vec<(PageId, f64, f64)>,
}

impl<'a> Graph<'a> {
    fn of(report: &'a Report) -> Self {
        let mut ids: Vec<PageId> = (0..report.pages().len() as PageId).collect();
        ids.sort_by_key(|&id| (report.page(id).depth, id));
        ids.truncate(PAGES);
        let deepest = ids.last().map_or(0, |&id| report.page(id).depth);
        let mut nodes = Vec::new();
        for column in ids.chunk_by(|&a, &b| report.page(a).depth == report.page(b).depth) {
            let depth = report.page(column[0]).depth;
            let x = EDGE + (WIDTH - 2.0 * EDGE) * f64::from(depth) / f64::from(deepest.max(1));
            let step = (HEIGHT - 2.0 * EDGE) / column.len() as f64;
            let place = |(row, &id): (usize, &PageId)| (id, x, EDGE + step * (row as f64 + 0.5));
            nodes.extend(column.iter().enumerate().map(place));
        }
        // By number, to be found by halves.
        nodes.sort_by_key(|&(id, ..)| id);
        Graph { report, nodes }
    }

    fn draw(&self) -> Document {
        let links = self.nodes.iter().flat_map(|node| self.links(node)).take(LINKS);
        let links = links.fold(Group::new().set("stroke-width", 0.6), Group::add);
        let pages = self.nodes.iter().fold(Group::new(), |pages, node| pages.add(self.node(node)));
        let left_out = self.report.pages().len() - self.nodes.len();
        let note = if left_out > 0 { format!("{left_out} more pages are not drawn") } else { String::new() };
        Document::new()
            .set("viewBox", (0, 0, WIDTH, HEIGHT))
            .set("width", WIDTH)
            .set("height", HEIGHT)
            .add(links)
            .add(pages)
            .add(label(EDGE, HEIGHT - 10.0, 13, INK, note))
    }

    fn links(&self, &(id, x, y): &(PageId, f64, f64)) -> impl Iterator<Item = Line> {
        self.report.links(id).filter_map(move |link| {
            let place = self.nodes.binary_search_by_key(&link.page, |&(id, ..)| id).ok()?;
            let (to, to_x, to_y) = self.nodes[place];
            let colour = if colour(self.report, to) == DEAD { DEAD } else { LINK };
            let line = Line::new().set("x1", round(x)).set("y1", round(y)).set("x2", round(to_x));
            Some(line.set("y2", round(to_y)).set("stroke", colour).set("stroke-opacity", 0.35))
        })
    }

    fn node(&self, &(id, x, y): &(PageId, f64, f64)) -> Group {
        let Page { url, .. } = self.report.page(id);
        let size = 3.0 + (self.report.linked_from(id).count() as f64).sqrt().min(6.0);
        let circle = Circle::new().set("cx", round(x)).set("cy", round(y)).set("r", round(size));
        Group::new().add(circle.set("fill", colour(self.report, id))).add(Title::new(url.to_string()))
    }
}

fn colour(report: &Report, id: PageId) -> &'static str {
    match (report.resolution(id).1, report.page(id).outcome()) {
        (Resolution::Dead(_), _) => DEAD,
        (_, Some(Outcome::Redirect)) => REDIRECT,
        (_, Some(Outcome::Page | Outcome::Sitemap)) => ALIVE,
        _ => UNREAD,
    }
}

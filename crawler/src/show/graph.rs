//! The site as a picture: its folders by their distance from the start, and the links between them.

use svg::Document;
use svg::node::element::{Group, Path as Curve, Title};

use super::clusters::{Cluster, Links, Map};
use super::fixes::{counted, grouped};
use super::shapes::{Ink, block, label, round, sheet};
use super::visible::visible;
use crate::Report;

const WIDTH: f64 = 1000.0;
const EDGE: f64 = 8.0;
const HEAD: f64 = 34.0;
const BOX: f64 = 48.0;
const GAP: f64 = 10.0;
/// Clusters below which there is nothing to draw.
const MIN_CLUSTERS: usize = 3;
/// Columns for the distances: the start, one link, and further; other hosts have one of their own.
const DISTANCES: u32 = 3;
/// Links that are drawn into a cluster: the strongest.
const INTO: usize = 3;

const SIZE: &str = "#2a9d8f";
const LINK: &str = "#9aa5b1";
const DEAD: &str = "#d1384f";

impl Report {
    /// Draws the site as an SVG picture: its folders as boxes, in columns by their distance from the start,
    /// with how many pages each has and how many are dead, and the links from one column to the next ones.
    /// Other hosts are in the last column. At most 22 boxes are drawn, so that each can be read. `None` if
    /// the site has too few folders for a picture of them to say anything.
    pub fn to_graph_svg(&self) -> Option<String> {
        Some(Graph::of(self)?.draw(true).to_string())
    }

    /// The same in the colours of the page around it.
    pub(super) fn site_picture(&self) -> Option<String> {
        Some(Graph::of(self)?.draw(false).to_string())
    }
}

struct Graph {
    map: Map,
    /// For each cluster its column and row.
    places: Vec<(usize, usize)>,
    /// The titles of the columns, and how many rows each has.
    columns: Vec<(&'static str, usize)>,
    width: f64,
}

impl Graph {
    fn of(report: &Report) -> Option<Self> {
        let map = Map::of(report);
        if map.clusters.len() < MIN_CLUSTERS {
            return None;
        }
        let mut columns = vec![("the start", 0), ("a link away", 0), ("further", 0), ("other hosts", 0)];
        let column = |cluster: &Cluster| match cluster.depth {
            Some(depth) => depth.min(DISTANCES - 1) as usize,
            None => DISTANCES as usize,
        };
        // The largest of a column is at its top.
        let mut order: Vec<usize> = (0..map.clusters.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(map.clusters[at].pages));
        let mut places = vec![(0, 0); map.clusters.len()];
        for at in order {
            let column = column(&map.clusters[at]);
            places[at] = (column, columns[column].1);
            columns[column].1 += 1;
        }
        // Without those that are empty.
        let moved: Vec<usize> = columns
            .iter()
            .scan(0, |next, column| Some(std::mem::replace(next, *next + usize::from(column.1 > 0))))
            .collect();
        places.iter_mut().for_each(|(column, _)| *column = moved[*column]);
        columns.retain(|column| column.1 > 0);
        let width =
            ((WIDTH - 2.0 * EDGE - 70.0 * (columns.len() - 1) as f64) / columns.len() as f64).min(280.0);
        Some(Graph { map, places, columns, width })
    }

    fn draw(&self, is_alone: bool) -> Document {
        let height = HEAD + self.rows() as f64 * (BOX + GAP) + EDGE;
        let mut document = sheet(WIDTH, height, is_alone);
        for (column, &(title, _)) in self.columns.iter().enumerate() {
            document = document.add(label(self.x(column), 20.0, 13, Ink::Faint, title));
        }
        let links = self.strongest().into_iter().map(|(from, to, links)| self.link(from, to, links));
        let links = links.fold(Group::new().set("fill", "none").set("stroke-opacity", 0.7), Group::add);
        let largest = self.map.clusters.iter().map(|cluster| cluster.pages).max().unwrap_or(1);
        let boxes = (0..self.map.clusters.len()).map(|at| self.cluster(at, largest));
        document.add(links).add(boxes.fold(Group::new(), Group::add))
    }

    fn x(&self, column: usize) -> f64 {
        let step = match self.columns.len() {
            1 => 0.0,
            columns => (WIDTH - 2.0 * EDGE - self.width) / (columns - 1) as f64,
        };
        EDGE + step * column as f64
    }

    /// Where a box begins; each column is in the middle of the height.
    fn y(&self, (column, row): (usize, usize)) -> f64 {
        HEAD + ((self.rows() - self.columns[column].1) as f64 / 2.0 + row as f64) * (BOX + GAP)
    }

    /// Rows of the column that has most.
    fn rows(&self) -> usize {
        self.columns.iter().map(|column| column.1).max().unwrap_or(0)
    }

    /// The links that are drawn: from a column to a later one, and into each cluster the strongest. Links
    /// back, such as each page's to the start, would hide all others.
    fn strongest(&self) -> Vec<(usize, usize, Links)> {
        let mut drawn = Vec::new();
        for to in 0..self.map.clusters.len() {
            let into = self
                .map
                .links
                .iter()
                .filter(|&(&(from, other), _)| other == to && self.places[from].0 < self.places[to].0);
            let mut into: Vec<_> = into.map(|(&(from, to), &links)| (from, to, links)).collect();
            into.sort_by_key(|(_, _, links)| std::cmp::Reverse((links.dead > 0, links.all)));
            into.truncate(INTO);
            drawn.extend(into);
        }
        // The strongest are drawn last.
        drawn.sort_by_key(|(_, _, links)| (links.dead > 0, links.all));
        drawn
    }

    fn link(&self, from: usize, to: usize, links: Links) -> Group {
        let (begin, end) = (self.places[from], self.places[to]);
        let (x, y) = (self.x(begin.0) + self.width, self.y(begin) + BOX / 2.0);
        let (end, foot) = (self.x(end.0), self.y(end) + BOX / 2.0);
        let bend = (end - x) / 2.0;
        let path = format!(
            "M{} {}C{} {} {} {} {} {}",
            round(x),
            round(y),
            round(x + bend),
            round(y),
            round(end - bend),
            round(foot),
            round(end),
            round(foot)
        );
        let width = 1.0 + (links.all as f64).log10().max(0.0) * 1.5;
        let (colour, class) = if links.dead > 0 { (DEAD, "gone") } else { (LINK, "joint") };
        let curve = Curve::new().set("d", path).set("stroke", colour).set("class", class);
        let dead =
            if links.dead > 0 { format!(", {} of them dead", grouped(links.dead)) } else { String::new() };
        let [from, to] = [from, to].map(|at| visible(&self.map.clusters[at].name).into_owned());
        let title = Title::new(format!("{from} → {to}: {}{dead}", counted(links.all, "link")));
        Group::new().add(title).add(curve.set("stroke-width", round(width)))
    }

    fn cluster(&self, at: usize, largest: usize) -> Group {
        let cluster = &self.map.clusters[at];
        let (x, y) = (self.x(self.places[at].0), self.y(self.places[at]));
        let pages = counted(cluster.pages, if cluster.depth.is_some() { "page" } else { "URL" });
        let name = visible(&cluster.name);
        let frame = block(x, y, self.width, BOX).set("rx", 6).set("fill", "#ffffff");
        let frame = frame.set("stroke", "#c3cbd4").set("class", "box");
        let size = (self.width - 20.0) * (cluster.pages as f64 / largest as f64).sqrt();
        let dead = size * cluster.dead as f64 / cluster.pages.max(1) as f64;
        let dead = if cluster.dead > 0 { dead.max(3.0) } else { 0.0 };
        let mut group = Group::new()
            .add(Title::new(format!("{name}\n{pages}, {} dead", grouped(cluster.dead))))
            .add(frame)
            .add(label(x + 10.0, y + 18.0, 13, Ink::Text, last_of(&name, (self.width / 8.0) as usize)))
            .add(label(x + 10.0, y + 34.0, 12, Ink::Faint, pages))
            .add(block(x + 10.0, y + 39.0, size.max(3.0), 4.0).set("rx", 2).set("fill", SIZE));
        if cluster.dead > 0 {
            let words = label(
                x + self.width - 10.0,
                y + 34.0,
                12,
                Ink::Alarm,
                format!("{} dead", grouped(cluster.dead)),
            );
            group = group
                .add(words.set("text-anchor", "end"))
                .add(block(x + 10.0, y + 39.0, dead, 4.0).set("rx", 2).set("fill", DEAD));
        }
        group
    }
}

/// The end of a name that is too long: a folder's own name says more than the folders above it.
fn last_of(name: &str, width: usize) -> String {
    let count = name.chars().count();
    match count <= width {
        true => name.to_owned(),
        false => ['…'].into_iter().chain(name.chars().skip(count - width + 1)).collect(),
    }
}

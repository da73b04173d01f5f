//! The picture of a cluster's life: how many peers and leaders each store has, over time.
//!
//! Two charts above each other, a line a store, steps and not slopes (between two samples nothing is known). What happened
//! stands as numbered marks; the numbers are explained by whoever shows the picture. The result is an SVG of a few
//! kilobytes: a line has a corner where something changed, and none where nothing did.

use std::fmt::Write as _;

/// What one store had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelf {
    /// Which store.
    pub store: u64,
    /// Peers on it.
    pub regions: u64,
    /// How many of them lead.
    pub leaders: u64,
}

/// What was seen of a cluster's life, in the order of time. Times are seconds since its beginning.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// What each store had, and when.
    pub samples: Vec<(f64, Vec<Shelf>)>,
    /// What happened, and when.
    pub events: Vec<(f64, String)>,
}

const WIDTH: f64 = 760.;
const LEFT: f64 = 48.;
const RIGHT: f64 = 738.;

/// The height of a chart, and what lies between two.
const HEIGHT: f64 = 150.;
const GAP: f64 = 66.;
const TOP: f64 = 44.;

/// By store, in the order of their ids; a seventh store begins again.
const COLOURS: [&str; 6] = ["#1b6ca8", "#c2452d", "#3b8f4a", "#8a4fa3", "#c98a10", "#4a4a4a"];

impl Life {
    /// The picture.
    pub fn svg(&self) -> String {
        let height = TOP + 2. * HEIGHT + GAP + 60.;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
        );
        self.chart(&mut svg, TOP, "peers on each store", |shelf| shelf.regions);
        self.chart(&mut svg, TOP + HEIGHT + GAP, "leaders on each store", |shelf| shelf.leaders);
        self.legend(&mut svg, height - 12.);
        svg.push_str("</svg>\n");
        svg
    }

    /// When the last thing was seen.
    fn end(&self) -> f64 {
        let samples = self.samples.iter().map(|(at, _)| *at);
        samples.chain(self.events.iter().map(|(at, _)| *at)).fold(1., f64::max)
    }

    fn x(&self, at: f64) -> f64 {
        LEFT + at / self.end() * (RIGHT - LEFT)
    }

    /// All stores that were ever there, by id.
    fn stores(&self) -> Vec<u64> {
        let mut stores: Vec<u64> =
            self.samples.iter().flat_map(|(_, shelves)| shelves).map(|shelf| shelf.store).collect();
        stores.sort_unstable();
        stores.dedup();
        stores
    }

    fn chart(&self, svg: &mut String, top: f64, title: &str, of: impl Fn(&Shelf) -> u64) {
        let bottom = top + HEIGHT;
        let most = self.samples.iter().flat_map(|(_, shelves)| shelves).map(&of).max().unwrap_or(0);
        let (step, most) = scale(most);
        let y = |value: u64| bottom - as_float(value) / as_float(most) * HEIGHT;
        line(
            svg,
            &format!("<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{title}</text>", top - 18.),
        );
        for value in (0..=most / step).map(|n| n * step) {
            let y = y(value);
            line(
                svg,
                &format!(
                    "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
                     <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                    LEFT - 8.,
                    y + 4.
                ),
            );
        }
        let whole = self.end().ceil();
        for n in 0..=6 {
            let at = whole / 6. * f64::from(n);
            line(
                svg,
                &format!(
                    "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#777\">{at:.0} s</text>",
                    self.x(at.min(self.end())),
                    bottom + 16.
                ),
            );
        }
        for (number, (at, _)) in self.events.iter().enumerate() {
            let x = self.x(*at);
            // Two heights, so that marks side by side can be told apart.
            let above = if number % 2 == 0 { 3. } else { 13. };
            line(
                svg,
                &format!(
                    "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"#777\" \
                     stroke-dasharray=\"3 3\"/><text x=\"{x:.1}\" y=\"{}\" font-size=\"10\" \
                     text-anchor=\"middle\">{}</text>",
                    top - above,
                    number + 1
                ),
            );
        }
        for (place, store) in self.stores().into_iter().enumerate() {
            // Lines that lie over each other would hide each other: each is drawn a little off.
            let off = as_float(place as u64) * 1.3 - 2.6;
            let path = self.steps(store, |shelf| y(of(shelf)) + off);
            let colour = COLOURS[place % COLOURS.len()];
            line(
                svg,
                &format!(
                    "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
                ),
            );
        }
    }

    /// A store's line: to the right as long as nothing changes, then up or down.
    fn steps(&self, store: u64, y: impl Fn(&Shelf) -> f64) -> String {
        let mut path = String::new();
        let mut last = None;
        for (at, shelves) in &self.samples {
            let (x, here) =
                (self.x(*at), shelves.iter().find(|shelf| shelf.store == store).map(&y));
            if here == last {
                continue;
            }
            match (last, here) {
                (Some(_), Some(y)) => write!(path, "H{x:.1}V{y:.1}"),
                (None, Some(y)) => write!(path, "M{x:.1} {y:.1}"),
                (_, None) => write!(path, "H{x:.1}"),
            }
            .expect("a string has room");
            last = here;
        }
        if last.is_some() {
            write!(path, "H{:.1}", self.x(self.end())).expect("a string has room");
        }
        path
    }

    fn legend(&self, svg: &mut String, y: f64) {
        for (place, store) in self.stores().into_iter().enumerate() {
            let (x, colour) =
                (LEFT + as_float(place as u64) * 110., COLOURS[place % COLOURS.len()]);
            line(
                svg,
                &format!(
                    "<line x1=\"{x}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" stroke=\"{colour}\" stroke-width=\"3\"/>\
                     <text x=\"{}\" y=\"{y}\">store {store}</text>",
                    x + 18.,
                    y - 4.,
                    y - 4.,
                    x + 24.
                ),
            );
        }
    }
}

fn line(svg: &mut String, text: &str) {
    svg.push_str(text);
    svg.push('\n');
}

/// Between two lines of the grid, and where it ends: at most eight lines, at a round number.
fn scale(most: u64) -> (u64, u64) {
    let rounds = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
    let step = rounds.into_iter().find(|step| most.div_ceil(*step) <= 8).unwrap_or(1);
    (step, most.div_ceil(step).max(1) * step)
}

/// Counts of peers are far below 2^52.
#[expect(clippy::cast_precision_loss)]
fn as_float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(store: u64, regions: u64, leaders: u64) -> Shelf {
        Shelf { store, regions, leaders }
    }

    #[test]
    fn a_line_has_a_corner_where_something_changed() {
        let samples = vec![
            (0., vec![shelf(1, 4, 4)]),
            (5., vec![shelf(1, 4, 4), shelf(2, 0, 0)]),
            (10., vec![shelf(1, 2, 4), shelf(2, 2, 0)]),
        ];
        let life = Life { samples, events: vec![(5., "a second store".into())] };
        assert_eq!(life.steps(1, |shelf| as_float(shelf.regions)), "M48.0 4.0H738.0V2.0H738.0");
        assert_eq!(life.steps(2, |shelf| as_float(shelf.regions)), "M393.0 0.0H738.0V2.0H738.0");
        let svg = life.svg();
        assert_eq!(svg.matches("<path ").count(), 4, "two stores, two charts");
        assert_eq!(svg.matches("stroke-dasharray").count(), 2, "one event, two charts");
        assert!(svg.contains(">store 2<"), "{svg}");
    }

    #[test]
    fn a_grid_has_few_lines_at_round_numbers() {
        assert_eq!(scale(0), (1, 1));
        assert_eq!(scale(7), (1, 7));
        assert_eq!(scale(9), (2, 10));
        assert_eq!(scale(31), (5, 35));
        assert_eq!(scale(90), (20, 100));
    }

    #[test]
    fn nothing_seen_is_still_a_picture() {
        assert!(Life::default().svg().ends_with("</svg>\n"));
    }
}

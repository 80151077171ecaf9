//! Plots as inline SVG: two axes, lines and areas, and markers on top.
//!
//! A plot is as wide as its container. Shapes live in a square of [`SIDE`] by [`SIDE`] that is stretched to fit, while
//! strokes are not; ticks, markers and text are placed by percentages and keep their size. So one SVG serves a wide
//! screen and a phone, without a script. Colors and sizes are set by the style sheet, by class.
//!
//! Text outside the plot area (ticks, flags above, readouts below) needs the margins of `.frame`.

mod axis;
mod downsample;

pub(crate) use axis::Axis;
pub(crate) use downsample::{buckets, keep_shape};

use crate::report::escape::markup;

/// The side of the square in which shapes are drawn. With one decimal, that is a tenth of a pixel on any screen.
const SIDE: f64 = 1_000.0;
/// Text beside a point to the right of this fraction is placed on its left.
const TURN: f64 = 0.5;
/// Maximum fraction of a plot's width that such text takes, on a phone.
const WORDS_WIDTH: f64 = 0.45;

/// A point, in the units of its axes.
pub(crate) type Point = (f64, f64);

/// A plot being drawn.
#[derive(Debug)]
pub(crate) struct Plot {
    x: Axis,
    y: Axis,
    label: String,
    shapes: String,
    marks: String,
    words: String,
    slices: String,
}

impl Plot {
    /// Creates a plot. The label describes it to screen readers.
    pub(crate) fn new(x: Axis, y: Axis, label: &str) -> Self {
        let [shapes, marks, words, slices] = [const { String::new() }; 4];
        Self { x, y, label: markup(label), shapes, marks, words, slices }
    }

    /// Draws a line through points.
    pub(crate) fn line(&mut self, class: &str, points: &[Point]) {
        if !points.is_empty() {
            self.shapes += &format!("<path class=\"line {class}\" d=\"M{}\"/>", self.path(points.iter()));
        }
    }

    /// Fills the area between two lines.
    pub(crate) fn area(&mut self, class: &str, upper: &[Point], lower: &[Point]) {
        if !(upper.is_empty() || lower.is_empty()) {
            let (there, back) = (self.path(upper.iter()), self.path(lower.iter().rev()));
            self.shapes += &format!("<path class=\"area {class}\" d=\"M{there}L{back}Z\"/>");
        }
    }

    /// Draws vertical lines with text above the plot, each on the lowest level where it covers no other text.
    ///
    /// They are given from left to right, and the left ones rise higher, so that no line crosses the text to the right
    /// of another.
    pub(crate) fn rules(&mut self, class: &str, rules: &[(f64, String)]) {
        let ends: Vec<(f64, f64)> = rules.iter().map(|(at, _)| words_beside(self.x.fraction(*at))).collect();
        let mut levels = vec![0; rules.len()];
        for number in (0..rules.len()).rev() {
            let covers = |other: &usize| ends[number].0 < ends[*other].1 && ends[*other].0 < ends[number].1;
            let above = (number + 1..rules.len()).filter(covers).map(|other| levels[other] + 1_i32).max();
            levels[number] = above.unwrap_or(0);
        }
        for ((at, words), level) in rules.iter().zip(levels) {
            let (x, y) = (self.x.percent(*at), -6 - 16 * level);
            let (side, dx) = if self.x.fraction(*at) > TURN { ("end", -5) } else { ("start", 5) };
            let (top, words) = (y - 10, markup(words));
            self.marks += &format!("<line class=\"rule {class}\" x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"100%\"/>");
            self.words += &format!("<text class=\"{side}\" x=\"{x}\" y=\"{y}\" dx=\"{dx}\">{words}</text>");
        }
    }

    /// Draws a vertical line with a symbol above the plot: a number in a circle, or a wedge without one. The text
    /// appears on hover.
    pub(crate) fn flag(&mut self, class: &str, at: f64, number: Option<usize>, words: &str) {
        let x = self.x.percent(at);
        let sign = match number {
            Some(number) => format!("<circle cy=\"-22\" r=\"8\"/><text y=\"-18\">{number}</text>"),
            None => "<path d=\"M-6-12h12L0-1z\"/>".into(),
        };
        self.marks += &format!(
            "<g class=\"flag {class}\"><title>{}</title><line x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"100%\"/><svg \
             x=\"{x}\" overflow=\"visible\">{sign}</svg></g>",
            markup(words),
        );
    }

    /// Draws a dot with text beside it.
    pub(crate) fn dot(&mut self, class: &str, (at, value): Point, words: &str) {
        let (x, y) = (self.x.percent(at), self.y.percent_from_top(value));
        let (side, dx) = if self.x.fraction(at) > TURN { ("end", -9) } else { ("start", 9) };
        let words = markup(words);
        self.marks += &format!("<circle class=\"dot {class}\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>");
        self.words +=
            &format!("<text class=\"{side} strong\" x=\"{x}\" y=\"{y}\" dx=\"{dx}\" dy=\"4\">{words}</text>",);
    }

    /// Adds a hover slice that shows text below the plot.
    pub(crate) fn slice(&mut self, from: f64, to: f64, words: &str) {
        let width = 100.0 * (self.x.fraction(to) - self.x.fraction(from));
        if width > 0.0 {
            self.slices += &format!(
                "<g><rect x=\"{}\" width=\"{width:.2}%\" height=\"100%\"/><text y=\"100%\">{}</text></g>",
                self.x.percent(from),
                markup(words),
            );
        }
    }

    /// Returns the SVG. `about` labels the axis below.
    pub(crate) fn svg(self, about: &str) -> String {
        let (x, y) = (self.ticks_below(), self.ticks_aside());
        let about = markup(about);
        let Self { label, shapes, marks, words, slices, .. } = self;
        format!(
            "<svg class=\"plot\" width=\"100%\" height=\"200\" role=\"img\" aria-label=\"{label}\">{y}{x}<text \
             class=\"about\" x=\"100%\" y=\"100%\">{about}</text><svg viewBox=\"0 0 {SIDE} {SIDE}\" width=\"100%\" \
             height=\"100%\" preserveAspectRatio=\"none\" overflow=\"visible\">{shapes}</svg>{marks}<g \
             class=\"words\">{words}</g><g class=\"slices\">{slices}</g></svg>\n",
        )
    }

    fn ticks_aside(&self) -> String {
        let mut text = String::from("<g class=\"aside\">");
        for (at, label) in self.y.ticks() {
            let y = self.y.percent_from_top(*at);
            text += &format!("<line x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/><text y=\"{y}\">{label}</text>");
        }
        text + "</g>"
    }

    fn ticks_below(&self) -> String {
        let mut text = String::from("<svg class=\"below\" y=\"100%\" overflow=\"visible\">");
        for ((at, label), number) in self.x.ticks().iter().zip(0..) {
            let x = self.x.percent(*at);
            let class = if number % 2 == 1 { " class=\"odd\"" } else { "" };
            text += &format!("<line x1=\"{x}\" x2=\"{x}\" y2=\"5\"/><text{class} x=\"{x}\">{label}</text>");
        }
        text + "</svg>"
    }

    fn path<'a>(&self, points: impl Iterator<Item = &'a Point>) -> String {
        let place = |(x, y): &Point| {
            let (right, down) = (self.x.fraction(*x) * SIDE, (1.0 - self.y.fraction(*y)) * SIDE);
            format!("{} {}", brief(right), brief(down))
        };
        points.map(place).collect::<Vec<_>>().join("L")
    }
}

/// Returns the part of a plot's width that text beside a point takes.
fn words_beside(place: f64) -> (f64, f64) {
    if place > TURN { (place - WORDS_WIDTH, place) } else { (place, place + WORDS_WIDTH) }
}

/// Formats a coordinate with one decimal, omitted if zero: a page has thousands of them.
fn brief(place: f64) -> String {
    let text = format!("{place:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::wellformed::elements;

    fn plot() -> Plot {
        Plot::new(Axis::time(100.0), Axis::count(10.0), "a & b")
    }

    #[test]
    fn shapes_fill_the_square_with_the_origin_below_left() {
        let mut plot = plot();
        plot.line("sites", &[(0.0, 0.0), (50.0, 5.0), (100.0, 10.0)]);
        plot.area("sites", &[(0.0, 10.0)], &[(0.0, 0.0)]);
        let svg = plot.svg("time");
        assert!(svg.contains("<path class=\"line sites\" d=\"M0 1000L500 500L1000 0\"/>"), "{svg}");
        assert!(svg.contains("<path class=\"area sites\" d=\"M0 0L0 1000Z\"/>"), "{svg}");
    }

    #[test]
    fn words_keep_to_the_page_and_are_escaped() {
        let mut plot = plot();
        plot.rules("back", &[(10.0, "<50 %>".into()), (90.0, "<99 %>".into()), (91.0, String::new())]);
        plot.flag("storm", 10.0, Some(3), "a \"storm\"");
        plot.flag("broken", f64::NAN, None, "");
        plot.dot("peak", (99.0, 10.0), "38/s");
        plot.slice(0.0, 1.0, "<b>");
        plot.slice(5.0, 5.0, "empty");
        let svg = plot.svg("time");
        elements(&svg);
        assert!(svg.contains("<text class=\"end\" x=\"90%\" y=\"-22\" dx=\"-5\">&lt;99 %&gt;</text>"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("empty"), "{svg}");
    }

    #[test]
    fn no_points_are_no_shape() {
        let mut plot = plot();
        plot.line("sites", &[]);
        plot.area("sites", &[], &[]);
        assert!(!plot.svg("time").contains("<path"));
    }
}

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

use maud::{Markup, html};

use crate::report::sanitize::plain;

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
    shapes: Vec<Markup>,
    marks: Vec<Markup>,
    words: Vec<Markup>,
    slices: Vec<Markup>,
}

impl Plot {
    /// Creates a plot. The label describes it to screen readers.
    pub(crate) fn new(x: Axis, y: Axis, label: &str) -> Self {
        let [shapes, marks, words, slices] = [const { Vec::new() }; 4];
        Self { x, y, label: plain(label), shapes, marks, words, slices }
    }

    /// Draws a line through points.
    pub(crate) fn line(&mut self, class: &str, points: &[Point]) {
        if !points.is_empty() {
            let path = self.path(points.iter());
            self.shapes.push(html! { path class={ "line " (class) } d={ "M" (path) } {} });
        }
    }

    /// Fills the area between two lines.
    pub(crate) fn area(&mut self, class: &str, upper: &[Point], lower: &[Point]) {
        if !(upper.is_empty() || lower.is_empty()) {
            let (there, back) = (self.path(upper.iter()), self.path(lower.iter().rev()));
            self.shapes.push(html! { path class={ "area " (class) } d={ "M" (there) "L" (back) "Z" } {} });
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
            let top = y - 10;
            self.marks.push(html! { line class={ "rule " (class) } x1=(x) x2=(x) y1=(top) y2="100%" {} });
            self.words.push(html! { text class=(side) x=(x) y=(y) dx=(dx) { (plain(words)) } });
        }
    }

    /// Draws a vertical line with a symbol above the plot: a number in a circle, or a wedge without one. The text
    /// appears on hover.
    pub(crate) fn flag(&mut self, class: &str, at: f64, number: Option<usize>, words: &str) {
        let x = self.x.percent(at);
        self.marks.push(html! {
            g class={ "flag " (class) } {
                title { (plain(words)) }
                line x1=(x) x2=(x) y1="0" y2="100%" {}
                svg x=(x) overflow="visible" {
                    @if let Some(number) = number {
                        circle cy="-22" r="8" {}
                        text y="-18" { (number) }
                    } @else {
                        path d="M-6-12h12L0-1z" {}
                    }
                }
            }
        });
    }

    /// Draws a dot with text beside it.
    pub(crate) fn dot(&mut self, class: &str, (at, value): Point, words: &str) {
        let (x, y) = (self.x.percent(at), self.y.percent_from_top(value));
        let (side, dx) = if self.x.fraction(at) > TURN { ("end", -9) } else { ("start", 9) };
        self.marks.push(html! { circle class={ "dot " (class) } cx=(x) cy=(y) r="4" {} });
        self.words.push(html! { text class={ (side) " strong" } x=(x) y=(y) dx=(dx) dy="4" { (plain(words)) } });
    }

    /// Adds a hover slice that shows text below the plot.
    pub(crate) fn slice(&mut self, from: f64, to: f64, words: &str) {
        let width = 100.0 * (self.x.fraction(to) - self.x.fraction(from));
        if width > 0.0 {
            let (from, width) = (self.x.percent(from), format!("{width:.2}%"));
            self.slices.push(html! {
                g { rect x=(from) width=(width) height="100%" {} text y="100%" { (plain(words)) } }
            });
        }
    }

    /// Returns the SVG. `about` labels the axis below.
    pub(crate) fn svg(self, about: &str) -> Markup {
        html! {
            svg.plot width="100%" height="200" role="img" aria-label=(self.label) {
                (self.ticks_aside())
                (self.ticks_below())
                text.about x="100%" y="100%" { (about) }
                svg viewBox={ "0 0 " (SIDE) " " (SIDE) } width="100%" height="100%" preserveAspectRatio="none"
                    overflow="visible" {
                    @for shape in &self.shapes { (shape) }
                }
                @for mark in &self.marks { (mark) }
                g.words { @for words in &self.words { (words) } }
                g.slices { @for slice in &self.slices { (slice) } }
            }
        }
    }

    fn ticks_aside(&self) -> Markup {
        html! {
            g.aside {
                @for (at, label) in self.y.ticks() {
                    @let y = self.y.percent_from_top(*at);
                    line x2="100%" y1=(y) y2=(y) {}
                    text y=(y) { (label) }
                }
            }
        }
    }

    fn ticks_below(&self) -> Markup {
        html! {
            svg.below y="100%" overflow="visible" {
                @for ((at, label), number) in self.x.ticks().iter().zip(0..) {
                    @let x = self.x.percent(*at);
                    line x1=(x) x2=(x) y2="5" {}
                    text class=[(number % 2 == 1).then_some("odd")] x=(x) { (label) }
                }
            }
        }
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
    use crate::report::xml_check::elements;

    fn plot() -> Plot {
        Plot::new(Axis::time(100.0), Axis::count(10.0), "a & b")
    }

    #[test]
    fn shapes_fill_the_square_with_the_origin_at_the_bottom_left() {
        let mut plot = plot();
        plot.line("sites", &[(0.0, 0.0), (50.0, 5.0), (100.0, 10.0)]);
        plot.area("sites", &[(0.0, 10.0)], &[(0.0, 0.0)]);
        let svg = plot.svg("time").into_string();
        assert!(svg.contains("<path class=\"line sites\" d=\"M0 1000L500 500L1000 0\">"), "{svg}");
        assert!(svg.contains("<path class=\"area sites\" d=\"M0 0L0 1000Z\">"), "{svg}");
    }

    #[test]
    fn labels_stay_on_the_page_and_are_escaped() {
        let mut plot = plot();
        plot.rules("back", &[(10.0, "<50 %>".into()), (90.0, "<99 %>".into()), (91.0, String::new())]);
        plot.flag("storm", 10.0, Some(3), "a \"storm\"");
        plot.flag("broken", f64::NAN, None, "");
        plot.dot("peak", (99.0, 10.0), "38/s");
        plot.slice(0.0, 1.0, "<b>");
        plot.slice(5.0, 5.0, "empty");
        let svg = plot.svg("time").into_string();
        elements(&svg);
        assert!(svg.contains("<text class=\"end\" x=\"90%\" y=\"-22\" dx=\"-5\">&lt;99 %&gt;</text>"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("empty"), "{svg}");
    }

    #[test]
    fn no_points_draw_no_shape() {
        let mut plot = plot();
        plot.line("sites", &[]);
        plot.area("sites", &[], &[]);
        assert!(!plot.svg("time").into_string().contains("<path"));
    }
}

//! A picture with two axes, to draw into.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::element::{Drawable, PointCollection};
use plotters::prelude::DrawingArea;

use super::{Axis, Color, Failure, FontFamily, GRID, INK, IntoDrawingArea, IntoTextStyle};
use super::{Plot, SIZE, SVGBackend};

/// The inside of the axes.
pub(super) struct Chart<'a>(ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>);

impl<'a> Chart<'a> {
    /// Draws one thing over what is there.
    pub(super) fn draw<E>(&mut self, element: E) -> Result<(), Failure>
    where
        for<'b> &'b E: PointCollection<'b, (f64, f64)>,
        E: Drawable<SVGBackend<'a>>,
    {
        self.0.draw_series(std::iter::once(element)).map(|_| ()).map_err(Failure::failed)
    }
}

/// Draws axes, and into them.
pub(super) fn chart(
    x: &Axis,
    y: &Axis,
    fill: impl FnOnce(&mut Chart<'_>) -> Result<(), Failure>,
) -> Result<Plot, Failure> {
    let mut svg = String::new();
    {
        let area: DrawingArea<SVGBackend<'_>, Shift> =
            SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let text = |size: i32| (FontFamily::SansSerif, size).into_text_style(&SIZE).color(&INK);
        let mut context = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(x.clone(), y.clone())
            .map_err(Failure::failed)?;
        context
            .configure_mesh()
            .max_light_lines(0)
            .bold_line_style(GRID.stroke_width(1))
            .axis_style(GRID.stroke_width(1))
            .label_style(text(15))
            .axis_desc_style(text(16))
            .x_desc(x.name)
            .y_desc(y.name)
            .draw()
            .map_err(Failure::failed)?;
        fill(&mut Chart(context))?;
        area.present().map_err(Failure::failed)?;
    }
    // Within a page, SVG needs no name space; the address would be the only one in it.
    Ok(Plot::Svg(svg.replace(" xmlns=\"http://www.w3.org/2000/svg\"", "")))
}

//! Where a face is in its photo.
//!
//! In comes the box a face detector gave, in pixels of the upright image; out goes the whole-pixel
//! region to show: the box, clamped to the image, with a margin around it. A region is never empty
//! and never leaves the image it was made for.

use std::fmt;

use crate::gallery::Bounds;

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { left, top, right, bottom } = self;
        write!(f, "{left}, {top} to {right}, {bottom}")
    }
}

impl Bounds {
    /// The pixels to show of an image of `width` x `height`: the part of the box inside the image,
    /// and `margin` times its longer side more in each direction, as far as the image goes.
    ///
    /// None where the box holds nothing of the image: it lies outside, has no area, or an edge is
    /// not a finite number.
    pub(crate) fn region(&self, margin: f64, width: u32, height: u32) -> Option<Region> {
        let edges = [self.left, self.top, self.right, self.bottom];
        if edges.iter().any(|edge| !edge.is_finite()) {
            return None;
        }
        // f64 holds every f32 and every u32 exactly.
        let [left, top, right, bottom] = edges.map(f64::from);
        let (full_width, full_height) = (f64::from(width), f64::from(height));
        let (left, right) = (left.max(0.0), right.min(full_width));
        let (top, bottom) = (top.max(0.0), bottom.min(full_height));
        if right <= left || bottom <= top {
            return None;
        }
        let around = (right - left).max(bottom - top) * margin;
        // Outwards to whole pixels: a sliver of a box still gives one pixel.
        let x = (left - around).max(0.0).floor();
        let y = (top - around).max(0.0).floor();
        let x_end = (right + around).min(full_width).ceil();
        let y_end = (bottom + around).min(full_height).ceil();
        Some(Region {
            x: x as u32,
            y: y as u32,
            width: (x_end - x) as u32,
            height: (y_end - y) as u32,
        })
    }
}

impl Bounds {
    /// Whether less than half of the box's area is in the image: such a box is of another image, or
    /// of this one before it was made smaller.
    pub(crate) fn is_mostly_outside(&self, width: u32, height: u32) -> bool {
        let [left, top, right, bottom] =
            [self.left, self.top, self.right, self.bottom].map(f64::from);
        let (full_width, full_height) = (f64::from(width), f64::from(height));
        let inside = (right.clamp(0.0, full_width) - left.clamp(0.0, full_width))
            * (bottom.clamp(0.0, full_height) - top.clamp(0.0, full_height));
        inside * 2.0 < (right - left) * (bottom - top)
    }
}

/// A rectangle of whole pixels inside an image, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Region {
    /// The whole of an image.
    pub(crate) fn whole(width: u32, height: u32) -> Self {
        Self { x: 0, y: 0, width, height }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use proptest::prelude::*;

    fn bounds(left: f32, top: f32, right: f32, bottom: f32) -> Bounds {
        Bounds { left, top, right, bottom }
    }

    fn region(x: u32, y: u32, width: u32, height: u32) -> Option<Region> {
        Some(Region { x, y, width, height })
    }

    #[test]
    fn the_margin_is_a_share_of_the_longer_side() {
        let found = bounds(100.0, 100.0, 140.0, 180.0).region(0.25, 400, 400);
        assert_eq!(found, region(80, 80, 80, 120));
    }

    #[test]
    fn what_lies_outside_is_cut_off_before_the_margin_is_taken() {
        let found = bounds(-1e30, -5.0, 40.0, 20.0).region(0.25, 400, 300);
        assert_eq!(found, region(0, 0, 50, 30));
    }

    #[test]
    fn a_sliver_still_gives_a_pixel() {
        assert_eq!(bounds(9.9, 0.0, 50.0, 0.01).region(0.0, 10, 10), region(9, 0, 1, 1));
    }

    #[test]
    fn boxes_without_a_share_in_the_image_give_nothing() {
        for outside in [
            bounds(10.0, 0.0, 20.0, 10.0),
            bounds(-5.0, 0.0, 0.0, 10.0),
            bounds(0.0, 10.0, 10.0, 20.0),
            bounds(5.0, 5.0, 5.0, 9.0),
            bounds(9.0, 1.0, 1.0, 9.0),
            bounds(f32::NAN, 0.0, 5.0, 5.0),
            bounds(0.0, 0.0, f32::INFINITY, 5.0),
        ] {
            assert_eq!(outside.region(0.25, 10, 10), None, "{outside}");
        }
    }

    #[test]
    fn half_of_a_box_may_be_outside() {
        for (face, mostly_outside) in [
            (bounds(0.0, 0.0, 160.0, 160.0), false),
            (bounds(-80.0, 0.0, 80.0, 100.0), false),
            (bounds(-81.0, 0.0, 79.0, 100.0), true),
            (bounds(-30.0, -30.0, 70.0, 70.0), true),
            (bounds(-20.0, -20.0, 80.0, 80.0), false),
            (bounds(0.0, 0.0, 5000.0, 5000.0), true),
            (bounds(-1e30, -1e30, 1e30, 1e30), true),
            (bounds(200.0, 0.0, 300.0, 100.0), true),
        ] {
            assert_eq!(face.is_mostly_outside(160, 160), mostly_outside, "{face}");
        }
    }

    proptest! {
        #[test]
        fn a_region_is_inside_the_image_and_holds_the_boxs_part_of_it(
            left in -300_f32..300.0, top in -300_f32..300.0,
            wide in -10_f32..400.0, high in -10_f32..400.0,
            width in 1_u32..200, height in 1_u32..200, margin in 0_f64..2.0,
        ) {
            let face = bounds(left, top, left + wide, top + high);
            match face.region(margin, width, height) {
                Some(found) => {
                    prop_assert!(found.width >= 1 && found.height >= 1);
                    prop_assert!(found.x + found.width <= width);
                    prop_assert!(found.y + found.height <= height);
                    prop_assert!(found.x as f32 <= face.left.max(0.0));
                    prop_assert!(found.y as f32 <= face.top.max(0.0));
                    prop_assert!((found.x + found.width) as f32 >= face.right.min(width as f32));
                    prop_assert!((found.y + found.height) as f32 >= face.bottom.min(height as f32));
                }
                None => prop_assert!(
                    face.right <= face.left || face.bottom <= face.top
                        || face.left >= width as f32 || face.top >= height as f32
                        || face.right <= 0.0 || face.bottom <= 0.0
                ),
            }
        }

        #[test]
        fn no_number_upsets_it(
            left in any::<f32>(), top in any::<f32>(), right in any::<f32>(), bottom in any::<f32>(),
            width in any::<u32>(), height in any::<u32>(),
        ) {
            if let Some(found) = bounds(left, top, right, bottom).region(0.25, width, height) {
                prop_assert!(u64::from(found.x) + u64::from(found.width) <= u64::from(width));
                prop_assert!(u64::from(found.y) + u64::from(found.height) <= u64::from(height));
                prop_assert!(found.width >= 1 && found.height >= 1);
            }
        }
    }
}

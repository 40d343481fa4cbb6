//! Where the values of windows lie in an image: gathered for a product, and added back for its gradient.

use std::ops::Range;

use super::Sizes;
use crate::Windows;

/// The windows of some positions of an image, a row for each of a window's values: from the second number on columns of the
/// rows of `out`, which are as long as the first says.
pub(super) fn gather(
    image: &[f32],
    sizes: Sizes,
    positions: &Range<usize>,
    out: &mut [f32],
    [stride, start]: [usize; 2],
) {
    let width = sizes.image[1];
    let mut rows = out.chunks_exact_mut(stride);
    each_value(sizes, positions, |channel, value| {
        let channel = &image[channel];
        let Some(out) = rows.next() else { return };
        value.lines(sizes, positions.len(), |line, places| {
            let out = &mut out[start..][places];
            match line {
                Some(line) => line.take(&channel[line.row * width..][..width], out),
                None => out.fill(0.0),
            }
        });
    });
}

/// Adds what [`gather`] would have gathered back to where it came from.
pub(super) fn add_back(
    windows: &[f32],
    sizes: Sizes,
    positions: &Range<usize>,
    image: &mut [f32],
    [stride, start]: [usize; 2],
) {
    let width = sizes.image[1];
    let mut rows = windows.chunks_exact(stride);
    each_value(sizes, positions, |channel, value| {
        let channel = &mut image[channel];
        let Some(windows) = rows.next() else { return };
        value.lines(sizes, positions.len(), |line, places| {
            if let Some(line) = line {
                let row = &mut channel[line.row * width..][..width];
                line.add_back(&windows[start..][places], row);
            }
        });
    });
}

/// One of a window's values, in every window of some positions.
struct Value {
    row: usize,
    column: usize,
    /// The line and the column of the first position.
    first: [usize; 2],
}

/// Hands each of a window's values on, with the places of the channel that it is of. Without a division for each: where
/// positions are few they would take as long as the copies.
#[inline(always)]
fn each_value(sizes: Sizes, positions: &Range<usize>, mut each: impl FnMut(Range<usize>, Value)) {
    let width = sizes.output[1].max(1);
    let first = [positions.start / width, positions.start % width];
    let size = sizes.image[0] * sizes.image[1];
    for channel in 0..sizes.inputs {
        for row in 0..sizes.kernel[0] {
            for column in 0..sizes.kernel[1] {
                let value = Value { row, column, first };
                each(channel * size..(channel + 1) * size, value);
            }
        }
    }
}

impl Value {
    /// Hands each line of so many positions on: where its values lie, unless that is beyond the image, and the places
    /// among the positions.
    #[inline(always)]
    fn lines(&self, sizes: Sizes, count: usize, mut each: impl FnMut(Option<Line>, Range<usize>)) {
        let Windows { stride, padding } = sizes.windows;
        let width = sizes.output[1];
        let [mut y, mut x] = self.first;
        let mut done = 0;
        while done < count {
            let end = count.min(done + width - x);
            let row = (y * stride[0] + self.row).wrapping_sub(padding[0][0]);
            let line = Line {
                row,
                start: (x * stride[1] + self.column) as isize - padding[1][0] as isize,
                stride: stride[1],
            };
            each((row < sizes.image[0]).then_some(line), done..end);
            done = end;
            (y, x) = (y + 1, 0);
        }
    }
}

/// Every `stride`th value of an image's row, from `start` on, which may lie before it.
#[derive(Clone, Copy)]
struct Line {
    row: usize,
    start: isize,
    stride: usize,
}

impl Line {
    /// Which of `count` values lie within a row of this width, and where the first of them lies.
    fn within(self, width: usize, count: usize) -> (Range<usize>, usize) {
        // A division takes as long as a short line's copy.
        let steps = |values: isize| match (values.max(0) as usize, self.stride) {
            (values, 1) => values,
            (values, stride) => values.div_ceil(stride),
        };
        let first = steps(-self.start).min(count);
        let end = steps(width as isize - self.start).clamp(first, count);
        let from = (self.start + (first * self.stride) as isize).max(0) as usize;
        (first..end, from.min(width))
    }

    /// The values; zeros beyond the row.
    fn take(self, row: &[f32], out: &mut [f32]) {
        let (within, from) = self.within(row.len(), out.len());
        out[..within.start].fill(0.0);
        out[within.end..].fill(0.0);
        let out = &mut out[within];
        if self.stride == 1 {
            copy(out, &row[from..][..out.len()]);
        } else {
            for (out, value) in out.iter_mut().zip(row[from..].iter().step_by(self.stride)) {
                *out = *value;
            }
        }
    }

    /// Adds to the row what [`Self::take`] would have taken from it.
    fn add_back(self, values: &[f32], row: &mut [f32]) {
        let (within, from) = self.within(row.len(), values.len());
        let values = &values[within];
        if self.stride == 1 {
            for (sum, value) in row[from..].iter_mut().zip(values) {
                *sum += value;
            }
        } else {
            for (sum, value) in row[from..].iter_mut().step_by(self.stride).zip(values) {
                *sum += value;
            }
        }
    }
}

/// Values of a few registers.
const RUN: usize = 8;

/// The most values for which a call takes longer than the copy.
const SHORT: usize = 4 * RUN;

/// Copies a slice of the same length, a short one without a call.
#[inline(always)]
fn copy(out: &mut [f32], values: &[f32]) {
    if !(RUN..=SHORT).contains(&out.len()) {
        out.copy_from_slice(values);
        return;
    }
    for (out, values) in out.chunks_exact_mut(RUN).zip(values.chunks_exact(RUN)) {
        out.copy_from_slice(values);
    }
    // The rest, and with it some once more.
    let last = out.len() - RUN;
    out[last..].copy_from_slice(&values[last..]);
}

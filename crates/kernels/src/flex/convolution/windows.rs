//! Where the values of windows lie in an image: gathered for a product, and added back for its gradient.

use std::ops::Range;

use super::Sizes;
use crate::Windows;

/// The windows of some positions of an image, a row for each of a window's values: columns `columns` of the rows of `out`,
/// which are `stride` long.
pub(super) fn gather(
    image: &[f32],
    sizes: Sizes,
    positions: &Range<usize>,
    out: &mut [f32],
    [stride, start]: [usize; 2],
) {
    let width = sizes.image[1];
    for (values, out) in values(sizes).zip(out.chunks_exact_mut(stride)) {
        let channel = &image[values.channel(sizes)];
        values.lines(sizes, positions, |line, places| {
            let out = &mut out[start..][places];
            match line {
                Some(line) => line.take(&channel[line.row * width..][..width], out),
                None => out.fill(0.0),
            }
        });
    }
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
    for (values, windows) in values(sizes).zip(windows.chunks_exact(stride)) {
        let channel = &mut image[values.channel(sizes)];
        values.lines(sizes, positions, |line, places| {
            if let Some(line) = line {
                let row = &mut channel[line.row * width..][..width];
                line.add_back(&windows[start..][places], row);
            }
        });
    }
}

/// One of a window's values, in every window.
struct Value {
    channel: usize,
    row: usize,
    column: usize,
}

/// The values of a window in their order.
fn values(sizes: Sizes) -> impl Iterator<Item = Value> {
    let [rows, columns] = sizes.kernel;
    (0..sizes.inputs * rows * columns).map(move |index| Value {
        channel: index / (rows * columns),
        row: index / columns % rows,
        column: index % columns,
    })
}

impl Value {
    /// The places of the channel that it is of.
    fn channel(&self, sizes: Sizes) -> Range<usize> {
        let size = sizes.image[0] * sizes.image[1];
        self.channel * size..(self.channel + 1) * size
    }

    /// Hands each line of the positions on: where its values lie, unless that is beyond the image, and the places
    /// among `positions`.
    fn lines(
        &self,
        sizes: Sizes,
        positions: &Range<usize>,
        mut each: impl FnMut(Option<Line>, Range<usize>),
    ) {
        let Windows { stride, padding } = sizes.windows;
        let width = sizes.output[1];
        let (mut y, mut x) = (positions.start / width, positions.start % width);
        let mut done = 0;
        while done < positions.len() {
            let count = (width - x).min(positions.len() - done);
            let row = (y * stride[0] + self.row).wrapping_sub(padding[0][0]);
            let line = Line {
                row,
                start: (x * stride[1] + self.column) as isize - padding[1][0] as isize,
                stride: stride[1],
            };
            each((row < sizes.image[0]).then_some(line), done..done + count);
            done += count;
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
        let first = (-self.start).max(0) as usize;
        let first = first.div_ceil(self.stride).min(count);
        let end = (width as isize - self.start).max(0) as usize;
        let end = end.div_ceil(self.stride).clamp(first, count);
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

/// Values of a few registers, which are copied without a call.
const RUN: usize = 8;

/// Copies a slice of the same length: runs of few values, for which a call would take longer than the copy.
#[inline(always)]
fn copy(out: &mut [f32], values: &[f32]) {
    let Some(last) = out.len().checked_sub(RUN) else {
        out.copy_from_slice(values);
        return;
    };
    for (out, values) in out.chunks_exact_mut(RUN).zip(values.chunks_exact(RUN)) {
        out.copy_from_slice(values);
    }
    // The rest, and with it some once more.
    out[last..][..RUN].copy_from_slice(&values[last..][..RUN]);
}

//! Which published tensor goes where in a network.

/// A tensor of a published file and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The published name.
    pub published: String,
    /// The published shape.
    pub shape: Vec<usize>,
    /// The shape of as many values that it is read in, in PyTorch's order of axes.
    pub read_as: Vec<usize>,
    /// The parameter that it becomes. Absent for a tensor that published files carry without use,
    /// and that may be missing.
    pub path: Option<String>,
    /// Whether its values change their sign.
    pub negated: bool,
}

/// All tensors of a published file, in a list that reads like the network.
///
/// `published` and `path` are the names of a layer, to which the names of its parameters are joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placements {
    list: Vec<Placement>,
    left_out: Vec<String>,
}

impl Placements {
    /// The entries in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Placement> {
        self.list.iter()
    }

    /// Whether a tensor belongs to a part of the file that the network leaves out.
    pub fn leaves_out(&self, published: &str) -> bool {
        self.left_out
            .iter()
            .any(|part| match published.strip_prefix(part.as_str()) {
                Some(rest) => rest.is_empty() || rest.starts_with('.'),
                None => false,
            })
    }

    /// Leaves out a part that files for larger networks carry: the tensor `part`, or all tensors
    /// whose names start with `part` and a dot.
    pub fn leave_out(&mut self, part: &str) {
        self.left_out.push(part.to_owned());
    }

    /// A parameter by its full names.
    pub fn tensor(&mut self, published: &str, path: &str, shape: &[usize]) {
        self.list.push(Placement {
            published: published.to_owned(),
            shape: shape.to_vec(),
            read_as: shape.to_vec(),
            path: Some(path.to_owned()),
            negated: false,
        });
    }

    /// A linear layer, whose weight PyTorch keeps as `[outputs, inputs]`.
    pub fn linear(
        &mut self,
        published: &str,
        path: &str,
        [inputs, outputs]: [usize; 2],
        bias: bool,
    ) {
        self.layer(published, path, "weight", "weight", &[outputs, inputs]);
        if bias {
            self.layer(published, path, "bias", "bias", &[outputs]);
        }
    }

    /// A normalisation of `width` features or channels, of layers or of groups.
    pub fn norm(&mut self, published: &str, path: &str, width: usize) {
        self.layer(published, path, "weight", "gamma", &[width]);
        self.layer(published, path, "bias", "beta", &[width]);
    }

    /// A convolution with a square kernel and a bias.
    pub fn convolution(
        &mut self,
        published: &str,
        path: &str,
        [inputs, outputs]: [usize; 2],
        kernel: usize,
    ) {
        let shape = [outputs, inputs, kernel, kernel];
        self.layer(published, path, "weight", "weight", &shape);
        self.layer(published, path, "bias", "bias", &[outputs]);
    }

    /// A convolution without a bias; `kernel` is its height and width.
    pub fn convolution_without_bias(
        &mut self,
        published: &str,
        path: &str,
        [inputs, outputs]: [usize; 2],
        [height, width]: [usize; 2],
    ) {
        let shape = [outputs, inputs, height, width];
        self.layer(published, path, "weight", "weight", &shape);
    }

    /// A normalisation over the batch of `width` features, with the statistics of training. Their
    /// counter, which files since PyTorch 0.4.1 carry, is without use.
    pub fn batch_norm(&mut self, published: &str, path: &str, width: usize) {
        self.norm(published, path, width);
        for statistic in ["running_mean", "running_var"] {
            self.layer(published, path, statistic, statistic, &[width]);
        }
        self.unused_tensor(&format!("{published}.num_batches_tracked"), &[]);
    }

    /// `count` vectors of `width` features.
    pub fn embedding(&mut self, published: &str, path: &str, [count, width]: [usize; 2]) {
        self.layer(published, path, "weight", "weight", &[count, width]);
    }

    /// A tensor, of any type, that published files may carry without use.
    pub fn unused_tensor(&mut self, published: &str, shape: &[usize]) {
        self.list.push(Placement {
            published: published.to_owned(),
            shape: shape.to_vec(),
            read_as: shape.to_vec(),
            path: None,
            negated: false,
        });
    }

    /// A linear layer with a bias that published files carry without use.
    pub fn unused_linear(&mut self, published: &str, [inputs, outputs]: [usize; 2]) {
        self.unused_tensor(&format!("{published}.weight"), &[outputs, inputs]);
        self.unused_tensor(&format!("{published}.bias"), &[outputs]);
    }

    /// Lets the values of everything in `other` change their sign, and adds it.
    pub fn negated(&mut self, other: Self) {
        let negated = other.list.into_iter().map(|placement| Placement {
            negated: !placement.negated,
            ..placement
        });
        self.list.extend(negated);
        self.left_out.extend(other.left_out);
    }

    /// The same for files that have other names, and shapes of as many values: `change` is given each
    /// name and shape as they were.
    #[must_use]
    pub fn published_as(mut self, change: impl Fn(&str, &[usize]) -> (String, Vec<usize>)) -> Self {
        for placement in &mut self.list {
            (placement.published, placement.shape) = change(&placement.published, &placement.shape);
        }
        self
    }

    /// The same for a network that is the part `module` of a larger one.
    #[must_use]
    pub fn within(mut self, module: &str) -> Self {
        for path in self
            .list
            .iter_mut()
            .filter_map(|placement| placement.path.as_mut())
        {
            *path = format!("{module}.{path}");
        }
        self
    }

    fn layer(
        &mut self,
        published: &str,
        path: &str,
        published_parameter: &str,
        parameter: &str,
        shape: &[usize],
    ) {
        let published = format!("{published}.{published_parameter}");
        self.tensor(&published, &format!("{path}.{parameter}"), shape);
    }
}

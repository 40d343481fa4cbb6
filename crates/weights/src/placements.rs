//! Which published tensor goes where in a network.

/// A tensor of a published file and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The published name.
    pub published: String,
    /// The published shape.
    pub shape: Vec<usize>,
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
pub struct Placements(Vec<Placement>);

impl Placements {
    /// The entries in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Placement> {
        self.0.iter()
    }

    /// A parameter by its full names.
    pub fn tensor(&mut self, published: &str, path: &str, shape: &[usize]) {
        self.0.push(Placement {
            published: published.to_owned(),
            shape: shape.to_vec(),
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

    /// A normalisation of `width` features.
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
        self.0.push(Placement {
            published: format!("{published}.num_batches_tracked"),
            shape: Vec::new(),
            path: None,
            negated: false,
        });
    }

    /// A linear layer with a bias that published files carry without use.
    pub fn unused_linear(&mut self, published: &str, inputs_and_outputs: [usize; 2]) {
        let start = self.0.len();
        self.linear(published, "", inputs_and_outputs, true);
        for placement in &mut self.0[start..] {
            placement.path = None;
        }
    }

    /// Lets the values of everything in `other` change their sign, and adds it.
    pub fn negated(&mut self, other: Self) {
        self.0
            .extend(other.0.into_iter().map(|placement| Placement {
                negated: !placement.negated,
                ..placement
            }));
    }

    /// The same for a network that is the part `module` of a larger one.
    #[must_use]
    pub fn within(mut self, module: &str) -> Self {
        for path in self
            .0
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

//! Where in a file a network is: checkpoints keep several, in dictionaries and under prefixes.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::{WeightError, WeightFile};

/// What the averaged weights of a training are called, as a word of a longer name.
const AVERAGES: [&str; 4] = ["ema", "average", "averaged", "avg"];

impl WeightFile {
    /// The part of the file that holds the network of which every copy has the tensor `landmark`,
    /// under that tensor's own name. Where there are several copies, it is the average of the
    /// weights over the training, from which the published scripts sample, whether it has names like
    /// the copy's or those without dots that Lightning's `LitEma` makes. A file without such a network is
    /// given back whole.
    ///
    /// # Errors
    /// Where there are several copies, and not exactly one of them is called an average.
    pub fn network(&self, landmark: &str) -> Result<Cow<'_, Self>, WeightError> {
        let parts: Vec<&str> = self
            .tensors
            .keys()
            .filter_map(|name| match name.strip_suffix(landmark)? {
                "" => Some(""),
                prefix => prefix.strip_suffix('.'),
            })
            .collect();
        match parts[..] {
            [] => Ok(Cow::Borrowed(self)),
            [""] => Ok(self
                .dotless_average("", landmark)
                .map_or(Cow::Borrowed(self), Cow::Owned)),
            _ => {
                let part = choose(&parts).ok_or_else(|| WeightError::Ambiguous {
                    path: self.path().to_owned(),
                    parts: parts.iter().map(|part| self.full_name(part)).collect(),
                })?;
                let others = parts.iter().filter(|other| **other != part);
                if !is_average(part)
                    && let Some(average) = self.dotless_average(part, landmark)
                {
                    let others = others.map(|other| self.full_name(other));
                    return Ok(Cow::Owned(Self {
                        passed_over: others.chain(average.passed_over.clone()).collect(),
                        ..average
                    }));
                }
                Ok(Cow::Owned(Self {
                    passed_over: others.map(|other| self.full_name(other)).collect(),
                    ..self.of_part(part)
                }))
            }
        }
    }

    /// The part of the file under a name: a dictionary, or a prefix that its tensors share.
    ///
    /// # Errors
    /// Where no tensor's name starts with it.
    pub fn within(&self, part: &str) -> Result<Self, WeightError> {
        let found = self.of_part(part);
        if found.tensors.is_empty() {
            let mut starts: Vec<_> = self
                .tensors
                .keys()
                .filter_map(|name| Some(name.split_once('.')?.0.to_owned()))
                .collect();
            starts.dedup();
            return Err(WeightError::NoPart {
                path: self.path().to_owned(),
                part: part.to_owned(),
                parts: starts,
            });
        }
        Ok(found)
    }

    /// The part of the file that these tensors are, such as `model_ema`; empty for the whole file.
    pub fn part(&self) -> &str {
        &self.part
    }

    /// The other parts that hold the same network.
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    fn of_part(&self, part: &str) -> Self {
        let own_name = |name: &str| match part {
            "" => Some(name.to_owned()),
            part => Some(name.strip_prefix(part)?.strip_prefix('.')?.to_owned()),
        };
        let tensors = self.tensors.iter();
        Self {
            tensors: tensors
                .filter_map(|(name, tensor)| Some((own_name(name)?, tensor.clone())))
                .collect(),
            part: self.full_name(part),
            ..self.clone()
        }
    }

    /// The part with the averages of its tensors in their place, where `LitEma` keeps some: beside the
    /// weights it has one name for all, and under it theirs, from any dot on, without dots
    /// (`model_ema.diffusion_modelpos_embed` of `model.diffusion_model.pos_embed`). What is not trained has
    /// no average, and stays.
    fn dotless_average(&self, part: &str, landmark: &str) -> Option<Self> {
        let prefixes = self.tensors.keys().filter_map(|name| name.rsplit_once('.'));
        let prefixes: BTreeSet<&str> = prefixes
            .map(|(prefix, _)| prefix)
            .filter(|prefix| is_average(prefix))
            .collect();
        let inner = part.match_indices('.').map(|(dot, _)| &part[dot + 1..]);
        let wholes: Vec<&str> = [part].into_iter().chain(inner).chain([""]).collect();
        let (prefix, whole) = prefixes
            .iter()
            .flat_map(|prefix| wholes.iter().map(move |whole| (*prefix, *whole)))
            .find(|(prefix, whole)| self.tensors.contains_key(&dotless(prefix, whole, landmark)))?;
        let mut average = self.of_part(part);
        for (name, tensor) in &mut average.tensors {
            if let Some(averaged) = self.tensors.get(&dotless(prefix, whole, name)) {
                *tensor = averaged.clone();
            }
        }
        let raw = std::mem::replace(&mut average.part, self.full_name(prefix));
        average.passed_over = vec![raw];
        Some(average)
    }

    fn full_name(&self, part: &str) -> String {
        match (self.part.as_str(), part) {
            ("", part) => part.to_owned(),
            (whole, "") => whole.to_owned(),
            (whole, part) => format!("{whole}.{part}"),
        }
    }
}

/// The name under `prefix` that `LitEma` gives to a tensor of a module.
fn dotless(prefix: &str, module: &str, name: &str) -> String {
    format!(
        "{prefix}.{}{}",
        module.replace('.', ""),
        name.replace('.', "")
    )
}

/// The only part, or the only average: by the last word between dots, or else by any.
fn choose<'a>(parts: &[&'a str]) -> Option<&'a str> {
    let only = |is_meant: fn(&str) -> bool| {
        let mut meant = parts.iter().filter(|part| is_meant(part));
        meant.next().filter(|_| meant.next().is_none()).copied()
    };
    only(|_| true)
        .or_else(|| only(|part| part.rsplit('.').next().is_some_and(is_average)))
        .or_else(|| only(is_average))
}

fn is_average(part: &str) -> bool {
    part.split(|character: char| !character.is_alphanumeric())
        .any(|word| {
            AVERAGES
                .iter()
                .any(|average| word.eq_ignore_ascii_case(average))
        })
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;

//! What a visitor asks for: the words of an address, and their bounds.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most that one request may ask for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Limits {
    /// Images.
    pub images: usize,
    /// Evaluations of the network for each.
    pub steps: usize,
    /// The guidance scale, up or down.
    pub guidance: f64,
    /// Values of all images at all steps, which are kept until every block was asked about them.
    #[serde(skip)]
    values: usize,
}

/// The limits of this server.
pub const LIMITS: Limits = Limits {
    images: 32,
    steps: 1000,
    guidance: 20.0,
    values: 1 << 24,
};

/// The share of blocks to save is a multiple of this, in percent, as it is in comparisons of methods.
pub const BUDGET_STEP: u32 = 5;

/// The largest share to save, in percent.
pub const MOST_BUDGET: u32 = 90;

/// An address as it is written: what is left out is as the network's preset has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Address {
    /// A network's name.
    network: String,
    /// A method's name.
    method: String,
    /// The share to save, in percent.
    budget: String,
    /// A class by its number, `all` or `none`.
    class: String,
    /// The guidance scale.
    guidance: String,
    /// A solver's name.
    solver: String,
    /// Evaluations for each image.
    steps: String,
    /// The seed of all noise.
    seed: String,
    /// How many images.
    images: String,
    /// The sample that is looked into.
    sample: String,
    /// The step that is looked into.
    step: String,
}

/// What images are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassChoice {
    /// Of all classes in turn.
    All,
    /// Of no class.
    None,
    /// Of this one.
    One(usize),
}

/// What is to be drawn, within all bounds that do not depend on the network.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawRequest {
    /// The network's name; the first one where none is named.
    pub network: Option<String>,
    /// The method's name.
    pub method: Option<String>,
    /// The share to save, in percent.
    pub budget: Option<u32>,
    /// What images are of.
    pub class: ClassChoice,
    /// The guidance scale.
    pub guidance: Option<f64>,
    /// The solver's name.
    pub solver: Option<String>,
    /// Evaluations of the full network for each image.
    pub steps: Option<usize>,
    /// The seed of all noise.
    pub seed: Option<u64>,
    /// How many images.
    pub images: usize,
}

/// Where a visitor looks into a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which sample.
    pub sample: usize,
    /// After how many evaluations.
    pub step: usize,
}

/// How many images are drawn where no number is asked for.
pub const DEFAULT_IMAGES: usize = 8;

impl Address {
    /// What it asks for.
    ///
    /// # Errors
    /// Says what is wrong with which word.
    pub fn draw_request(&self) -> Result<DrawRequest, String> {
        let name = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let budget = number(&self.budget, "budget", BUDGET_STEP, MOST_BUDGET)?;
        if let Some(budget) = budget
            && budget % BUDGET_STEP != 0
        {
            return Err(format!(
                "the budget is a multiple of {BUDGET_STEP} %, not {budget}"
            ));
        }
        let most = LIMITS.guidance;
        let class = match self.class.as_str() {
            "" | "all" => ClassChoice::All,
            "none" => ClassChoice::None,
            text => ClassChoice::One(number(text, "class", 0, usize::MAX)?.unwrap_or_default()),
        };
        Ok(DrawRequest {
            network: name(&self.network),
            method: name(&self.method),
            budget,
            class,
            guidance: number(&self.guidance, "guidance", -most, most)?,
            solver: name(&self.solver),
            steps: number(&self.steps, "steps", 1, LIMITS.steps)?,
            seed: number(&self.seed, "seed", 0, u64::MAX)?,
            images: number(&self.images, "images", 1, LIMITS.images)?.unwrap_or(DEFAULT_IMAGES),
        })
    }

    /// Where it looks.
    ///
    /// # Errors
    /// Says what is wrong with which word.
    pub fn place(&self) -> Result<Place, String> {
        let at = |text: &str, what: &str, most: usize| {
            let at = number(text, what, 0, most)?;
            at.ok_or_else(|| format!("the address names no {what}"))
        };
        Ok(Place {
            sample: at(&self.sample, "sample", LIMITS.images - 1)?,
            step: at(&self.step, "step", LIMITS.steps - 1)?,
        })
    }
}

/// Whether a run of so many images of `values` values in so many steps is small enough.
///
/// # Errors
/// Says what to ask for in its place.
pub fn check_size(images: usize, steps: usize, values: usize) -> Result<(), String> {
    let fits = LIMITS.values / values.max(1) / steps.max(1);
    if images <= fits {
        return Ok(());
    }
    Err(format!(
        "{images} images in {steps} steps are too many for images of this size: at most {fits} in so many steps"
    ))
}

/// A number within bounds, where there is one.
fn number<T>(text: &str, what: &str, least: T, most: T) -> Result<Option<T>, String>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(number) if number >= least && number <= most => Ok(Some(number)),
        _ => {
            let shown: String = text.chars().take(24).collect();
            Err(format!(
                "{what} is a number from {least} to {most}, not '{shown}'"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<DrawRequest, String> {
        let uri = format!("/?{query}").parse().unwrap();
        let address = axum::extract::Query::<Address>::try_from_uri(&uri);
        address.map_err(|error| error.body_text())?.draw_request()
    }

    #[test]
    fn what_is_left_out_is_left_open() {
        let request = read("").unwrap();
        assert_eq!(request.images, DEFAULT_IMAGES);
        assert_eq!((request.class, request.budget), (ClassChoice::All, None));
        let request = read("images=3&class=7&seed=18446744073709551615&guidance=-0.5&budget=45");
        let request = request.unwrap();
        assert_eq!((request.images, request.class), (3, ClassChoice::One(7)));
        assert_eq!(request.seed, Some(u64::MAX));
        assert_eq!((request.guidance, request.budget), (Some(-0.5), Some(45)));
    }

    #[test]
    fn bounds_are_told() {
        for (query, told) in [
            ("images=0", "images is a number from 1 to 32, not '0'"),
            ("images=1e3", "images is a number from 1 to 32, not '1e3'"),
            ("steps=1001", "steps is a number from 1 to 1000"),
            (
                "guidance=NaN",
                "guidance is a number from -20 to 20, not 'NaN'",
            ),
            ("guidance=inf", "guidance"),
            ("seed=-1", "seed is a number from 0"),
            ("class=-1", "class"),
            ("budget=47", "a multiple of 5 %"),
            ("budget=95", "budget is a number from 5 to 90"),
            ("colour=red", "unknown field `colour`"),
            ("seed=1&seed=2", "duplicate field `seed`"),
        ] {
            let error = read(query).unwrap_err();
            assert!(error.contains(told), "{query}: {error}");
        }
        assert!(check_size(32, 200, 1024).is_ok());
        let error = check_size(32, 200, 3 * 64 * 64).unwrap_err();
        assert!(error.contains("at most 6 in so many steps"), "{error}");
    }
}

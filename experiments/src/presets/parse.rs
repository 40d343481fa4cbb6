//! Values on the command line, and their bounds.

/// A count of at least one.
pub fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 is needed".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(error.to_string()),
    }
}

/// A share between 0 and 1, both excluded.
pub fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        Ok(_) => Err("a share of blocks lies between 0 and 1, for example 0.45".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A speed-up over the full network.
pub fn speedup(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speedup) if speedup > 1.0 && speedup.is_finite() => Ok(speedup),
        Ok(_) => Err("a speed-up lies above 1, for example 1.6".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

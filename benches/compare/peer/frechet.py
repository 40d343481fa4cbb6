"""The Fréchet distance as pytorch-fid computes it: SciPy's `sqrtm` of the covariances' product."""

import numpy as np
from scipy import linalg

EPSILON = 1e-6


def frechet_distance(mean_a, covariance_a, mean_b, covariance_b) -> float:
    difference = mean_a - mean_b
    root = linalg.sqrtm(covariance_a @ covariance_b)
    if not np.isfinite(root).all():
        offset = np.eye(len(mean_a)) * EPSILON
        root = linalg.sqrtm((covariance_a + offset) @ (covariance_b + offset))
    if np.iscomplexobj(root):
        if not np.allclose(np.diagonal(root).imag, 0, atol=1e-3):
            raise ValueError("the root of the covariances' product is not real")
        root = root.real
    traces = np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.trace(root)
    return float(difference @ difference + traces)

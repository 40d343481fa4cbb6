"""Given features: the formulas alone."""

from pathlib import Path

import numpy as np
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from ours import Ours
from report import Report

TOLERANCE = 1e-6


def check(ours: Ours, report: Report, folder: Path) -> None:
    for samples, others, dims in [(1000, 1200, 64), (2100, 2200, 2048)]:
        x, y = correlated(samples, dims, seed=1), correlated(others, dims, seed=2)
        paths = [folder / name for name in ("x.npy", "y.npy")]
        for path, values in zip(paths, (x, y)):
            np.save(path, values)
        subset = min(samples, others)
        # One subset that is as large as the smaller set, and of it a set of that size.
        equal = folder / "equal.npy"
        np.save(equal, y[:subset])
        found = ours(*paths, "--metrics", "fid,pr,cmmd")
        kid = ours(
            paths[0], equal, "--metrics", "kid", "--kid-subsets", 1, "--kid-subset-size", subset
        )
        x, y = x.astype(np.float64), y.astype(np.float64)
        name = f"features, {samples} and {others} of {dims}"
        distance = calculate_frechet_distance(*statistics(x), *statistics(y))
        report.compare(f"{name}: FID, pytorch-fid", distance, found["fid"], TOLERANCE)
        sides = prc_features_to_metric(torch.tensor(x), torch.tensor(y), verbose=False)
        for side in ("precision", "recall"):
            report.compare(
                f"{name}: {side}, torch-fidelity", sides[side], found["pr"][side], TOLERANCE
            )
        published = kid_features_to_metric(
            torch.tensor(x),
            torch.tensor(y[:subset]),
            kid_subsets=1,
            kid_subset_size=subset,
            verbose=False,
        )
        mean = published["kernel_inception_distance_mean"]
        report.compare(f"{name}: KID, torch-fidelity", mean, kid["kid"]["mean"], TOLERANCE)
        report.compare(f"{name}: CMMD, its formula", cmmd(x, y), found["cmmd"], TOLERANCE)


def correlated(samples: int, dims: int, seed: int) -> np.ndarray:
    """Features above zero, as a network's are, and not independent of each other."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(dims, dims)) / np.sqrt(dims)
    hidden = random.normal(loc=0.1 * seed, scale=0.4 + 0.1 * seed, size=(samples, dims))
    return np.maximum(hidden @ mixing + 0.2, 0).astype(np.float32)


def statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.mean(axis=0), np.cov(values, rowvar=False)


def cmmd(x: np.ndarray, y: np.ndarray) -> float:
    """Jayasumana et al. 2024, section 5, in double precision; google-research's `distance.mmd`."""
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y))

    def mean_kernel(a: np.ndarray, b: np.ndarray) -> float:
        squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
        return np.exp(-squares / (2 * 10.0**2)).mean()

    return 1000 * (mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y))

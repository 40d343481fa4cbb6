"""How far apart the two sides' outputs are."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import exchange


def agreement(case: dict, folder: Path) -> dict:
    """The largest difference of each output, relative to its largest value, and what the outputs
    tell beside it."""
    ours = load_file(folder / exchange.outputs("ours"))
    peer = load_file(folder / exchange.outputs(f"peer-{case['form']}"))
    # Mixed precision is no reference: only the losses show that it does the same work.
    # `start` is the peer's input.
    names = case.get("compared") or sorted(set(ours) - {"start"})
    report = {"errors": {name: error(name, ours[name], peer[name]) for name in names}}
    if "blocks" in ours:
        report["ours_mean_blocks"] = float(ours["blocks"].mean())
        report["ours_blocks_deviation"] = float(ours["blocks"].std())
        report["peer_blocks"] = float(peer["blocks_together"][0])
    return report


def error(name: str, ours, peer) -> float | None:
    """Relative to the largest value; `None` where a value is not finite."""
    if ours.shape != peer.shape:
        raise ValueError(f"{name} has the shapes {ours.shape} and {peer.shape}")
    difference, expected = ours.astype(np.float64) - peer, peer.astype(np.float64)
    # AdamW divides a gradient by its size, however small: single values are noise at zero.
    size = root_mean_square if name.startswith("update.") else largest
    found = size(difference) / size(expected)
    return float(found) if np.isfinite(found) else None


def largest(values) -> float:
    return np.abs(values).max()


def root_mean_square(values) -> float:
    return np.sqrt(np.mean(values**2))

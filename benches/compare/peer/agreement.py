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
    names = case.get("compared") or sorted(set(ours) & set(peer))
    report = {"errors": {name: relative_error(ours[name], peer[name]) for name in names}}
    if "blocks" in ours:
        report["ours_mean_blocks"] = float(ours["blocks"].mean())
        report["ours_blocks_deviation"] = float(ours["blocks"].std())
        report["peer_blocks"] = float(peer["blocks_together"][0])
    return report


def relative_error(ours, peer) -> float | None:
    """`None` where a value is not finite."""
    if ours.shape != peer.shape:
        raise ValueError(f"shapes differ: {ours.shape} and {peer.shape}")
    largest = np.abs(peer.astype(np.float64)).max()
    error = np.abs(ours.astype(np.float64) - peer.astype(np.float64)).max() / largest
    return float(error) if np.isfinite(error) else None

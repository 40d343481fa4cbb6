"""Prints how far bfloat16 moves the noise predictions of U-ViT-S/2: `predictions.py COMPARE_WORKER`."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "compare"))

import numpy as np
from cases import cases, label
from measure import Measurement
from peer.exchange import outputs
from processes import run_peer
from safetensors.numpy import load_file

NAMES = ["noise_prediction/8", "noise_prediction_bfloat16/8"]


def main() -> None:
    python = Path(sys.executable)
    ours = Measurement(Path(sys.argv[1]), python, 2, 1, lambda _: None)
    known = {label(case): case for case in cases("flex", False)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_peer(python, "prepare", known[NAMES[0]], folder)
        found = []
        for case in NAMES:
            with ours.ours(known[case], folder) as worker:
                worker.ask("outputs")
            found.append(load_file(folder / outputs("ours"))["noise"].astype(np.float64))
    single, half = found
    change, size = np.abs(half - single), np.abs(single)
    print(f"largest change {change.max():.4f}, largest value {size.max():.4f}: {change.max() / size.max():.2%}")
    print(f"root of mean squares {np.sqrt((change**2).mean() / (size**2).mean()):.2%}")


if __name__ == "__main__":
    main()

"""Prints Fréchet distances of 1,000 samples whose forecasts have other coefficients or orders than the calibration's.

    coefficients.py PROGRAM FOLDER REDUCTION FORECAST... [--seeds N,N]

PROGRAM is `fashion_mnist`; FOLDER holds `weights.safetensors` and a `calibration.json` with the exit rule `forecast` for
REDUCTION. A FORECAST is JSON: an object for all evaluations in which samples leave with one, or a list of one each.
"""

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path


def run(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def distance(program: Path, weights: Path, reference: Path, reduction: str, seed: str) -> float:
    with tempfile.TemporaryDirectory() as parts:
        options = ["--exit-rule", "forecast", "--reduction", reduction, "--samples", 1000, "--seed", seed, "--out", parts]
        run(program, "evaluate", "--checkpoint", weights, *options)
        merged = run(program, "merge", "--reference", reference, parts)
    return float(re.search(r'"frechet_distance":([\d.]+)', merged)[1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("reduction")
    parser.add_argument("forecasts", nargs="+", type=json.loads)
    parser.add_argument("--seeds", default="0,1,2")
    options = parser.parse_args()
    known = json.loads((options.folder / "calibration.json").read_text())
    wanted = ("forecast", float(options.reduction))
    [calibration] = [one for one in known if (one["exit_rule"], one["reduction"]) == wanted]
    told = [window for window in calibration["windows"] if "forecast" in window]
    with tempfile.TemporaryDirectory() as folder:
        weights, reference = Path(folder) / "weights.safetensors", Path(folder) / "images.npz"
        weights.symlink_to((options.folder / "weights.safetensors").resolve())
        run(options.program, "reference", "--out", reference)
        for forecasts in options.forecasts:
            each = forecasts if isinstance(forecasts, list) else [forecasts] * len(told)
            for window, forecast in zip(told, each, strict=True):
                window["forecast"] = forecast
            (Path(folder) / "calibration.json").write_text(json.dumps([calibration]))
            seeds = options.seeds.split(",")
            found = [distance(options.program, weights, reference, options.reduction, seed) for seed in seeds]
            print(options.reduction, json.dumps(forecasts), *(f"{value:.2f}" for value in found), flush=True)


if __name__ == "__main__":
    main()

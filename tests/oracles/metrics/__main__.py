"""The program `metrics` against pytorch-fid, torch-fidelity, clean-fid and transformers' CLIP.

    python tests/oracles/metrics --binary target/debug/metrics

All of them get the same images, features and weights, which are random; nothing is downloaded.
One line for each figure; exit code 1 if one is further off than its tolerance.
"""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import clip
import features
import images
from ours import Ours
from report import Report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--images", type=int, default=96, help="images in each set")
    parser.add_argument("--device", default="flex", help="where the program computes")
    parser.add_argument("--only", choices=["images", "features", "clip"])
    arguments = parser.parse_args()
    # Of the published programs' own ways, none of which matters here.
    warnings.filterwarnings("ignore")
    report = Report()
    ours = Ours(arguments.binary.resolve(), arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.only in (None, "features"):
            features.check(ours, report, Path(folder))
        if arguments.only in (None, "images"):
            images.check(ours, report, Path(folder), arguments.images)
        if arguments.only in (None, "clip"):
            clip.check(ours, report, Path(folder), arguments.images)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())

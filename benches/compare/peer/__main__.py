"""The side of PyTorch and OpenVINO in the comparison; the driver `run` starts it.

    python peer prepare --case JSON --folder DIR    writes weights and inputs
    python peer serve   --case JSON --folder DIR    loads them and answers requests
    python peer agree   --case JSON --folder DIR    compares what the two sides computed

`serve` answers each JSON line on its standard input with one on its standard output.
"""

import argparse
import json
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["prepare", "serve", "agree"])
    parser.add_argument("--case", type=json.loads, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    # Each command imports what it needs: `serve` is measured, others are not.
    if arguments.command == "prepare":
        import prepare

        prepare.prepare(arguments.case, arguments.folder)
    elif arguments.command == "serve":
        import serve

        serve.serve(arguments.case, arguments.folder)
    else:
        import agreement

        json.dump(agreement.agreement(arguments.case, arguments.folder), sys.stdout)


if __name__ == "__main__":
    main()

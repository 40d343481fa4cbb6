"""Runs the program `metrics`."""

import json
import subprocess
from pathlib import Path


class Ours:
    def __init__(self, binary: Path, device: str) -> None:
        self.binary = binary
        self.device = device

    def __call__(self, *arguments: object) -> dict:
        """The record of a run."""
        command = [self.binary, *arguments, "--allow-small", "--device", self.device]
        run = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if run.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: {run.stderr}")
        return json.loads(run.stdout)

"""The processes that are measured, and how the driver talks to them."""

import json
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent


class WorkerFailed(Exception):
    """A process ended or answered what it should not have."""


class Worker:
    """A process that has loaded a case and answers requests, one JSON line each."""

    def __init__(self, command: list, case: dict, folder: Path, threads: int) -> None:
        self.name = Path(command[0]).name
        self.process = subprocess.Popen(
            [*map(str, command), "--case", json.dumps(case), "--folder", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(threads),
            start_new_session=True,  # an interruption is the driver's to handle
        )
        self.ready = self._answer()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, error, *_) -> None:
        if error is not None:
            self.process.kill()
        self.process.communicate()

    def ask(self, request: str, **details) -> dict:
        try:
            self.process.stdin.write(json.dumps({"request": request, **details}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the missing answer says more
        return self._answer()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            raise WorkerFailed(f"{self.name} ended with status {status}; its words stand above")
        return json.loads(line)


def environment(threads: int) -> dict:
    """The same number of threads for everything that either side computes with."""
    names = ["RAYON", "OMP", "MKL", "OPENBLAS"]
    return os.environ | {f"{name}_NUM_THREADS": str(threads) for name in names}


def peer_command(python: Path, command: str) -> list:
    return [python, HERE / "peer", command]


def run_peer(python: Path, command: str, case: dict, folder: Path) -> str:
    """Runs one of the peer's commands that is not measured; returns what it printed."""
    words = [*peer_command(python, command), "--case", json.dumps(case), "--folder", folder]
    finished = subprocess.run(list(map(str, words)), stdout=subprocess.PIPE, text=True)
    if finished.returncode != 0:
        raise WorkerFailed(f"`peer {command}` failed; its words stand above")
    return finished.stdout


def build_worker(device: str) -> Path:
    """Builds this project's side for a device in release mode; returns the program."""
    words = ["cargo", "build", "--release", "-p", "adadiff-benches", "--bin", "compare_worker"]
    backend = device.split(":")[0]
    words += [] if backend == "flex" else ["--features", backend]
    words.append("--message-format=json-render-diagnostics")
    built = subprocess.run(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        raise WorkerFailed("the Rust side does not build; cargo's words stand above")
    for message in map(json.loads, built.stdout.splitlines()):
        if message.get("executable") and message["target"]["name"] == "compare_worker":
            return Path(message["executable"])
    raise WorkerFailed("cargo did not say where the program compare_worker is")


def prepare_python() -> Path:
    """The interpreter of a virtual environment with the pinned packages, made where there is none."""
    folder = HERE / ".venv"
    python = folder / "bin" / "python"
    requirements = HERE / "requirements.txt"
    stamp = folder / "requirements.txt"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return python
    for words in (
        ["python3", "-m", "venv", folder],
        [python, "-m", "pip", "install", "--quiet", "-r", requirements],
    ):
        if subprocess.run(list(map(str, words))).returncode != 0:
            raise WorkerFailed(
                "the virtual environment could not be made; give an interpreter that has the "
                "packages of requirements.txt with --python"
            )
    stamp.write_text(requirements.read_text())
    return python

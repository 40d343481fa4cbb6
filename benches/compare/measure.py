"""One case: the two sides have to agree, then they take turns."""

import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from cases import engine, for_form, label, precision, tolerance
from processes import Worker, WorkerFailed, peer_command, run_peer

# Threads that wait for work in a loop have gone to sleep by then.
PAUSE_SECONDS = 0.3

WARM_UPS = 2


class Disagreement(Exception):
    """The two sides computed different things."""


class Measurement:
    """The settings of a run of all cases and where its rows go."""

    def __init__(self, program: Path, python: Path, threads: int, runs: int, write) -> None:
        self.program, self.python = program, python
        self.threads, self.runs, self.write = threads, runs, write

    def measure(self, case: dict) -> dict | None:
        """Writes the rows of a case; returns both sides' versions, or nothing where it failed."""
        self.write({"kind": "case", "case": label(case), **case})
        try:
            with tempfile.TemporaryDirectory(prefix="compare-") as name:
                folder = Path(name)
                if case["forms"]:
                    run_peer(self.python, "prepare", case, folder)
                    self.check(case, folder)
                return self.time(case, folder)
        except (WorkerFailed, Disagreement) as error:
            self.write({"kind": "failure", "case": label(case), "reason": str(error)})
            return None

    def check(self, case: dict, folder: Path) -> None:
        """Lets each side compute once in a process of its own and compares the outputs."""
        # Ours is first: the peer samples from the noise that it drew.
        with self.ours(case, folder) as worker:
            worker.ask("outputs")
        for form in case["forms"]:
            formed = for_form(case, form)
            with self.peer(formed, folder) as worker:
                worker.ask("outputs")
            report = json.loads(run_peer(self.python, "agree", formed, folder))
            self.write({"kind": "agreement", "case": label(case), "form": form} | report)
            for output, error in report["errors"].items():
                allowed = tolerance(formed, output)
                if error is None or error > allowed:
                    raise Disagreement(
                        f"{output} differs from {engine(form)}'s by {error} of its size "
                        f"({precision(form)}), more than {allowed}"
                    )

    def time(self, case: dict, folder: Path) -> dict:
        """Runs both sides in turns, each in a process that has done nothing else."""
        with ExitStack() as stack:
            form = case["forms"][0] if case["forms"] else case["form"]
            sides = {("ours", form): stack.enter_context(self.ours(case, folder))}
            for form in case["forms"]:
                peer = self.peer(for_form(case, form), folder)
                sides["peer", form] = stack.enter_context(peer)
            for (side, form), worker in sides.items():
                self.write_row("loaded", case, side, form, **without_versions(worker.ready))
            order = list(sides.items())
            for run in range(-WARM_UPS, self.runs):
                kind = "warm_up" if run < 0 else "run"
                for (side, form), worker in order:
                    time.sleep(PAUSE_SECONDS)
                    answer = worker.ask("run", repeats=case["repeats"])
                    self.write_row(kind, case, side, form, run=run, **answer)
                order.reverse()  # nobody is always first
            for (side, form), worker in sides.items():
                self.write_row("memory", case, side, form, **worker.ask("memory"))
            versions = {"ours": {}, "peer": {}}
            for (side, _), worker in sides.items():
                versions[side] |= worker.ready["ready"]
            return versions

    def ours(self, case: dict, folder: Path) -> Worker:
        command = [self.program, "--device", case["device"]]
        return Worker(command, case, folder, self.threads)

    def peer(self, case: dict, folder: Path) -> Worker:
        return Worker(peer_command(self.python, "serve"), case, folder, self.threads)

    def write_row(self, kind: str, case: dict, side: str, form: str, **values) -> None:
        self.write({"kind": kind, "case": label(case), "side": side, "form": form, **values})


def without_versions(ready: dict) -> dict:
    return {name: value for name, value in ready.items() if name != "ready"}

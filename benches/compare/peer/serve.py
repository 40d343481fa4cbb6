"""Answers the driver's requests, one JSON line each."""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import exchange

# What PyTorch and we import at first use: libraries, not the case's memory.
LATE_IMPORTS = {"training_step": "torch._dynamo", "frechet_distance": "scipy.linalg"}


def serve(case: dict, folder: Path) -> None:
    # Each engine in a process that has not loaded the other.
    engine = import_module("openvino_work" if case["form"].startswith("openvino") else "work")
    if case["work"] in LATE_IMPORTS:
        import_module(LATE_IMPORTS[case["work"]])
    started = memory("VmRSS")
    work = engine.WORKS[case["work"]](case, folder)
    versions = {"python": sys.version.split()[0], **engine.versions()}
    answer({"ready": versions, "started_mb": started, "loaded_mb": memory("VmRSS")})
    for line in sys.stdin:
        request = json.loads(line)
        if request["request"] == "run":
            answer({"seconds": seconds(work, request["repeats"])})
        elif request["request"] == "memory":
            answer({"peak_mb": memory("VmHWM")})
        elif request["request"] == "outputs":
            save(work.outputs(), folder / exchange.outputs(f"peer-{case['form']}"))
            answer({"written": True})
        else:
            raise ValueError(f"unknown request {request}")


def seconds(work, repeats: int) -> float:
    """Mean seconds of a run over `repeats` runs in a row."""
    start = time.perf_counter()
    for _ in range(repeats):
        work.run()
    return (time.perf_counter() - start) / repeats


def answer(reply: dict) -> None:
    print(json.dumps(reply), flush=True)


def memory(field: str) -> float:
    """A field of the kernel's account of this process, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024
    raise ValueError(f"/proc/self/status has no {field}")


def save(outputs: dict, path: Path) -> None:
    save_file({name: np.ascontiguousarray(array) for name, array in outputs.items()}, path)

"""What a comparison ran on."""

import os
import platform
import re
import subprocess
import time
from pathlib import Path

FLAGS = ["avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16"]


def machine(threads: int) -> dict:
    """The processor, the system and how busy it was before the measurement."""
    info = Path("/proc/cpuinfo").read_text()
    flags = set(field(info, "flags|Features").split())
    memory = Path("/proc/meminfo").read_text()
    return {
        "processor": field(info, "model name") or platform.machine(),
        "processor_family": f"{field(info, 'cpu family')}/{field(info, 'model')}",
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "flags": {flag: flag in flags for flag in FLAGS},
        "memory_gb": round(int(field(memory, "MemTotal").split()[0]) / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "rustc": subprocess.run(["rustc", "--version"], stdout=subprocess.PIPE, text=True).stdout.strip(),
        "busy_cores_before": busy_cores(),
    }


def busy_cores(seconds: float = 5.0) -> float:
    """How many cores other work keeps busy now. A load average still tells of the build just before."""

    def idle() -> int:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()
        return int(fields[4]) + int(fields[5])  # idle, and waiting for a disk

    before, start = idle(), time.monotonic()
    time.sleep(seconds)
    idle_seconds = (idle() - before) / os.sysconf("SC_CLK_TCK")
    cores = os.cpu_count() or 1
    return round(max(0.0, cores - idle_seconds / (time.monotonic() - start)), 2)


def computes_bfloat16() -> bool:
    """Whether the processor has instructions for products in bfloat16."""
    flags = field(Path("/proc/cpuinfo").read_text(), "flags|Features").split()
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))


def field(text: str, name: str) -> str:
    found = re.search(rf"^(?:{name})\s*:\s*(.*)$", text, re.MULTILINE)
    return found.group(1) if found else ""

"""`compare.json` and `table.md` from the rows of `raw.jsonl`."""

from statistics import median, quantiles

from cases import engine, precision

# The cases whose fastest run gives the machine's peak, and the first of them that there is: multiply-adds on
# registers on a processor, a large product on a GPU.
YARDSTICKS = ["multiply_adds", "matrix_product"]

# Load average, in threads, above which others take part of the processor.
BUSY = 0.5


def summaries(rows: list[dict]) -> list[dict]:
    """One entry for each case that was timed."""
    timed = [row for row in rows if row["kind"] == "case" and row["name"] not in YARDSTICKS]
    entries = (summary(case, of_case(rows, case), peak_rates(rows)) for case in timed)
    return [entry for entry in entries if entry is not None]


def summary(case: dict, rows: list[dict], peaks: dict[str, float]) -> dict | None:
    memory = [row for row in rows if row["kind"] == "memory"]
    # Memory comes last: a case without it did not come to its end.
    if not memory:
        return None
    peaks_mb = {(row["side"], row["form"]): row["peak_mb"] for row in memory}
    started = [row for row in rows if row["kind"] == "loaded"]
    started_mb = {(row["side"], row["form"]): row["started_mb"] for row in started}
    runs = {worker: seconds_of(rows, *worker) for worker in peaks_mb}
    ours = next(worker for worker in runs if worker[0] == "ours")
    peers = {worker: times for worker, times in runs.items() if worker[0] == "peer"}
    alike = [worker for worker in peers if precision(worker[1]) == ours[1]]
    peer = min(alike, key=lambda worker: median(peers[worker]))
    ours_seconds, peer_seconds = median(runs[ours]), median(runs[peer])
    entry = {
        "case": case["name"],
        "batch": case["batch"],
        "ours_seconds": ours_seconds,
        "peer_seconds": peer_seconds,
        "ratio": peer_seconds / ours_seconds,
        "ours_peak_mb": peaks_mb[ours],
        "peer_peak_mb": peaks_mb[peer],
        "title": case["title"],
        "ours_working_mb": peaks_mb[ours] - started_mb[ours],
        "peer_working_mb": peaks_mb[peer] - started_mb[peer],
        "runs": len(runs[ours]),
        "form": ours[1],
        "peer": "SciPy" if case["name"] == "frechet_distance" else engine(peer[1]),
        "peer_form": peer[1],
        "ours_spread": spread(runs[ours]),
        "peer_spread": spread(runs[peer]),
        "peer_forms": {form: median(times) for (_, form), times in peers.items()},
    }
    flops = flops_of(rows)
    if flops is not None:
        entry["flops"] = flops
        if ours[1] in peaks:
            entry["ours_share_of_peak"] = flops / ours_seconds / peaks[ours[1]]
            entry["peer_share_of_peak"] = flops / peer_seconds / peaks[ours[1]]
    for row in rows:
        if row["kind"] == "agreement" and "peer_blocks" in row:
            names = ["ours_mean_blocks", "ours_blocks_deviation", "peer_blocks"]
            entry |= {name: row[name] for name in names}
    return entry


def of_case(rows: list[dict], case: dict) -> list[dict]:
    return [row for row in rows if row["case"] == case["case"]]


def seconds_of(rows: list[dict], side: str, form: str) -> list[float]:
    worker = (side, form)
    return [r["seconds"] for r in rows if r["kind"] == "run" and (r["side"], r["form"]) == worker]


def flops_of(rows: list[dict]) -> float | None:
    """Floating-point operations of a run, which our side tells when it has loaded."""
    return next((row["flops"] for row in rows if row.get("flops") is not None), None)


def peak_rates(rows: list[dict]) -> dict[str, float]:
    """The most operations per second that were measured in each precision, whichever side ran them."""
    for yardstick in YARDSTICKS:
        cases = [row for row in rows if row["kind"] == "case" and row["name"] == yardstick]
        rates = {}
        for own in (of_case(rows, case) for case in cases):
            runs, flops = [row for row in own if row["kind"] == "run"], flops_of(own)
            if runs and flops:
                rates[runs[0]["form"]] = flops / min(row["seconds"] for row in runs)
        if rates:
            return rates
    return {}


def spread(seconds: list[float]) -> dict:
    lower, _, upper = quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
    return {
        "min": min(seconds),
        "lower_quartile": lower,
        "upper_quartile": upper,
        "max": max(seconds),
    }


def document(rows: list[dict], machine: dict) -> str:
    """The tables of a run as Markdown."""
    entries = summaries(rows)
    parts = [
        heading(rows, machine),
        warning(machine),
        markdown(
            ["case", "batch", "ours, s", "peer, s", "peer", "times as fast", "ours, MiB", "peer, MiB"],
            [comparison(entry) for entry in entries],
        ),
        notes(entries),
        all_peers(entries),
    ]
    shares = [entry for entry in entries if "ours_share_of_peak" in entry]
    if shares:
        parts.append(peaks(rows))
        parts.append(
            markdown(
                ["case", "batch", "GFLOP", "ours, GFLOP/s", "share", "peer, GFLOP/s", "share"],
                [share(entry) for entry in shares],
            )
        )
    failures = [f"- **{r['case']} failed**: {r['reason']}" for r in rows if r["kind"] == "failure"]
    parts.append("\n".join(failures))
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(rows: list[dict], machine: dict) -> str:
    peer, ours = machine.get("peer", {}), machine.get("ours", {})
    runs = max((row["run"] + 1 for row in rows if row["kind"] == "run"), default=0)
    return (
        f"{machine['date']}, {machine['device']}, {machine['processor']}, {machine['threads']} of "
        f"{machine['cores']} cores, adadiff {ours.get('adadiff', '?')} against PyTorch {peer.get('torch', '?')}, "
        f"OpenVINO {peer.get('openvino', 'not there')} and SciPy {peer.get('scipy', '?')}. The peer is the fastest that "
        f"computes in the same precision. Medians of {runs} runs in turns, in brackets the middle "
        "half of them; memory is the highest of the process, in brackets without what it had in use "
        "before it loaded the case: program, libraries, interpreter."
    )


def warning(machine: dict) -> str:
    """What a reader has to know about a machine that was not quiet."""
    busy = machine["busy_cores_before"]
    if busy < BUSY:
        return ""
    return f"**The machine was busy ({busy:.1f} cores at work before the run): times mean little.**"


def comparison(entry: dict) -> list[str]:
    return [
        entry["title"],
        str(entry["batch"]),
        with_spread(entry["ours_seconds"], entry["ours_spread"]),
        with_spread(entry["peer_seconds"], entry["peer_spread"]),
        entry["peer"],
        f"**{entry['ratio']:.2f}**",
        f"{entry['ours_peak_mb']:.0f} ({entry['ours_working_mb']:.0f})",
        f"{entry['peer_peak_mb']:.0f} ({entry['peer_working_mb']:.0f})",
    ]


def with_spread(seconds: float, spread: dict) -> str:
    return f"{seconds:.4g} ({spread['lower_quartile']:.4g}–{spread['upper_quartile']:.4g})"


def notes(entries: list[dict]) -> str:
    lines = []
    for entry in entries:
        if "peer_blocks" in entry:
            lines.append(
                f"- {entry['title']}: our samples ran {entry['ours_mean_blocks']:.2f} ± "
                f"{entry['ours_blocks_deviation']:.2f} blocks, PyTorch's batch "
                f"{entry['peer_blocks']:.0f}."
            )
    return "\n".join(lines)


def all_peers(entries: list[dict]) -> str:
    """Every peer in every precision, where there is more than one."""
    entries = [entry for entry in entries if len(entry["peer_forms"]) > 1]
    if not entries:
        return ""
    forms = list(dict.fromkeys(form for entry in entries for form in entry["peer_forms"]))
    seconds = [
        [f"{e['peer_forms'][form]:.4g}" if form in e["peer_forms"] else "–" for form in forms]
        for e in entries
    ]
    names = [f"{engine(form)} {precision(form)}, s" for form in forms]
    lines = [
        [entry["title"], str(entry["batch"]), f"{entry['ours_seconds']:.4g}", *cells]
        for entry, cells in zip(entries, seconds)
    ]
    return markdown(["case", "batch", "ours, s", *names], lines)


def peaks(rows: list[dict]) -> str:
    rates = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {form}" for form, rate in peak_rates(rows).items())
    of_registers = any(row["case"].startswith(f"{YARDSTICKS[0]}/") for row in rows)
    what = "multiply-adds on registers alone" if of_registers else "the fastest large matrix product"
    return f"The machine's peak is that of {what}: {rates}."


def share(entry: dict) -> list[str]:
    cells = [entry["title"], str(entry["batch"]), f"{entry['flops'] / 1e9:.1f}"]
    for side in ("ours", "peer"):
        cells.append(f"{entry['flops'] / entry[f'{side}_seconds'] / 1e9:.0f}")
        cells.append(f"{100 * entry[f'{side}_share_of_peak']:.0f} %")
    return cells


def markdown(header: list[str], lines: list[list[str]]) -> str:
    """A table whose columns are as wide as their widest cell; all but the first are numbers."""
    widths = [max(map(len, column)) for column in zip(header, *lines)]

    def row(cells: list[str]) -> str:
        padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:]))]
        return f"| {' | '.join(padded)} |"

    rule = [":" + "-" * (widths[0] + 1), *("-" * (width + 1) + ":" for width in widths[1:])]
    return "\n".join([row(header), f"|{'|'.join(rule)}|", *map(row, lines)])

"""python3 -m unittest discover benches/compare"""

import unittest

import table

MACHINE = {
    "date": "2030-01-02",
    "device": "flex",
    "processor": "Some CPU",
    "threads": 2,
    "cores": 4,
    "busy_cores_before": 0.25,
    "ours": {"adadiff": "1.2.3"},
    "peer": {"torch": "2.0", "scipy": "1.0", "openvino": "3.0"},
}


def runs(case: str, side: str, seconds: list, form: str = "float32") -> list:
    place = {"case": case, "side": side, "form": form}
    warm_up = {"kind": "warm_up", **place, "run": -1, "seconds": 99.0}
    return [warm_up, *({"kind": "run", **place, "run": i, "seconds": s} for i, s in enumerate(seconds))]


def memory(case: str, side: str, peak: float, started: float, form: str = "float32", **rest) -> list:
    """What a process says when it has loaded and when all is done."""
    place = {"case": case, "side": side, "form": form}
    loaded = {"kind": "loaded", **place, "started_mb": started, "loaded_mb": started + 1, **rest}
    return [loaded, {"kind": "memory", **place, "peak_mb": peak}]


def case(name: str, batch: int, **rest) -> dict:
    place = {"case": f"{name}/{batch}", "name": name, "title": name.title(), "batch": batch}
    return {"kind": "case", **place, **rest}


ROWS = [
    case("multiply_adds", 1),
    *runs("multiply_adds/1", "ours", [0.5, 0.04, 0.05]),
    *memory("multiply_adds/1", "ours", 1, 1, flops=8e9),
    case("prediction", 8),
    *runs("prediction/8", "ours", [0.1, 0.5, 0.2, 0.3, 0.2]),
    *runs("prediction/8", "peer", [0.6, 0.6]),
    *runs("prediction/8", "peer", [0.4, 0.5, 0.5, 0.6, 9.0], form="openvino-float32"),
    *runs("prediction/8", "peer", [0.1, 0.1], form="openvino-bfloat16"),
    *memory("prediction/8", "ours", 100.4, 20.25, flops=1e10),
    *memory("prediction/8", "peer", 900, 1),
    *memory("prediction/8", "peer", 250, 150, form="openvino-float32"),
    *memory("prediction/8", "peer", 900, 1, form="openvino-bfloat16"),
    case("step", 4),
    *runs("step/4", "ours", [2.0, 2.0]),
    *runs("step/4", "peer", [4.0, 4.0]),
    *runs("step/4", "peer", [1.0, 1.0], form="bfloat16"),
    *memory("step/4", "ours", 10, 1, flops=None),
    *memory("step/4", "peer", 30, 2),
    *memory("step/4", "peer", 20, 3, form="bfloat16"),
    case("exit", 16),
    {
        "kind": "agreement",
        "case": "exit/16",
        "ours_mean_blocks": 7.0,
        "ours_blocks_deviation": 2.125,
        "peer_blocks": 7.0,
    },
    *runs("exit/16", "ours", [1.0]),
    *runs("exit/16", "peer", [3.0]),
    *memory("exit/16", "ours", 5, 1),
    *memory("exit/16", "peer", 6, 1),
    case("broken", 1),
    {"kind": "failure", "case": "broken/1", "reason": "noise differs"},
]


class Summaries(unittest.TestCase):
    def setUp(self) -> None:
        self.entries = {entry["case"]: entry for entry in table.summaries(ROWS)}

    def test_only_cases_that_were_timed_are_listed_and_the_yardstick_is_not(self):
        self.assertEqual(list(self.entries), ["prediction", "step", "exit"])

    def test_medians_ratio_memory_and_spread_leave_warm_ups_out(self):
        entry = self.entries["prediction"]
        self.assertEqual(entry["ours_seconds"], 0.2)
        self.assertEqual(entry["peer_seconds"], 0.5)
        self.assertEqual(entry["ratio"], 2.5)
        self.assertEqual((entry["ours_peak_mb"], entry["peer_peak_mb"]), (100.4, 250))
        self.assertAlmostEqual(entry["ours_working_mb"], 80.15)
        self.assertEqual(entry["peer_working_mb"], 100)
        self.assertEqual(entry["runs"], 5)
        self.assertEqual(
            entry["peer_spread"],
            {"min": 0.4, "lower_quartile": 0.5, "upper_quartile": 0.6, "max": 9.0},
        )

    def test_the_share_is_that_of_the_fastest_multiply_adds_or_else_product(self):
        entry = self.entries["prediction"]
        self.assertAlmostEqual(entry["ours_share_of_peak"], 0.25)
        self.assertAlmostEqual(entry["peer_share_of_peak"], 0.1)
        self.assertNotIn("ours_share_of_peak", self.entries["step"])
        product = [row | {"case": "matrix_product/1"} for row in ROWS[1:6]]
        rows = [case("matrix_product", 1), *product, *runs("matrix_product/1", "peer", [0.02]), *ROWS[6:]]
        self.assertEqual(table.peak_rates(ROWS), {"float32": 2e11})
        self.assertEqual(table.peak_rates(rows), {"float32": 4e11})

    def test_we_are_measured_against_the_fastest_peer_of_the_same_precision(self):
        entry = self.entries["prediction"]
        self.assertEqual((entry["form"], entry["peer_form"]), ("float32", "openvino-float32"))
        self.assertEqual(entry["peer"], "OpenVINO")
        entry = self.entries["step"]
        self.assertEqual((entry["peer_form"], entry["ratio"]), ("float32", 2.0))
        self.assertEqual((entry["peer_peak_mb"], entry["peer_working_mb"]), (30, 28))
        self.assertEqual(entry["peer_forms"], {"float32": 4.0, "bfloat16": 1.0})


class Document(unittest.TestCase):
    def test_everything_is_said_once(self):
        document = table.document(ROWS, MACHINE)
        for expected in (
            "2030-01-02, flex, Some CPU, 2 of 4 cores, adadiff 1.2.3 against PyTorch 2.0, OpenVINO 3.0 and SciPy 1.0.",
            "Medians of 5 runs",
            "| Prediction |     8 | 0.2 (0.2–0.3) | 0.5 (0.5–0.6) | OpenVINO |      **2.50** |  100 (80) | 250 (100) |",
            "| Step       |     4 |       2 |                  4 |                   – |                    – |                   1 |",
            "our samples ran 7.00 ± 2.12 blocks, PyTorch's batch 7.",
            "multiply-adds on registers alone: 200 GFLOP/s in float32.",
            "| Prediction |     8 |  10.0 |            50 |  25 % |            20 |  10 % |",
            "- **broken/1 failed**: noise differs",
        ):
            self.assertEqual(document.count(expected), 1, f"{expected}\n\n{document}")

    def test_a_busy_machine_is_named(self):
        self.assertNotIn("busy", table.document(ROWS, MACHINE))
        document = table.document(ROWS, MACHINE | {"busy_cores_before": 3.21})
        self.assertIn("3.2 cores at work", document)

    def test_without_the_yardstick_there_are_no_shares(self):
        rows = [row for row in ROWS if not row["case"].startswith("multiply_adds")]
        self.assertNotIn("GFLOP", table.document(rows, MACHINE))

    def test_columns_are_aligned(self):
        text = table.markdown(["a", "number"], [["long name", "1"]])
        self.assertEqual(
            text, "| a         | number |\n|:----------|-------:|\n| long name |      1 |"
        )


if __name__ == "__main__":
    unittest.main()

"""What OpenVINO does in the cases that it takes part in. PyTorch is not loaded here: its memory is
not OpenVINO's."""

import os
from importlib.metadata import version
from pathlib import Path

import openvino
import openvino.properties as properties
import openvino.properties.hint as hint
from safetensors.numpy import load_file

import exchange

PRECISIONS = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}


class NoisePrediction:
    """One request at a time with all threads, which OpenVINO calls latency."""

    def __init__(self, case: dict, folder: Path) -> None:
        threads = int(os.environ["OMP_NUM_THREADS"])
        model = openvino.Core().compile_model(
            folder / exchange.OPENVINO_MODEL,
            "CPU",
            {
                hint.inference_precision: PRECISIONS[case["form"].removeprefix("openvino-")],
                hint.performance_mode: hint.PerformanceMode.LATENCY,
                properties.inference_num_threads: threads,
            },
        )
        inputs = load_file(folder / exchange.INPUTS)
        self.inputs = [inputs["noisy"], inputs["timesteps"]]
        self.request = model.create_infer_request()

    def run(self):
        return self.request.infer(self.inputs, share_inputs=True, share_outputs=True)[0]

    def outputs(self) -> dict:
        return {"noise": self.run().copy()}


WORKS = {"noise_prediction": NoisePrediction}


def versions() -> dict:
    return {"openvino": version("openvino")}

"""What PyTorch (and SciPy) do in each case.

A work is built from a case and the folder with its weights and inputs. `run` does once what is
timed; `outputs` does it once and returns what the two sides have to agree on.
"""

import os
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file

import exchange
import solver
import uvit

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def place(case: dict) -> torch.device:
    """The GPU of a case that is measured on one of CUDA's, the CPU for all others."""
    return torch.device(case["device"] if case["device"].startswith("cuda") else "cpu")


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class NoisePrediction:
    """In float32, or with weights and images cast to bfloat16."""

    def __init__(self, case: dict, folder: Path) -> None:
        self.device = place(case)
        dtype = torch.bfloat16 if case["form"] == "bfloat16" else torch.float32
        self.model = uvit.load(case["network"], folder / exchange.WEIGHTS).to(self.device, dtype)
        inputs = load_file(folder / exchange.INPUTS, device=str(self.device))
        self.noisy, self.timesteps = inputs["noisy"].to(dtype), inputs["timesteps"]

    @torch.inference_mode()
    def run(self):
        noise = self.model(self.noisy, self.timesteps)
        wait(self.device)
        return noise

    def outputs(self) -> dict:
        return {"noise": self.run().float().cpu()}


class TrainingStep:
    """Forward, backward and AdamW, in float32 or with PyTorch's mixed precision."""

    def __init__(self, case: dict, folder: Path) -> None:
        self.model = uvit.load(case["network"], folder / exchange.WEIGHTS)
        self.inputs = load_file(folder / exchange.INPUTS)
        self.mixed = case["form"] == "bfloat16"
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=case["learning_rate"],
            betas=tuple(case["betas"]),
            eps=case["epsilon"],
            weight_decay=case["weight_decay"],
            fused=True,
        )

    def backward(self):
        inputs = self.inputs
        with torch.autocast("cpu", dtype=torch.bfloat16) if self.mixed else nullcontext():
            noise = self.model(inputs["noisy"], inputs["timesteps"], inputs.get("labels"))
            loss = F.mse_loss(noise.float(), inputs["noise"])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        return loss.detach()

    def run(self):
        loss = self.backward()
        self.optimizer.step()
        return loss

    def outputs(self) -> dict:
        first = self.backward()
        parameters = dict(self.model.named_parameters())
        gradients = {
            f"gradient.{name}": parameters[name].grad.clone() for name in exchange.COMPARED_GRADIENTS
        }
        weight = parameters[exchange.OPTIMIZED_WEIGHT]
        before = weight.detach().clone()
        self.optimizer.step()
        update = {f"update.{exchange.OPTIMIZED_WEIGHT}": weight.detach() - before}
        second = self.backward()
        return {"losses": torch.stack([first, second]), **gradients, **update}


class Sampling:
    """Starts from the noise that the Rust side drew for its own outputs."""

    def __init__(self, case: dict, folder: Path) -> None:
        self.model = uvit.load(case["network"], folder / exchange.WEIGHTS)
        with safe_open(folder / exchange.outputs("ours"), framework="pt") as file:
            self.start = file.get_tensor("start")
        self.steps = case["steps"]

    @torch.inference_mode()
    def run(self):
        return solver.sample(self.model, self.start, self.steps)

    def outputs(self) -> dict:
        return {"images": self.run()}


class EarlyExit:
    """The published code's way: an output head and an estimator at every block, and the whole
    batch leaves at the first block whose mean certainty over the batch is above the threshold."""

    def __init__(self, case: dict, folder: Path) -> None:
        self.device = place(case)
        model = uvit.load(case["network"], folder / exchange.WEIGHTS, estimators=True)
        self.model = model.to(self.device)
        self.inputs = load_file(folder / exchange.INPUTS, device=str(self.device))
        self.threshold = self.inputs["batch_certainty"].item()

    @torch.inference_mode()
    def run(self):
        noise = self.leave_together()[0]
        wait(self.device)
        return noise

    def leave_together(self):
        states = self.model.hidden_states(self.inputs["noisy"], self.inputs["timesteps"])
        for block, hidden in enumerate(states):
            noise = self.model.decode(hidden)
            certainty = self.model.certainty(block, hidden)
            if certainty.mean().item() > self.threshold:
                break
        return noise, block + 1

    @torch.inference_mode()
    def outputs(self) -> dict:
        """Every sample's noise and number of blocks under our rule, and the batch's own number."""
        threshold = self.inputs["sample_certainty"].item()
        noisy, timesteps = self.inputs["noisy"], self.inputs["timesteps"]
        noise = torch.empty_like(noisy)
        blocks = torch.zeros(len(noisy), device=self.device)
        for block, hidden in enumerate(self.model.hidden_states(noisy, timesteps)):
            staying = blocks == 0
            noise[staying] = self.model.decode(hidden[staying])
            blocks[staying & (self.model.certainty(block, hidden) > threshold)] = block + 1
        blocks[blocks == 0] = block + 1
        together = torch.tensor([float(self.leave_together()[1])])
        return {"noise": noise.cpu(), "blocks": blocks.cpu(), "blocks_together": together}


class FidFeatures:
    """pytorch-fid's own network, as its command runs it."""

    def __init__(self, case: dict, folder: Path) -> None:
        import fid_network  # torchvision is no part of the other cases' memory

        self.network = fid_network.load(folder / exchange.WEIGHTS)
        self.images = load_file(folder / exchange.INPUTS)["images"] / 255

    @torch.inference_mode()
    def run(self):
        return self.network(self.images)[0].flatten(1)

    def outputs(self) -> dict:
        return {"features": self.run()}


class Decoding:
    """Latents to images."""

    def __init__(self, case: dict, folder: Path) -> None:
        import autoencoder  # no part of the other cases

        self.network = autoencoder.load(folder / exchange.WEIGHTS)
        self.latents = load_file(folder / exchange.INPUTS)["latents"]

    @torch.inference_mode()
    def run(self):
        return self.network.decode(self.latents)

    def outputs(self) -> dict:
        return {"images": self.run()}


class FrechetDistance:
    def __init__(self, case: dict, folder: Path) -> None:
        import frechet  # SciPy is no part of the other cases' memory

        self.distance = frechet.frechet_distance
        with safe_open(folder / exchange.INPUTS, framework="np") as file:
            self.inputs = [file.get_tensor(name) for name in exchange.GAUSSIANS]

    def run(self):
        return self.distance(*self.inputs)

    def outputs(self) -> dict:
        return {"distance": torch.from_numpy(np.array([self.run()]))}


class MatrixProduct:
    def __init__(self, case: dict, folder: Path) -> None:
        self.device = place(case)
        dtype = torch.bfloat16 if case["form"] == "bfloat16" else torch.float32
        inputs = load_file(folder / exchange.INPUTS, device=str(self.device))
        self.a, self.b = inputs["a"].to(dtype), inputs["b"].to(dtype)

    @torch.inference_mode()
    def run(self):
        product = self.a @ self.b
        wait(self.device)
        return product

    def outputs(self) -> dict:
        return {"product": self.run().float().cpu()}


WORKS = {
    "noise_prediction": NoisePrediction,
    "training_step": TrainingStep,
    "sampling": Sampling,
    "early_exit": EarlyExit,
    "fid_features": FidFeatures,
    "decoding": Decoding,
    "frechet_distance": FrechetDistance,
    "matrix_product": MatrixProduct,
}


def versions() -> dict:
    return {
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "scipy": version("scipy"),
        "torch_threads": torch.get_num_threads(),
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }

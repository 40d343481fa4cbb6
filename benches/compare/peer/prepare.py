"""Writes the weights and inputs of a case; nothing here is timed."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import exchange
import uvit

SEED = 1234

# Deviation of everything that is not a weight matrix, none of which is left at zero or one.
DEVIATION = 0.1

# How fast the certainty of a sample's blocks rises, in logits per block.
RISE = 0.5


def prepare(case: dict, folder: Path) -> None:
    torch.manual_seed(SEED)
    tensors = PREPARATIONS[case["work"]](case, folder)
    save_file(tensors, folder / exchange.INPUTS)


def noise_prediction(case: dict, folder: Path) -> dict[str, Tensor]:
    model = random_network(case["network"])
    save_weights(model, folder)
    noisy, timesteps = torch.randn(image_shape(case)), 999 * torch.rand(case["batch"])
    if any(form.startswith("openvino") for form in case["forms"]):
        convert(model, noisy, timesteps, folder)
    return {"noisy": noisy, "timesteps": timesteps}


def convert(model: uvit.UVit, noisy: Tensor, timesteps: Tensor, folder: Path) -> None:
    """Writes the network as OpenVINO runs it, with the sizes of its inputs fixed and its weights as they
    are."""
    import openvino  # no part of the other cases' memory

    shapes = [tuple(noisy.shape), tuple(timesteps.shape)]
    converted = openvino.convert_model(model.eval(), input=shapes, example_input=(noisy, timesteps))
    openvino.save_model(converted, folder / exchange.OPENVINO_MODEL, compress_to_fp16=False)


def training_step(case: dict, folder: Path) -> dict[str, Tensor]:
    inputs = noise_prediction(case, folder) | {"noise": torch.randn(image_shape(case))}
    classes = case["network"].get("classes")
    if classes is not None:
        inputs["labels"] = torch.randint(classes, (case["batch"],))
    return inputs


def sampling(case: dict, folder: Path) -> dict[str, Tensor]:
    save_weights(random_network(case["network"]), folder)
    return {}  # the Rust side draws the noise that sampling starts from


@torch.inference_mode()
def early_exit(case: dict, folder: Path) -> dict[str, Tensor]:
    """Samples of different contrast, which estimators can tell apart, and thresholds with which a
    batch leaves as a whole where its samples leave on average."""
    batch = case["batch"]
    model = random_network(case["network"], estimators=True)
    contrast = torch.linspace(0.25, 1.75, batch)[:, None, None, None]
    noisy = contrast * torch.randn(image_shape(case))
    timesteps = torch.full((batch,), 500.0)
    hidden = list(model.hidden_states(noisy, timesteps))

    blocks = len(hidden)
    middle, spread = (blocks + 1) / 2, (blocks - 1) / 4
    wished = torch.linspace(middle - spread, middle + spread, batch)[torch.randperm(batch)]
    for block, state in enumerate(hidden):
        fit_estimator(model, block, state, RISE * (block + 1 - wished))
    save_weights(model, folder)

    certainty = torch.stack([model.certainty(b, state) for b, state in enumerate(hidden)])
    together = certainty.mean(dim=1)
    leave = round(middle)  # blocks
    if not together[leave - 1] > together[: leave - 1].max():
        raise ValueError("the batch's certainty does not rise to the block that it is to leave at")
    return {
        "noisy": noisy,
        "timesteps": timesteps,
        "batch_certainty": (together[leave - 1] + together[: leave - 1].max()) / 2,
        "sample_certainty": sample_threshold(certainty, leave),
    }


def fit_estimator(model: uvit.UVit, block: int, state: Tensor, logits: Tensor) -> None:
    """Gives each sample's mean token its logit, by the smallest weights that do."""
    layer = model.lte_classifer[block].lte
    means = state[:, model.extra_tokens :].mean(dim=1)
    centred = means - means.mean(dim=0)
    weights = torch.linalg.pinv(centred) @ (logits - logits.mean())
    layer.weight.copy_(weights.expand_as(layer.weight))
    layer.bias.fill_(logits.mean() - means.mean(dim=0) @ weights)


def sample_threshold(certainty: Tensor, blocks: int) -> Tensor:
    """The threshold with which samples leave after `blocks` on average, as nearly as possible and
    as far as possible from any certainty `[blocks, batch]`."""

    def distance(threshold: Tensor) -> float:
        above = certainty > threshold
        above[-1] = True
        exits = above.int().argmax(dim=0) + 1
        return abs(exits.float().mean().item() - blocks)

    values = certainty.flatten().sort().values
    gaps = values.diff()
    candidates = (values[:-1] + values[1:]) / 2
    best = min(distance(threshold) for threshold in candidates)
    suitable = [i for i, threshold in enumerate(candidates) if distance(threshold) == best]
    return candidates[max(suitable, key=lambda i: gaps[i])]


def fid_features(case: dict, folder: Path) -> dict[str, Tensor]:
    import fid_network  # torchvision is no part of the other cases' memory

    save_file(fid_network.random_weights(), folder / exchange.WEIGHTS)
    return {"images": torch.randint(256, (case["batch"], 3, 32, 32)).float()}


def decoding(case: dict, folder: Path) -> dict[str, Tensor]:
    import autoencoder  # no part of the other cases

    save_file(autoencoder.Autoencoder().state_dict(), folder / exchange.WEIGHTS)
    side = case["image_size"] // 8
    return {"latents": torch.randn(case["batch"], autoencoder.LATENT_CHANNELS, side, side)}


def frechet_distance(case: dict, folder: Path) -> dict[str, Tensor]:
    """Two sets of features with a falling spectrum, more samples than dimensions."""
    dims = case["dims"]
    random = np.random.default_rng(SEED)
    spectrum = 1 / np.sqrt(1 + np.arange(dims))
    tensors = {}
    for name in "ab":
        mixing = random.standard_normal((dims, dims)) / np.sqrt(dims)
        features = (random.standard_normal((2 * dims, dims)) * spectrum) @ mixing
        tensors[f"mean_{name}"] = torch.from_numpy(features.mean(axis=0))
        tensors[f"covariance_{name}"] = torch.from_numpy(np.cov(features, rowvar=False))
    return tensors


def matrix_product(case: dict, folder: Path) -> dict[str, Tensor]:
    size = case["size"]
    return {name: torch.randn(size, size) for name in "ab"}


def image_shape(case: dict) -> tuple[int, int, int, int]:
    network = case["network"]
    return case["batch"], network["channels"], network["image_size"], network["image_size"]


@torch.no_grad()
def random_network(network: dict, estimators: bool = False) -> uvit.UVit:
    """A network whose every part changes the result: initial weights, as they are small, would let
    mistakes pass. Convolutions have PyTorch's initial ones."""
    model = uvit.UVit(network, estimators)
    model.pos_embed.normal_(std=DEVIATION)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(std=module.in_features**-0.5)
        elif isinstance(module, nn.LayerNorm):
            module.weight.normal_(1.0, DEVIATION)
        if isinstance(module, (nn.Linear, nn.LayerNorm)) and module.bias is not None:
            module.bias.normal_(std=DEVIATION)
    return model


def save_weights(model: uvit.UVit, folder: Path) -> None:
    save_file(model.state_dict(), folder / exchange.WEIGHTS)


PREPARATIONS = {
    "noise_prediction": noise_prediction,
    "training_step": training_step,
    "sampling": sampling,
    "early_exit": early_exit,
    "fid_features": fid_features,
    "decoding": decoding,
    "frechet_distance": frechet_distance,
    "matrix_product": matrix_product,
}

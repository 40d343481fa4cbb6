"""FID's Inception network with random weights, for each of the published programs."""

from pathlib import Path

import numpy as np
import pytorch_fid.inception as published
import torch
import torchvision


def write_weights(path: Path) -> None:
    """Weights under which features neither vanish nor explode, under the published names."""
    random = np.random.default_rng(0)
    # torchvision's network pools differently, but has the same tensors.
    network = torchvision.models.inception_v3(
        num_classes=1008, aux_logits=False, init_weights=False, weights=None
    )
    state = network.state_dict()
    for name, tensor in state.items():
        uniform = random.uniform(-1, 1, size=tuple(tensor.shape))
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith(".conv.weight"):
            values = uniform * np.sqrt(6 / np.prod(tensor.shape[1:]))
        elif name.endswith(".running_var"):
            values = 1 + 0.5 * uniform
        elif name.endswith(".bn.weight"):
            values = 1 + 0.3 * uniform
        elif name == "fc.weight":
            values = uniform * 2 * np.sqrt(3 / tensor.shape[1])
        else:
            values = 0.3 * uniform
        tensor.copy_(torch.tensor(values))
    torch.save(state, path)


def use_weights(path: Path) -> None:
    """Lets pytorch-fid load them in place of those that it downloads."""
    published.load_state_dict_from_url = lambda *_, **__: torch.load(path)

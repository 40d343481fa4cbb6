"""FID's Inception network as pytorch-fid has it, with weights that the case brings: the published ones cannot be
handed on."""

from pathlib import Path

import pytorch_fid.inception as published
import torch
import torchvision
from safetensors.torch import load_file


def random_weights() -> dict[str, torch.Tensor]:
    """Weights under which features neither vanish nor explode, under the published names."""
    # torchvision's network pools differently, but has the same tensors.
    network = torchvision.models.inception_v3(
        num_classes=1008, aux_logits=False, init_weights=False, weights=None
    )
    state = network.state_dict()
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        uniform = 2 * torch.rand_like(tensor) - 1
        if name.endswith(".conv.weight"):
            tensor.copy_(uniform * (6 / tensor[0].numel()) ** 0.5)
        elif name.endswith((".running_var", ".bn.weight")):
            tensor.copy_(1 + 0.3 * uniform)
        else:
            tensor.copy_(0.3 * uniform)
    return state


def load(path: Path) -> torch.nn.Module:
    published.load_state_dict_from_url = lambda *_, **__: load_file(path)
    return published.InceptionV3([published.InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()

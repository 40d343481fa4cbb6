"""Prints the numbers that `crates/model/src/clip/vision_tests.rs` pins.

    python tests/oracles/metrics/pinned.py
"""

import numpy as np
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from clip import DEVIATION, MEAN


def main() -> None:
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=24,
        projection_dim=6,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=12,
        patch_size=4,
    )
    network = CLIPVisionModelWithProjection(config).eval().double()
    state = network.state_dict()
    for ordinal, name in enumerate(sorted(state)):
        shape = tuple(state[name].shape)
        index = np.arange(np.prod(shape), dtype=np.float64)
        values = 0.4 * np.sin(0.7 * ordinal + 0.37 * index)
        is_scale = "norm" in name and name.endswith("weight") or "layrnorm.weight" in name
        values = values.astype(np.float32).astype(np.float64) + is_scale
        state[name].copy_(torch.tensor(values.reshape(shape)))
    pixels = (37 * np.arange(2 * 3 * 12 * 12) % 251).reshape(2, 3, 12, 12)
    mean, deviation = (np.reshape(values, (1, 3, 1, 1)) for values in (MEAN, DEVIATION))
    with torch.no_grad():
        images = torch.tensor((pixels / 255 - mean) / deviation)
        embeddings = network(pixel_values=images).image_embeds
    for row in embeddings.numpy():
        print("[" + ", ".join(f"{value:.6f}" for value in row) + "]")


if __name__ == "__main__":
    main()

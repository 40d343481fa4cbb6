"""CLIP's image model: transformers' network and the published reading of images, for CMMD."""

import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from features import cmmd
from images import draw
from ours import Ours
from report import Report

TOLERANCE = 1e-3

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def check(ours: Ours, report: Report, folder: Path, count: int) -> None:
    torch.set_grad_enabled(False)
    network = random_network()
    weights, pickled = folder / "clip.safetensors", folder / "clip.bin"
    save_file(network.state_dict(), weights)
    torch.save(network.state_dict(), pickled)
    # One set is enlarged, the other shrunk; both lose what is not in their middle square.
    a, b = folder / "clip-a", folder / "clip-b"
    draw(a, count, size=(40, 51), seed=3)
    draw(b, count, size=(101, 90), seed=4)
    embeddings = [embed(network, path) for path in (a, b)]
    published = cmmd(*embeddings)
    for file in (weights, pickled):
        found = ours(a, b, "--metrics", "cmmd", "--clip-weights", file)
        name = f"images: CMMD, transformers ({file.suffix})"
        report.compare(name, published, found["cmmd"], TOLERANCE)
    # A set of images and embeddings of the other that were computed elsewhere.
    given = folder / "clip-b.npy"
    np.save(given, embeddings[1])
    found = ours(a, given, "--metrics", "cmmd", "--clip-weights", weights)
    name = "images and given embeddings: CMMD, transformers"
    report.compare(name, published, found["cmmd"], TOLERANCE)
    archive = folder / "clip-a.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for file in sorted(a.iterdir()):
            zipped.write(file, file.name)
    again = ours(archive, b, "--metrics", "cmmd", "--clip-weights", weights)["cmmd"]
    expected = ours(a, b, "--metrics", "cmmd", "--clip-weights", weights)["cmmd"]
    report.compare("images: CMMD, a folder and its archive", expected, again, 0)


def random_network() -> CLIPVisionModelWithProjection:
    """A small network, whose weights let tokens differ."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=320,
        projection_dim=48,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=70,
        patch_size=14,
        initializer_factor=4.0,
    )
    return CLIPVisionModelWithProjection(config).eval()


def embed(network: CLIPVisionModelWithProjection, folder: Path) -> np.ndarray:
    """As google-research's `cmmd/io_util.py` and `cmmd/embedding.py` read and embed images."""
    side = network.config.image_size
    images = []
    for file in sorted(folder.iterdir()):
        image = Image.open(file)
        width, height = image.size
        square = min(width, height)
        left, top = (width - square) // 2, (height - square) // 2
        image = image.crop((left, top, left + square, top + square))
        images.append(np.asarray(image.resize((side, side), Image.BICUBIC), dtype=np.float32))
    pixels = (np.stack(images) / 255 - MEAN) / DEVIATION
    pixels = torch.tensor(pixels, dtype=torch.float32).permute(0, 3, 1, 2)
    embeddings = network(pixel_values=pixels).image_embeds.double().numpy()
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)

"""Trains a classifier of another kind than the project's (an MLP-mixer; Tolstikhin et al. 2021, arXiv 2105.01601) on
Fashion-MNIST, and prints Fréchet distances, times 1000, of its features of samples to the test images.

    judge.py FOLDER...    folders that `fashion_mnist sample --samples 2000 --seed 5 --out FOLDER` wrote
"""

import gzip
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

DATA = Path("/usr/share/datasets/fashion-mnist")  # Debian's dataset-fashion-mnist
EPOCHS, BATCH, WIDTH, DEPTH, TOKENS, HIDDEN = 6, 256, 96, 3, 49, 96


def images(name: str) -> np.ndarray:
    return np.frombuffer(gzip.open(DATA / name).read(), np.uint8, offset=16).reshape(-1, 28, 28)


def labels(name: str) -> np.ndarray:
    return np.frombuffer(gzip.open(DATA / name).read(), np.uint8, offset=8).astype(np.int64)


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None] / 127.5 - 1


def mixing(size: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(size), nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size))


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, WIDTH, 4, 4)
        self.tokens = nn.ModuleList(mixing(TOKENS, HIDDEN) for _ in range(DEPTH))
        self.channels = nn.ModuleList(mixing(WIDTH, 2 * WIDTH) for _ in range(DEPTH))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        for tokens, channels in zip(self.tokens, self.channels):
            x = x + tokens(x.transpose(1, 2)).transpose(1, 2)
            x = x + channels(x)
        return self.norm(x).mean(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


def train(network: Mixer, x: torch.Tensor, y: torch.Tensor) -> None:
    steps = len(x) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=EPOCHS * steps)
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for step in range(steps):
            part = order[step * BATCH : (step + 1) * BATCH]
            loss = F.cross_entropy(network(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def main(folders: list[str]) -> None:
    torch.manual_seed(5)
    network = Mixer()
    with torch.enable_grad():
        x, y = (images("train-images-idx3-ubyte.gz"), labels("train-labels-idx1-ubyte.gz"))
        train(network, tensor(x), torch.tensor(y))
    network.eval()
    test = tensor(images("t10k-images-idx3-ubyte.gz"))
    guesses = torch.cat([network(part).argmax(1) for part in test.split(500)]).numpy()
    print("accuracy", (guesses == labels("t10k-labels-idx1-ubyte.gz")).mean())

    def moments(x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        features = torch.cat([network.features(part) for part in x.split(500)]).double().numpy()
        return features.mean(0), np.cov(features.T)

    mean, covariance = moments(test)
    for folder in folders:
        files = sorted(Path(folder, "images").glob("*.png"))
        drawn = np.stack([np.array(Image.open(file).convert("L")) for file in files])[:, 2:30, 2:30]
        other, spread = moments(tensor(drawn))
        roots = np.sqrt(np.maximum(np.linalg.eigvals(covariance @ spread).real, 0)).sum()
        distance = ((mean - other) ** 2).sum() + np.trace(covariance) + np.trace(spread) - 2 * roots
        print(folder, len(files), round(1000 * distance, 2))


main(sys.argv[1:])

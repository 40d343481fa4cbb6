"""U-ViT (Bao et al., CVPR 2023, arXiv 2209.12152) in plain PyTorch, with AdaDiff's estimators.

Parameters have the published names, so that a state dictionary of this network is one that the
Rust side imports. Attention is PyTorch's fused one.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn


def timestep_embedding(timesteps: Tensor, width: int) -> Tensor:
    """`[cos(t f) | sin(t f)]` with `f = 10000^(-i / half)`: `[batch]` to `[batch, width]`."""
    half = width // 2
    exponents = torch.arange(half, dtype=torch.float32, device=timesteps.device) / half
    angles = timesteps[:, None].float() * torch.exp(-math.log(10_000) * exponents)[None]
    embedding = torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)
    return F.pad(embedding, (0, width % 2))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # [batch, heads, tokens, head]
        attended = F.scaled_dot_product_attention(query, key, value)
        return self.proj(attended.transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, skip: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4 * width)
        self.skip_linear = nn.Linear(2 * width, width) if skip else None

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        if self.skip_linear is not None:
            x = self.skip_linear(torch.cat([x, skip], dim=-1))
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, channels: int, width: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch_size, stride=patch_size)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image).flatten(2).transpose(1, 2)


class Estimator(nn.Module):
    """The mean certainty of a block, from the image tokens alone as in the published code."""

    def __init__(self, width: int, values: int) -> None:
        super().__init__()
        self.lte = nn.Linear(width, values)

    def forward(self, tokens: Tensor) -> Tensor:
        """`[batch, patches, width]` to `[batch]`."""
        return torch.sigmoid(self.lte(tokens)).mean(dim=(1, 2))


class UVit(nn.Module):
    """The network of a case's `network` dictionary, whose keys are those of the Rust side."""

    def __init__(self, network: dict, estimators: bool = False) -> None:
        super().__init__()
        channels, width = network["channels"], network["width"]
        self.patch_size, self.channels = network["patch_size"], channels
        self.side = network["image_size"] // self.patch_size
        self.depth, heads = network["depth"], network["heads"]
        classes = network.get("classes")
        self.extra_tokens = 1 + (classes is not None)
        values = self.patch_size**2 * channels

        self.patch_embed = PatchEmbed(channels, width, self.patch_size)
        self.label_emb = None if classes is None else nn.Embedding(classes, width)
        self.pos_embed = nn.Parameter(torch.empty(1, self.extra_tokens + self.side**2, width))
        self.in_blocks = nn.ModuleList(Block(width, heads, False) for _ in range(self.depth // 2))
        self.mid_block = Block(width, heads, False)
        self.out_blocks = nn.ModuleList(Block(width, heads, True) for _ in range(self.depth // 2))
        self.norm = nn.LayerNorm(width)
        self.decoder_pred = nn.Linear(width, values)
        self.final_layer = nn.Conv2d(channels, channels, 3, padding=1)
        if estimators:
            blocks = 2 * (self.depth // 2) + 1
            self.lte_classifer = nn.ModuleList(Estimator(width, values) for _ in range(blocks))

    def embed(self, noisy: Tensor, timesteps: Tensor, labels: Tensor | None) -> Tensor:
        patches = self.patch_embed(noisy)
        time = timestep_embedding(timesteps, patches.shape[-1]).to(patches.dtype)
        tokens = [time[:, None], patches]
        if self.label_emb is not None:
            tokens.insert(0, self.label_emb(labels)[:, None])
        return torch.cat(tokens, dim=1) + self.pos_embed

    def hidden_states(self, noisy: Tensor, timesteps: Tensor, labels: Tensor | None = None):
        """Yields the hidden state `[batch, tokens, width]` after each block."""
        x = self.embed(noisy, timesteps, labels)
        skips = []
        for block in self.in_blocks:
            x = block(x)
            skips.append(x)
            yield x
        x = self.mid_block(x)
        yield x
        for block in self.out_blocks:
            x = block(x, skips.pop())
            yield x

    def decode(self, hidden: Tensor) -> Tensor:
        patches = self.decoder_pred(self.norm(hidden))[:, self.extra_tokens :]
        batch, side, patch = hidden.shape[0], self.side, self.patch_size
        patches = patches.view(batch, side, side, patch, patch, self.channels)  # (p1 p2 C)
        image = patches.permute(0, 5, 1, 3, 2, 4)
        return self.final_layer(image.reshape(batch, self.channels, side * patch, side * patch))

    def certainty(self, block: int, hidden: Tensor) -> Tensor:
        """The mean certainty `[batch]` of a block."""
        return self.lte_classifer[block](hidden[:, self.extra_tokens :])

    def forward(self, noisy: Tensor, timesteps: Tensor, labels: Tensor | None = None) -> Tensor:
        for hidden in self.hidden_states(noisy, timesteps, labels):
            pass
        return self.decode(hidden)


def load(network: dict, path: Path, estimators: bool = False) -> UVit:
    """The network with the weights of a safetensors file, read one by one."""
    with torch.device("meta"):
        model = UVit(network, estimators)
    model.to_empty(device="cpu")
    places = model.state_dict()
    with safe_open(path, framework="pt") as file:
        if set(file.keys()) != set(places):
            raise ValueError(f"{path} does not hold the tensors of the network {network}")
        for name, place in places.items():
            place.copy_(file.get_tensor(name))
    return model

"""U-ViT (Bao et al., CVPR 2023, arXiv 2209.12152) in plain PyTorch, with AdaDiff's estimators.

Parameters have the published names, so that a state dictionary of this network is one that the
Rust side imports. Attention is PyTorch's fused one. Nothing is bound to a precision.
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
    exponents = torch.arange(half, dtype=timesteps.dtype, device=timesteps.device) / half
    angles = timesteps[:, None] * torch.exp(-math.log(10_000) * exponents)[None]
    embedding = torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)
    return F.pad(embedding, (0, width % 2))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, qkv_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
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


def time_mlp(width: int) -> nn.Module:
    """What some networks put the timestep embedding through."""
    return nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))


class Block(nn.Module):
    def __init__(self, network: dict, skip: bool = False) -> None:
        super().__init__()
        width = network["width"]
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, network["heads"], network.get("qkv_bias", False))
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, int(width * network.get("mlp_ratio", 4)))
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
    """The certainty of a block, from the image tokens alone as in the published code."""

    def __init__(self, width: int, values: int) -> None:
        super().__init__()
        self.lte = nn.Linear(width, values)

    def forward(self, tokens: Tensor) -> Tensor:
        """`[batch, patches, width]` to `[batch, patches, values]`."""
        return torch.sigmoid(self.lte(tokens))


class UVit(nn.Module):
    """The network of a `network` dictionary, whose keys are those of the Rust side's `UVitConfig`;
    what a case leaves out is as the published U-ViTs have it."""

    def __init__(self, network: dict, estimators: bool = False) -> None:
        super().__init__()
        channels, width = network["channels"], network["width"]
        self.patch_size, self.channels = network["patch_size"], channels
        self.side = network["image_size"] // self.patch_size
        self.depth = network["depth"]
        half, skips = self.depth // 2, network.get("long_skips", True)
        classes, text = network.get("classes"), network.get("text")
        self.extra_tokens = 1 + (classes is not None) + (0 if text is None else text["tokens"])
        values = self.patch_size**2 * channels

        self.patch_embed = PatchEmbed(channels, width, self.patch_size)
        self.time_embed = time_mlp(width) if network.get("time_mlp", False) else nn.Identity()
        self.label_emb = None if classes is None else nn.Embedding(classes, width)
        self.context_embed = None if text is None else nn.Linear(text["width"], width)
        self.pos_embed = nn.Parameter(torch.empty(1, self.extra_tokens + self.side**2, width))
        self.in_blocks = nn.ModuleList(Block(network) for _ in range(half))
        self.mid_block = Block(network)
        self.out_blocks = nn.ModuleList(Block(network, skips) for _ in range(half))
        self.norm = nn.LayerNorm(width)
        self.decoder_pred = nn.Linear(width, values)
        convolution = network.get("final_convolution", True)
        self.final_layer = (
            nn.Conv2d(channels, channels, 3, padding=1) if convolution else nn.Identity()
        )
        if estimators:
            # An odd depth has one more than blocks, which nothing uses.
            count = self.depth + 1
            self.lte_classifer = nn.ModuleList(Estimator(width, values) for _ in range(count))

    def embed(self, noisy: Tensor, timesteps: Tensor, condition: Tensor | None) -> Tensor:
        patches = self.patch_embed(noisy)
        embedding = timestep_embedding(timesteps, patches.shape[-1]).to(patches.dtype)
        tokens = [self.time_embed(embedding)[:, None], patches]
        if self.label_emb is not None:
            tokens.insert(0, self.label_emb(condition)[:, None])
        if self.context_embed is not None:
            tokens.insert(1, self.context_embed(condition))
        return torch.cat(tokens, dim=1) + self.pos_embed

    def hidden_states(self, noisy: Tensor, timesteps: Tensor, condition: Tensor | None = None):
        """Yields the hidden state `[batch, tokens, width]` after each block. The condition is class
        labels `[batch]` or text `[batch, text tokens, text width]`."""
        x = self.embed(noisy, timesteps, condition)
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
        return self.final_layer(self.unpatchify(patches))

    def unpatchify(self, patches: Tensor) -> Tensor:
        """`[batch, patches, values]` to `[batch, channels, size, size]`."""
        batch, side, patch = patches.shape[0], self.side, self.patch_size
        patches = patches.view(batch, side, side, patch, patch, self.channels)  # (p1 p2 C)
        image = patches.permute(0, 5, 1, 3, 2, 4)
        return image.reshape(batch, self.channels, side * patch, side * patch)

    def certainty_map(self, block: int, hidden: Tensor) -> Tensor:
        """The certainty `[batch, channels, size, size]` of a block, whose input gets no gradient."""
        return self.unpatchify(self._certainty(block, hidden.detach()))

    def certainty(self, block: int, hidden: Tensor) -> Tensor:
        """The mean certainty `[batch]` of a block."""
        return self._certainty(block, hidden).mean(dim=(1, 2))

    def _certainty(self, block: int, hidden: Tensor) -> Tensor:
        return self.lte_classifer[block](hidden[:, self.extra_tokens :])

    def forward(self, noisy: Tensor, timesteps: Tensor, condition: Tensor | None = None) -> Tensor:
        for hidden in self.hidden_states(noisy, timesteps, condition):
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

"""Stable Diffusion's KL autoencoder, with the names of its published weights. Only the decoder computes; the encoder's
weights make a file of all that the network has."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = [128, 256, 512, 512]
LATENT_CHANNELS = 4
SCALE_FACTOR = 0.18215


def norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=1e-6)


def convolution(inputs: int, outputs: int, side: int = 3, **rest) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, side, **({"padding": side // 2} | rest))


class ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = norm(inputs), convolution(inputs, outputs)
        self.norm2, self.conv2 = norm(outputs), convolution(outputs, outputs)
        if inputs != outputs:
            self.nin_shortcut = convolution(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv1(functional.silu(self.norm1(x)))
        hidden = self.conv2(functional.silu(self.norm2(hidden)))
        return hidden + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class Attention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = norm(channels)
        for name in ["q", "k", "v", "proj_out"]:
            setattr(self, name, convolution(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        pixels = [layer(normed).flatten(2).transpose(1, 2) for layer in (self.q, self.k, self.v)]
        attended = functional.scaled_dot_product_attention(*pixels)
        return x + self.proj_out(attended.transpose(1, 2).reshape(x.shape))


class Middle(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(channels, channels)
        self.attn_1 = Attention(channels)
        self.block_2 = ResidualBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Resampling(nn.Module):
    """The convolution after doubling, or that halves."""

    def __init__(self, channels: int, **rest) -> None:
        super().__init__()
        self.conv = convolution(channels, channels, **rest)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    def __init__(self, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResidualBlock(outputs if block else inputs, outputs) for block in range(blocks)
        )


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_in = convolution(3, CHANNELS[0])
        inputs = [CHANNELS[0], *CHANNELS]
        self.down = nn.ModuleList(Level(*sizes, 2) for sizes in zip(inputs, CHANNELS))
        for level in self.down[:-1]:
            level.downsample = Resampling(level.block[-1].conv2.out_channels, stride=2, padding=0)
        self.mid = Middle(CHANNELS[-1])
        self.norm_out = norm(CHANNELS[-1])
        self.conv_out = convolution(CHANNELS[-1], 2 * LATENT_CHANNELS)


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_in = convolution(LATENT_CHANNELS, CHANNELS[-1])
        self.mid = Middle(CHANNELS[-1])
        inputs = [*CHANNELS[1:], CHANNELS[-1]]
        self.up = nn.ModuleList(Level(*sizes, 3) for sizes in zip(inputs, CHANNELS))
        for level in self.up[1:]:
            level.upsample = Resampling(level.block[-1].conv2.out_channels)
        self.norm_out = norm(CHANNELS[0])
        self.conv_out = convolution(CHANNELS[0], 3)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            for block in level.block:
                x = block(x)
            if hasattr(level, "upsample"):
                x = level.upsample(x)
        return self.conv_out(functional.silu(self.norm_out(x)))


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()
        self.quant_conv = convolution(2 * LATENT_CHANNELS, 2 * LATENT_CHANNELS, 1)
        self.post_quant_conv = convolution(LATENT_CHANNELS, LATENT_CHANNELS, 1)

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(latents / SCALE_FACTOR))


def load(path: Path) -> Autoencoder:
    network = Autoencoder()
    network.load_state_dict(load_file(path))
    return network.eval()

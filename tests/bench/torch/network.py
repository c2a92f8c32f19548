"""The denoiser of src/diffusion/denoiser.rs, with the same names of parameters."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def gelu(x):
    return F.gelu(x, approximate="tanh")


class TimeEmbedding(nn.Module):
    """src/nn/time.rs"""

    def __init__(self, width):
        super().__init__()
        half = width // 2
        self.register_buffer(
            "frequencies",
            torch.pow(1e4, -torch.arange(half, dtype=torch.float64) / half),
            persistent=False,
        )
        self.mlp = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width)])

    def forward(self, log_snr):
        angles = (1000.0 * (log_snr + 12.0) / 200.0)[:, None] * self.frequencies
        features = torch.cat([angles.cos(), angles.sin()], 1).float()
        return self.mlp[1](gelu(self.mlp[0](features)))


class Attention(nn.Module):
    """src/nn/attention.rs"""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        split = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """src/nn/transformer.rs"""

    def __init__(self, width, heads):
        super().__init__()
        self.attention = Attention(width, heads)
        self.mlp = nn.ModuleList([nn.Linear(width, 4 * width), nn.Linear(4 * width, width)])
        self.modulation = nn.ModuleDict(
            {"attention": nn.Linear(width, 3 * width), "mlp": nn.Linear(width, 3 * width)}
        )

    def forward(self, x, cond):
        cond = gelu(cond)
        shift, scale, gate = self.modulation["attention"](cond)[:, None].chunk(3, 2)
        x = x + gate * self.attention(normalised(x) * (1 + scale) + shift)
        shift, scale, gate = self.modulation["mlp"](cond)[:, None].chunk(3, 2)
        h = normalised(x) * (1 + scale) + shift
        return x + gate * self.mlp[1](gelu(self.mlp[0](h)))


def normalised(x):
    return F.layer_norm(x, x.shape[-1:])


class Denoiser(nn.Module):
    def __init__(self, length, letters, embedding, width, layers, heads):
        super().__init__()
        self.layers = layers
        self.input = nn.Linear(embedding + letters, width)
        self.positions = nn.Parameter(0.3 * torch.randn(1, length, width))
        self.time = TimeEmbedding(width)
        for i in range(layers):
            self.add_module(f"block{i}", Block(width, heads))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, letters)

    def forward(self, z, local, log_snr):
        """Logits (B, L, V) of states (B, L, D), letter probabilities (B, L, V) and log signal-to-noise ratios (B) or (1)."""
        time = self.time(log_snr).expand(z.shape[0], -1)
        x = self.input(torch.cat([z, local], 2)) + self.positions
        for i in range(self.layers):
            x = getattr(self, f"block{i}")(x, time)
        return self.output(self.norm(x))


def shaken(network):
    """Away from the zeros that some weights of a new network are."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.05)
    return network


def scales(log_snr):
    """Signal and noise of a variance-preserving process."""
    variance = 1.0 / (1.0 + math.exp(-log_snr))
    return math.sqrt(variance), math.sqrt(1.0 - variance)

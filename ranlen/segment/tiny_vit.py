"""TinyViT (Wu et al., 2022) as MobileSAM (Zhang et al., 2023) uses it: the image encoder of a small SAM.

Written from the papers and the names in the public checkpoint, so that the latter loads strictly once its unused
classifier (`norm_head`, `head`) is dropped. The widths are those of the five-million-parameter model.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (64, 128, 160, 320)
DEPTHS = (2, 2, 6, 2)
HEADS = (2, 4, 5, 10)
WINDOWS = (7, 7, 14, 7)
STRIDES = (2, 2, 1)  # between the stages; SAM keeps the last one at a sixteenth of the image
EXPAND = 4


class TinyViT(nn.Module):
    """Image encoder: (N, 3, S, S), normalized as SAM does, to an embedding (N, 256, S/16, S/16)."""

    def __init__(self, img_size: int = 1024, out_channels: int = 256) -> None:
        super().__init__()
        self.img_size = img_size  # SAM's name for the side it pads photos to
        self.patch_embed = PatchEmbed(WIDTHS[0])
        self.layers = nn.ModuleList(Stage(index) for index in range(len(WIDTHS)))
        self.neck = nn.Sequential(
            Pointwise(WIDTHS[-1], out_channels),
            ChannelNorm(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            ChannelNorm(out_channels),
        )

    def forward(self, image: Tensor) -> Tensor:
        x = self.patch_embed(image)
        for layer in self.layers:
            x = layer(x)
        return self.neck(x)


class PatchEmbed(nn.Module):
    """Two convolutions to a quarter of the size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvNorm(3, width // 2, 3, stride=2), nn.GELU(), ConvNorm(width // 2, width, 3, stride=2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.seq(x)


class Stage(nn.Module):
    """Blocks of one resolution, and the step down to the next: convolutions in the first, attention in the others."""

    def __init__(self, index: int) -> None:
        super().__init__()
        width = WIDTHS[index]
        self.blocks = nn.ModuleList(
            ConvBlock(width) if index == 0 else Block(width, HEADS[index], WINDOWS[index]) for _ in range(DEPTHS[index])
        )
        last = index == len(WIDTHS) - 1
        self.downsample = None if last else Downsample(width, WIDTHS[index + 1], STRIDES[index])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class Pointwise(nn.Conv2d):
    """A convolution of one pixel as the product of matrices that it is: torch's own copies the image on one thread.

    In a graph it stays a convolution, which ONNX Runtime does faster.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            return super().forward(x)
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class ConvNorm(nn.Sequential):
    """A convolution without bias and its batch normalization, under the checkpoint's names."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        wide = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.c = Pointwise(inputs, outputs) if kernel == 1 else wide
        self.bn: nn.Module = nn.BatchNorm2d(outputs)


class ConvBlock(nn.Module):
    """Inverted bottleneck: wider, depthwise, back, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = EXPAND * width
        self.conv1 = ConvNorm(width, hidden, 1)
        self.conv2 = ConvNorm(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvNorm(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x))))))


class Downsample(nn.Module):
    """To the next stage's width, and by the stride to its size."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs, 1)
        self.conv2 = ConvNorm(outputs, outputs, 3, stride=stride, groups=outputs)
        self.conv3 = ConvNorm(outputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


class Block(nn.Module):
    """Attention within windows, a depthwise convolution, and two linear layers at each place."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = Attention(width, heads, window)
        self.local_conv = ConvNorm(width, width, 3, groups=width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.local_conv(x + self._attend(x))
        return x + self.mlp(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _attend(self, x: Tensor) -> Tensor:
        x, side = x.permute(0, 2, 3, 1), self.window
        count, height, breadth, width = x.shape
        # Zeros fill up the last windows and take part in them: the checkpoint was trained so.
        x = F.pad(x, (0, 0, 0, -breadth % side, 0, -height % side))
        down, across = x.shape[1] // side, x.shape[2] // side
        x = x.view(count, down, side, across, side, width).transpose(2, 3)  # (N, down, across, side, side, C)
        x = self.attn(x.reshape(-1, side * side, width)).view(count, down, across, side, side, width)
        x = x.transpose(2, 3).reshape(count, down * side, across * side, width)
        return x[:, :height, :breadth].permute(0, 3, 1, 2)


class Attention(nn.Module):
    """Attention among the pixels of a window (N, side^2, C), with a learned bias for each offset."""

    offsets: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        rows, columns = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
        rows, columns = rows.flatten(), columns.flatten()
        offsets = (rows[:, None] - rows).abs() * window + (columns[:, None] - columns).abs()
        self.register_buffer("offsets", offsets, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        count, places, width = x.shape
        # Each head's query, key and value lie side by side.
        parts = self.qkv(self.norm(x)).view(count, places, self.heads, 3, width // self.heads)
        query, key, value = parts.permute(3, 0, 2, 1, 4)  # each (N, heads, places, C / heads)
        bias = self.attention_biases[None, :, self.offsets].to(query.dtype)  # of three dimensions, torch would be slow
        x = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.proj(x.transpose(1, 2).reshape(count, places, width))


class Mlp(nn.Module):
    """Two linear layers on the last dimension."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, EXPAND * width)
        self.fc2 = nn.Linear(EXPAND * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class ChannelNorm(nn.Module):
    """Layer normalization over the channels of (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6)
        return x.permute(0, 3, 1, 2)

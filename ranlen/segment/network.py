"""SAM's network (Kirillov et al., 2023): an image encoder, and the two small parts that turn prompts into masks.

Prompt encoder and mask decoder were written from the paper's appendix A and the names in the public checkpoints, which
load strictly. SAM's own sizes have them in common with MobileSAM. There is no batch: one photo, one set of prompts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ranlen.segment.tiny_vit import ChannelNorm

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of R, G and B, as the encoders were trained
WIDTH, HEADS, HIDDEN, DEPTH = 256, 8, 2048, 2
MASKS = 4  # the first for prompts that mean one thing; the others are what a single click may mean
OUTSIDE, INSIDE, CORNER, OPPOSITE = range(4)  # what a point says; the last two are of a box


class Network(nn.Module):
    """All of SAM around an image encoder (N, 3, S, S) -> (N, 256, S/16, S/16), whose `img_size` is S."""

    image_encoder: Any

    def __init__(self, image_encoder: nn.Module) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = PromptEncoder()
        self.mask_decoder = MaskDecoder()

    @property
    def side(self) -> int:
        """Length of the sides of the square that photos are padded to, in pixels."""
        return self.image_encoder.img_size

    def encode(self, image: Tensor) -> Tensor:
        """An image (1, 3, h, w) in [0, 255], whose longer side fills the square, to its embedding (1, 256, g, g)."""
        mean, std = (torch.tensor(values, device=image.device).view(3, 1, 1) for values in (MEAN, STD))
        height, width = image.shape[2:]
        square = F.pad((image - mean) / std, (0, self.side - width, 0, self.side - height))
        return self.image_encoder(square.contiguous(memory_format=torch.channels_last))

    def decode(
        self, embedding: Tensor, points: Tensor, kinds: Sequence[int], mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Masks of one photo.

        Args:
            embedding: (1, 256, g, g), of `encode`.
            points: (N, 2), x and y from 0 to 1 across the square; at least one.
            kinds: what each of them says: OUTSIDE, INSIDE, or CORNER and OPPOSITE, the upper left and the lower right
                corner of a box.
            mask: logits (1, 1, 4g, 4g) of the answer so far.

        Returns:
            Logits (4, 4g, 4g), and the IoUs that SAM expects of them (4,).
        """
        height, width = embedding.shape[2:]
        tokens, known = self.prompt_encoder(points, kinds, mask)
        return self.mask_decoder(
            embedding + known, self.prompt_encoder.pe_layer(centers(height, width, points)), tokens
        )


def centers(height: int, width: int, like: Tensor) -> Tensor:
    """Of all cells of a grid, row by row: (height * width, 2), x and y from 0 to 1."""
    y, x = ((torch.arange(count, device=like.device) + 0.5) / count for count in (height, width))
    return torch.cartesian_prod(y, x).flip(1)


class PromptEncoder(nn.Module):
    """Points to tokens (T, 256); a mask, or that there is none, to what is added to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.pe_layer = Fourier()
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, WIDTH) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, WIDTH)
        self.no_mask_embed = nn.Embedding(1, WIDTH)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, 2, 2), ChannelNorm(4), nn.GELU(),
            nn.Conv2d(4, 16, 2, 2), ChannelNorm(16), nn.GELU(),
            nn.Conv2d(16, WIDTH, 1),
        )  # fmt: skip

    def forward(self, points: Tensor, kinds: Sequence[int], mask: Tensor | None) -> tuple[Tensor, Tensor]:
        learned = torch.cat(list(self.point_embeddings.parameters()))
        tokens = self.pe_layer(points) + learned[list(kinds)]
        if CORNER not in kinds:  # a token stands for the box that is not there: the checkpoints were trained so
            tokens = torch.cat([tokens, self.not_a_point_embed.weight])
        known = self.no_mask_embed.weight.view(1, WIDTH, 1, 1) if mask is None else self.mask_downscaling(mask)
        return tokens, known


class Fourier(nn.Module):
    """Where points (N, 2) lie: sines and cosines of random waves across the square, (N, 256)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, WIDTH // 2))

    def forward(self, points: Tensor) -> Tensor:
        angles = 2 * torch.pi * ((2 * points - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], 1)


class MaskDecoder(nn.Module):
    """Tokens and embedding change each other; then each mask's token is a filter over the embedding, enlarged."""

    def __init__(self) -> None:
        super().__init__()
        self.iou_token = nn.Embedding(1, WIDTH)
        self.mask_tokens = nn.Embedding(MASKS, WIDTH)
        self.transformer = TwoWayTransformer()
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(WIDTH, WIDTH // 4, 2, 2), ChannelNorm(WIDTH // 4), nn.GELU(),
            nn.ConvTranspose2d(WIDTH // 4, WIDTH // 8, 2, 2), nn.GELU(),
        )  # fmt: skip
        self.output_hypernetworks_mlps = nn.ModuleList(Perceptron(WIDTH // 8) for _ in range(MASKS))
        self.iou_prediction_head = Perceptron(MASKS)

    def forward(self, embedding: Tensor, places: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight, prompts])
        tokens, image = self.transformer(tokens, embedding[0].flatten(1).T, places)
        image = self.output_upscaling(image.T.reshape(embedding.shape))[0]
        filters = [
            make(token) for make, token in zip(self.output_hypernetworks_mlps, tokens[1 : 1 + MASKS], strict=True)
        ]
        return torch.tensordot(torch.stack(filters), image, 1), self.iou_prediction_head(tokens[0])


class TwoWayTransformer(nn.Module):
    """Tokens (T, 256) and an image (g^2, 256), each changed by the other; `places` (g^2, 256): where its pixels lie."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(first=index == 0) for index in range(DEPTH))
        self.final_attn_token_to_image = Attention(WIDTH // 2)
        self.norm_final_attn = nn.LayerNorm(WIDTH)

    def forward(self, asked: Tensor, image: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        tokens = asked  # added again wherever tokens are compared, so that what was asked is not forgotten
        for layer in self.layers:
            tokens, image = layer(tokens, image, asked, places)
        tokens = tokens + self.final_attn_token_to_image(tokens + asked, image + places, image)
        return self.norm_final_attn(tokens), image


class TwoWayBlock(nn.Module):
    """Tokens among themselves, tokens to image, each token alone, image to tokens."""

    def __init__(self, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(WIDTH)
        self.cross_attn_token_to_image = Attention(WIDTH // 2)
        self.cross_attn_image_to_token = Attention(WIDTH // 2)
        self.mlp = nn.Sequential(
            OrderedDict(lin1=nn.Linear(WIDTH, HIDDEN), act=nn.ReLU(), lin2=nn.Linear(HIDDEN, WIDTH))
        )
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(WIDTH) for _ in range(4))

    def forward(self, tokens: Tensor, image: Tensor, asked: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        if self.first:  # tokens are still what was asked, and are replaced
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            tokens = tokens + self.self_attn(tokens + asked, tokens + asked, tokens)
        tokens = self.norm1(tokens)
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + asked, image + places, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(image + places, tokens + asked, tokens))
        return tokens, image


class Attention(nn.Module):
    """Attention of (Q, 256) to (K, 256), in `inner` channels over all heads."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(WIDTH, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, WIDTH)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        parts = self.q_proj(query), self.k_proj(key), self.v_proj(value)
        heads = (part.unflatten(1, (HEADS, -1)).transpose(0, 1)[None] for part in parts)  # (1, heads, places, channels)
        return self.out_proj(F.scaled_dot_product_attention(*heads)[0].transpose(0, 1).flatten(1))


class Perceptron(nn.Module):
    """Three linear layers."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, width) for width in (WIDTH, WIDTH, outputs))

    def forward(self, x: Tensor) -> Tensor:
        first, second, last = self.layers
        return last(F.relu(second(F.relu(first(x)))))

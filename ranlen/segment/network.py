"""SAM's network (Kirillov et al., 2023): an image encoder, and the two small parts that turn prompts into masks.

Prompt encoder and mask decoder were written from the paper's appendix A and the names in the public checkpoints, which
load strictly. SAM's own sizes have them in common with MobileSAM. There is no batch: one photo, one set of prompts.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ranlen.segment.engine import NOWHERE
from ranlen.segment.tiny_vit import ChannelNorm

WIDTH, HEADS, HIDDEN, DEPTH = 256, 8, 2048, 2
MASKS = 4  # the first for prompts that mean one thing; the others are what a single click may mean


class Network(nn.Module):
    """All of SAM around an image encoder (N, 3, S, S) -> (N, 256, S/16, S/16), whose `img_size` is S."""

    image_encoder: Any

    def __init__(self, image_encoder: nn.Module) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = PromptEncoder()
        self.mask_decoder = MaskDecoder()

    def decode(
        self, embedding: Tensor, points: Tensor, kinds: Tensor, mask: Tensor, given: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What `Engine.decode` does; whether the mask was `given` is a boolean, zeros stand for one that was not."""
        height, width = embedding.shape[2:]
        tokens, known = self.prompt_encoder(points, kinds, mask, given)
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

    def forward(self, points: Tensor, kinds: Tensor, mask: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        learned = torch.cat([*self.point_embeddings.parameters(), self.not_a_point_embed.weight])
        tokens = self.pe_layer(points) * (kinds != NOWHERE)[:, None] + learned[kinds]
        known = torch.where(given, self.mask_downscaling(mask), self.no_mask_embed.weight.view(1, WIDTH, 1, 1))
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

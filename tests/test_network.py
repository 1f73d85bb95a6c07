"""SAM's prompt encoder and mask decoder, beside Meta's own; and its own image encoders, taken from Meta's package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from ranlen.io.images import Photo
from ranlen.masks import regions
from ranlen.models import weights
from ranlen.segment import Prompts, checkpoints, engine_torch
from ranlen.segment.checkpoints import SegmenterError
from ranlen.segment.engine import CORNER, INSIDE, NOWHERE, OPPOSITE, OUTSIDE
from ranlen.segment.engine_torch import TorchEngine
from ranlen.segment.network import Network, centers
from ranlen.segment.sam import Sam
from ranlen.segment.tiny_vit import TinyViT
from tests.discs import disc_photo

TORCHVISION = [f"torchvision{name}" for name in ("", ".ops", ".ops.boxes", ".transforms", ".transforms.functional")]


@pytest.fixture(scope="module")
def package() -> Iterator[ModuleType]:
    """segment-anything. The torchvision that it imports need not be there; nothing is resized in these tests."""
    if find_spec("segment_anything") is None:
        pytest.skip("pip install segment-anything")
    stand_in = SimpleNamespace(resize=lambda x, size: x, to_pil_image=np.asarray, batched_nms=None, box_area=None)
    with pytest.MonkeyPatch.context() as patch:
        for name in TORCHVISION:
            patch.setitem(sys.modules, name, stand_in)
        yield import_module("segment_anything")


@pytest.fixture(scope="module")
def ours() -> Network:
    """MobileSAM for photos of 256 pixels, whose square has 16 x 16 places."""
    network = Network(TinyViT(256)).eval().requires_grad_(False)
    network.load_state_dict(checkpoints.read(weights.shipped() / checkpoints.TENSORS))
    return network


@pytest.fixture(scope="module")
def theirs(package, ours) -> torch.nn.Module:
    """The package's network around the same image encoder, with the same weights."""
    parts = package.modeling
    network = parts.Sam(
        ours.image_encoder,
        parts.PromptEncoder(
            embed_dim=256, image_embedding_size=(16, 16), input_image_size=(256, 256), mask_in_chans=16
        ),
        parts.MaskDecoder(
            transformer_dim=256,
            transformer=parts.TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
        ),
    )
    network.load_state_dict(ours.state_dict())  # the names are the same, both ways
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize(
    ("inside", "outside", "box"), [(1, 0, False), (3, 2, False), (0, 0, True), (0, 1, True), (2, 2, True)]
)
def test_prompts_and_masks_are_those_of_metas_code(ours, theirs, inside, outside, box, mask):
    count = inside + outside
    generator = torch.Generator().manual_seed(count)
    points = torch.rand(count + 2 * box, 2, generator=generator)
    labels = [1] * inside + [0] * outside
    logits = 4 * torch.randn(1, 1, 64, 64, generator=generator) if mask else None
    kinds = torch.tensor([INSIDE] * inside + [OUTSIDE] * outside + ([CORNER, OPPOSITE] if box else [NOWHERE]))
    ours_points = (
        points if box else torch.cat([points, torch.rand(1, 2, generator=generator)])
    )  # of one that says nothing
    given = torch.zeros(1, 1, 64, 64) if logits is None else logits, torch.tensor(mask)
    embedding = 0.2 * torch.randn(1, 256, 16, 16, generator=generator)

    tokens, known = theirs.prompt_encoder(
        points=((256 * points[:count] - 0.5)[None], torch.tensor([labels])) if count else None,
        boxes=(256 * points[count:] - 0.5).reshape(1, 4) if box else None,
        masks=logits,
    )
    places = theirs.prompt_encoder.get_dense_pe()
    our_tokens, our_known = ours.prompt_encoder(ours_points, kinds, *given)
    our_places = ours.prompt_encoder.pe_layer(centers(16, 16, points))
    torch.testing.assert_close(our_tokens, tokens[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(our_known.expand_as(known), known, rtol=0, atol=1e-5)
    torch.testing.assert_close(our_places, places[0].flatten(1).T, rtol=0, atol=1e-5)

    for several, which in ((True, slice(1, None)), (False, slice(1))):
        masks, quality = theirs.mask_decoder(embedding, places, tokens, known, several)
        found, expected = (part[which] for part in ours.decode(embedding, ours_points, kinds, *given))
        assert masks.abs().max() > 1
        torch.testing.assert_close(found, masks[0], rtol=0, atol=1e-5 * masks.abs().max().item())
        torch.testing.assert_close(expected, quality[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(192, 256), (256, 256), (96, 128), (500, 300)])
def test_the_logits_are_those_of_metas_own_predictor(package, ours, theirs, size):
    segmenter = Sam(TorchEngine(ours))
    predictor = package.SamPredictor(theirs)
    pixels = cv2.resize(disc_photo()[0].pixels, size[::-1])
    prepared = segmenter.prepare(Photo(pixels))
    # Resizing differs by a level or two (ours averages areas), so the predictor is given our embedding.
    predictor.features, predictor.is_image_set = torch.tensor(prepared.embedding), True
    predictor.original_size, predictor.input_size = prepared.size, prepared.inner
    mask = regions.disc(size, (40, 40), 30)
    prompts = Prompts(((30.5, 20.5), (40.0, 30.0)), ((70.5, 80.0),), (10.0, 12.0, 90.0, 80.0), mask)
    half = np.divide(size, prepared.inner)[::-1] / 2  # a pixel of the square: its centres are whole numbers there
    _, quality, logits = predictor.predict(
        point_coords=np.array([*prompts.inside, *prompts.outside]) - half,
        point_labels=np.array([1, 1, 0]),
        box=np.array(prompts.box) - np.tile(half, 2),
        mask_input=segmenter._mask_prompt(mask, prepared.inner)[0],
    )
    found, expected = segmenter._decode(prepared, prompts, several=True)
    np.testing.assert_allclose(found, logits, rtol=0, atol=1e-5 * np.abs(logits).max())
    np.testing.assert_allclose(expected, quality, rtol=0, atol=1e-5)


def test_the_embedding_is_that_of_metas_own_predictor_where_nothing_is_resized(package, ours, theirs):
    pixels = disc_photo()[0].pixels[:192, :256]
    predictor = package.SamPredictor(theirs)
    predictor.set_image(pixels)
    found = Sam(TorchEngine(ours)).prepare(Photo(pixels)).embedding
    torch.testing.assert_close(torch.tensor(found), predictor.features)


@pytest.mark.parametrize("kind", ["vit_b", "vit_l", "vit_h"])
def test_a_vit_comes_from_the_package_without_any_torchvision(monkeypatch, kind):
    if find_spec("segment_anything") is None:
        pytest.skip("pip install segment-anything")
    monkeypatch.setitem(sys.modules, "torchvision", None)  # an import of it fails
    for name in [name for name in sys.modules if "segment_anything" in name]:
        monkeypatch.delitem(sys.modules, name)
    with torch.device("meta"):
        network = engine_torch.build(kind)
    assert checkpoints.kind_of(network.state_dict()) == kind
    assert network.image_encoder.img_size == 1024
    assert "segment_anything" not in sys.modules  # half a package would be in the way of who imports it


def test_a_vit_answers_with_our_decoder(package):
    vit = package.modeling.ImageEncoderViT(
        img_size=256, embed_dim=32, depth=2, num_heads=2, use_rel_pos=True, window_size=14, global_attn_indexes=(1,)
    )
    torch.manual_seed(0)
    photo, _ = disc_photo()
    segmenter = Sam(TorchEngine(Network(vit)))
    prepared = segmenter.prepare(photo)
    assert prepared.embedding.shape == (1, 256, 16, 16)
    assert segmenter.segment(prepared, Prompts(box=(130, 40, 250, 160))).shape == photo.size


def test_only_a_vit_misses_a_missing_package_and_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    assert isinstance(engine_torch.build("vit_t").image_encoder, TinyViT)
    with pytest.raises(SegmenterError, match="pip install segment-anything"):
        engine_torch.build("vit_b")

"""MobileSAM: its small encoder, the weights that are shipped, and how they were packed."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks import regions
from ranlen.models import weights
from ranlen.segment import Prompts, checkpoints, choice, engine_torch
from ranlen.segment.checkpoints import SegmenterError
from ranlen.segment.engine import open_engine
from ranlen.segment.engine_onnx import OnnxEngine
from ranlen.segment.engine_torch import TorchEngine
from ranlen.segment.network import Network
from ranlen.segment.prompts import PromptError
from ranlen.segment.sam import Sam
from ranlen.segment.tiny_vit import ConvNorm, TinyViT
from tests.discs import CENTER, answer, disc_photo, iou
from train import export_sam
from train import mobile_sam as mobile_sam_file

# --- TinyViT ---

LINEAR, NORM = ("weight", "bias"), ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def published_names() -> set[str]:
    """The names in MobileSAM's image encoder, without the classifier."""

    def convolution(name: str) -> set[str]:
        return {f"{name}.c.weight"} | {f"{name}.bn.{each}" for each in NORM}

    def linear(name: str) -> set[str]:
        return {f"{name}.{each}" for each in LINEAR}

    names = convolution("patch_embed.seq.0") | convolution("patch_embed.seq.2")
    for stage, depth in enumerate((2, 2, 6, 2)):
        for block in (f"layers.{stage}.blocks.{index}" for index in range(depth)):
            if stage == 0:
                names |= set().union(*(convolution(f"{block}.conv{k}") for k in (1, 2, 3)))
                continue
            names |= convolution(f"{block}.local_conv") | {f"{block}.attn.attention_biases"}
            names |= set().union(*(linear(f"{block}.attn.{k}") for k in ("norm", "qkv", "proj")))
            names |= set().union(*(linear(f"{block}.mlp.{k}") for k in ("norm", "fc1", "fc2")))
        if stage < 3:
            names |= set().union(*(convolution(f"layers.{stage}.downsample.conv{k}") for k in (1, 2, 3)))
    return names | {"neck.0.weight", "neck.2.weight"} | linear("neck.1") | linear("neck.3")


def test_tiny_vit_has_the_names_and_shapes_of_the_public_checkpoint():
    state = TinyViT().state_dict()
    assert set(state) == published_names()
    assert {name: tuple(state[name].shape) for name in (
        "patch_embed.seq.0.c.weight", "layers.0.blocks.0.conv2.c.weight", "layers.0.downsample.conv1.c.weight",
        "layers.1.blocks.1.attn.attention_biases", "layers.2.blocks.5.attn.attention_biases",
        "layers.2.blocks.0.attn.qkv.weight", "layers.3.blocks.0.mlp.fc1.weight", "neck.0.weight",
    )} == {
        "patch_embed.seq.0.c.weight": (32, 3, 3, 3), "layers.0.blocks.0.conv2.c.weight": (256, 1, 3, 3),
        "layers.0.downsample.conv1.c.weight": (128, 64, 1, 1), "layers.1.blocks.1.attn.attention_biases": (4, 49),
        "layers.2.blocks.5.attn.attention_biases": (5, 196), "layers.2.blocks.0.attn.qkv.weight": (480, 160),
        "layers.3.blocks.0.mlp.fc1.weight": (1280, 320), "neck.0.weight": (256, 320, 1, 1),
    }  # fmt: skip


def test_tiny_vit_keeps_a_sixteenth_of_the_size():
    with torch.inference_mode():
        assert TinyViT().eval()(torch.rand(1, 3, 128, 96)).shape == (1, 256, 8, 6)


def test_attention_is_what_the_formula_says():
    """Softmax of scaled products plus a bias for each offset, written as loops."""
    from ranlen.segment.tiny_vit import Attention

    torch.manual_seed(0)
    layer = Attention(8, 2, 3).double()
    with torch.no_grad():
        layer.attention_biases.normal_()
    x = torch.randn(1, 9, 8, dtype=torch.double)
    parts = layer.qkv(layer.norm(x)).view(9, 2, 3, 4)  # places, heads, (query, key, value), C / heads
    out = torch.zeros(9, 2, 4, dtype=torch.double)
    for head in range(2):
        for here in range(9):
            scores = []
            for there in range(9):
                offset = abs(here // 3 - there // 3) * 3 + abs(here % 3 - there % 3)
                product = parts[here, head, 0] @ parts[there, head, 1] / 4**0.5
                scores.append(product + layer.attention_biases[head, offset])
            out[here, head] = torch.stack(scores).softmax(0) @ parts[:, head, 2]
    torch.testing.assert_close(layer(x)[0], layer.proj(out.reshape(9, 8)))


@pytest.mark.slow
def test_a_checkpoint_named_like_mobile_sams_loads_strictly_and_answers(tmp_path):
    torch.manual_seed(0)
    model = engine_torch.build("vit_t").eval()
    state = model.state_dict()
    classifier = {"image_encoder.norm_head.weight": torch.ones(320), "image_encoder.head.bias": torch.zeros(1000)}
    torch.save(state | classifier, tmp_path / "mobile_sam.pt")
    loaded = Sam.load(tmp_path / "mobile_sam.pt")
    image = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(
            loaded.engine.model.image_encoder(image), model.image_encoder(image), rtol=1e-3, atol=1e-4
        )
    for name, tensor in loaded.engine.model.mask_decoder.state_dict().items():
        assert torch.equal(tensor, state[f"mask_decoder.{name}"]), name
    prepared = loaded.prepare(disc_photo()[0])
    assert prepared.embedding.shape == (1, 256, 64, 64)
    assert loaded._decode(prepared, Prompts(inside=(CENTER,)), several=True)[0].shape == (3, 256, 256)
    del state["mask_decoder.iou_token.weight"]
    torch.save(state, tmp_path / "torn.pt")
    with pytest.raises(SegmenterError, match="does not fit SAM") as caught:
        Sam.load(tmp_path / "torn.pt")
    assert "\n" not in str(caught.value)


# --- MobileSAM as it is shipped ---


@pytest.fixture(scope="module")
def mobile_sam() -> Sam:
    return Sam.load(checkpoints.shipped())


def test_auto_is_the_sam_that_is_shipped(monkeypatch):
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    monkeypatch.delenv(checkpoints.VARIABLE, raising=False)
    monkeypatch.setattr(
        checkpoints, "_from_hub", lambda published, local_files_only: pytest.fail("nobody asked for it")
    )
    segmenter, why = choice.choose()
    assert (segmenter.name, why) == ("sam", "MobileSAM, which comes with RANLEN")


@pytest.mark.parametrize(("light", "least"), [(1, 0.95), (0.4, 0.95), (0.12, 0.9)])
def test_one_click_finds_a_disc_in_any_light(mobile_sam, light, least):
    photo, truth = disc_photo(light)
    assert iou(answer(mobile_sam, photo, Prompts(inside=((180, 110),))), truth) > least


CLICKS = {"astronaut": (0.42, 0.65), "chelsea": (0.5, 0.45), "coffee": (0.46, 0.4), "rocket": (0.497, 0.6)}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLICKS)
def test_a_click_finds_in_the_dark_what_it_finds_by_day(mobile_sam, name):
    dark = images.read(Path(__file__).parent.parent / "demo" / "examples" / f"{name}.jpg")
    height, width = dark.size
    bright = Photo((255 * (dark.pixels / 255) ** 0.45).round().astype(np.uint8))
    prompts = Prompts(inside=(tuple(np.multiply(CLICKS[name], (width, height))),))
    by_day, by_night = (answer(mobile_sam, photo, prompts) for photo in (bright, dark))
    assert 0.02 < by_day.mean() < 0.9  # the cat fills its frame, but is not all of it
    assert iou(by_day, by_night) > 0.75


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (40, 30)])
def test_one_colour_and_tiny_photos_get_a_mask_or_a_sentence(mobile_sam, size):
    photo = Photo(np.full((*size, 3), 20, np.uint8))
    with contextlib.suppress(PromptError):
        assert answer(mobile_sam, photo, Prompts(inside=((size[1] / 2, size[0] / 2),))).any()


# --- its two engines ---

EXAMPLES = Path(__file__).parent.parent / "demo" / "examples"


@pytest.fixture(scope="module")
def torch_sam() -> Sam:
    return Sam.load(weights.shipped() / checkpoints.TENSORS)


def test_a_click_imports_no_torch():
    code = (
        "import sys, numpy\n"
        "from pathlib import Path\n"
        "from ranlen.io.images import Photo\n"
        "from ranlen.segment import Prompts\n"
        "from ranlen.segment.sam import Sam\n"
        "sam = Sam.load(Path(sys.argv[1]))\n"
        "photo = Photo(numpy.full((30, 40, 3), 90, numpy.uint8))\n"
        "sam.part(sam.prepare(photo), Prompts(inside=((20, 15),)))\n"
        "sys.exit('torch' in sys.modules)"
    )
    shipped = weights.shipped() / checkpoints.SHIPPED
    assert subprocess.run([sys.executable, "-c", code, shipped], timeout=300).returncode == 0


def test_graphs_run_on_a_cpu_and_tensors_on_a_gpu(mobile_sam, tmp_path, monkeypatch):
    assert isinstance(mobile_sam.engine, OnnxEngine)
    opened = []
    monkeypatch.setattr(engine_torch, "load", lambda path, device: opened.append((path.name, device)))
    open_engine(weights.shipped() / checkpoints.SHIPPED, "cuda")
    open_engine(tmp_path / "mine.pth", "cpu")
    assert opened == [(checkpoints.TENSORS, "cuda"), ("mine.pth", "cpu")]


PROMPTS = {
    "click": Prompts(inside=((40, 30),)),
    "larger": Prompts(inside=((40, 30),), level=1),
    "clicks": Prompts(inside=((40, 30), (60.5, 70)), outside=((5, 5), (0, 0), (90, 1))),
    "box": Prompts(box=(20, 10, 80, 90)),
    "all": Prompts(inside=((40, 30),), outside=((5, 5),), box=(20, 10, 80, 90)),
    "many": Prompts(inside=((40, 30),) * 300),
}


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True])
def test_the_decoders_of_both_engines_agree(mobile_sam, torch_sam, masked):
    photo = images.read(EXAMPLES / "astronaut.jpg")
    prepared = replace(mobile_sam.prepare(photo), size=(100, 100))
    for name, prompts in PROMPTS.items():
        asked = replace(prompts, mask=regions.disc((100, 100), (50, 40), 30) if masked else None)
        (ours, quality), (logits, expected) = (
            each._decode(prepared, asked, several=True) for each in (mobile_sam, torch_sam)
        )
        assert ours.dtype == logits.dtype == np.float32
        np.testing.assert_allclose(ours, logits, rtol=0, atol=2e-3, err_msg=name)
        np.testing.assert_allclose(quality, expected, rtol=0, atol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLICKS)
def test_a_photo_is_seen_alike_by_both_engines(mobile_sam, torch_sam, name):
    """The graph's whole numbers move the border of a mask, not the mask."""
    photo = images.read(EXAMPLES / f"{name}.jpg")
    ours, theirs = (each.prepare(photo) for each in (mobile_sam, torch_sam))
    assert ours.embedding.shape == theirs.embedding.shape == (1, 256, 64, 64)
    assert ours.embedding.dtype == theirs.embedding.dtype == np.float32
    apart = np.square(ours.embedding - theirs.embedding).mean() / np.square(theirs.embedding).mean()
    assert apart**0.5 < 0.03
    prompts = Prompts(inside=(tuple(np.multiply(CLICKS[name], photo.size[::-1])),))
    assert iou(mobile_sam.segment(ours, prompts), torch_sam.segment(theirs, prompts)) > 0.98


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (300, 2), (64, 48)])
def test_any_shape_of_photo_gets_an_embedding_of_the_square(mobile_sam, size):
    prepared = mobile_sam.prepare(Photo(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)))
    assert prepared.embedding.shape == (1, 256, 64, 64)
    assert np.isfinite(prepared.embedding).all()


def test_graphs_that_are_damaged_or_alone_are_refused_in_one_sentence(tmp_path):
    encoder, decoder = (tmp_path / f"x_{part}.onnx" for part in ("encoder", "decoder"))
    encoder.write_bytes(b"hello")
    with pytest.raises(SegmenterError, match="one of two") as alone:
        Sam.load(encoder)
    shutil.copy(weights.shipped() / export_sam.GRAPHS[1], decoder)
    with pytest.raises(SegmenterError, match="damaged or not SAM's") as damaged:
        Sam.load(encoder)
    shutil.copy(weights.shipped() / export_sam.GRAPHS[0], decoder)
    shutil.copy(weights.shipped() / export_sam.GRAPHS[0], encoder)
    with pytest.raises(SegmenterError, match="damaged or not SAM's") as twice:
        Sam.load(encoder)
    assert not any("\n" in str(each.value) for each in (alone, damaged, twice))


@pytest.mark.slow
def test_graphs_are_written_near_the_network_or_not_at_all(tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    network = Network(TinyViT(64))
    monkeypatch.setitem(export_sam.APART, export_sam.GRAPHS[0], 0.1)  # random weights suffer more
    apart = export_sam.export(network, tmp_path)
    assert list(apart) == list(export_sam.GRAPHS)
    engine = OnnxEngine(tmp_path / export_sam.GRAPHS[0])
    ours, theirs = Sam(engine), Sam(TorchEngine(network))
    assert engine.side == theirs.engine.side == 64
    prepared = theirs.prepare(disc_photo()[0])
    for prompts in (Prompts(inside=(CENTER,)), Prompts(box=(130, 40, 250, 160), mask=disc_photo()[1])):
        logits, expected = (each._decode(prepared, prompts, several=True)[0] for each in (ours, theirs))
        np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-3 * np.abs(expected).max())
    assert not any(str(Path.cwd()).encode() in path.read_bytes() for path in tmp_path.iterdir())
    monkeypatch.setitem(export_sam.APART, export_sam.GRAPHS[1], 0.0)
    (tmp_path / "none").mkdir()
    with pytest.raises(export_sam.ExportError, match="differs from torch"):
        export_sam.export(network, tmp_path / "none")
    assert not list((tmp_path / "none").iterdir())


# --- packing it ---


def test_what_an_export_folded_or_renamed_comes_back():
    attention = TinyViT(64).layers[1].blocks[0].attn
    biases = torch.randn(4, 49)
    np.testing.assert_array_equal(mobile_sam_file.by_offset(biases[:, attention.offsets].numpy()), biases.numpy())
    assert mobile_sam_file.module_of("/layers.0/blocks.0/conv1/c/Conv") == "layers.0.blocks.0.conv1.c"
    assert mobile_sam_file.module_of("/patch_embed/seq/seq.0/c/Conv") == "patch_embed.seq.0.c"
    assert (
        mobile_sam_file.module_of("/transformer/layers.0/mlp/lin1/MatMul")
        == "mask_decoder.transformer.layers.0.mlp.lin1"
    )
    assert mobile_sam_file.module_of("/Mul_9") == ""
    layer = ConvNorm(2, 3, 1).eval()
    weight, bias = np.ones((3, 2, 1, 1), np.float32), np.array([1, 2, 3], np.float32)
    found = mobile_sam_file.with_norm("x", weight, bias)
    layer.load_state_dict({name.removeprefix("x."): torch.tensor(value) for name, value in found.items()})
    assert torch.equal(layer(torch.ones(1, 2, 1, 1)).flatten(), torch.tensor([3.0, 4.0, 5.0]))


@pytest.mark.slow
def test_packing_keeps_every_tensor_and_refuses_what_is_none(tmp_path, capsys):
    state = engine_torch.build("vit_t").state_dict()
    torch.save(state | {"image_encoder.head.bias": torch.zeros(9)}, tmp_path / "mobile_sam.pt")
    out = tmp_path / "packed.safetensors"
    assert mobile_sam_file.main([str(tmp_path / "mobile_sam.pt"), "-o", str(out)]) == 0
    packed = checkpoints.read(out)
    assert set(packed) == set(state)
    assert all(torch.equal(packed[name], state[name].half()) for name in state if state[name].is_floating_point())
    torch.save({"image_encoder.patch_embed.seq.0.c.weight": torch.ones(2)}, tmp_path / "torn.pt")
    assert mobile_sam_file.main([str(tmp_path / "torn.pt"), "-o", str(tmp_path / "none.safetensors")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mobile_sam: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "none.safetensors").exists()

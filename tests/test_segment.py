"""From clicks to a mask: GrabCut, SAM and its small encoder, and what goes wrong on the way."""

from __future__ import annotations

import io
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ranlen import cli, images, regions
from ranlen.images import Photo
from ranlen.segment import Prompts, checkpoints, choice, edges, package, sam
from ranlen.segment.brighten import brightened
from ranlen.segment.checkpoints import SegmenterError
from ranlen.segment.grabcut import GrabCut
from ranlen.segment.prompts import PromptError
from ranlen.segment.sam import Sam
from ranlen.segment.tiny_vit import TinyViT

SIZE = (240, 320)
CENTER = (190.0, 100.0)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return (mask & truth).sum() / (mask | truth).sum()


def disc_photo(light: float = 1.0, size: tuple[int, int] = SIZE) -> tuple[Photo, np.ndarray]:
    """A bright disc on noise, and where it is; `light` darkens it, with a sensor's noise on top."""
    rng = np.random.default_rng(0)
    scale = size[0] / SIZE[0]
    truth = regions.disc(size, (CENTER[0] * scale, CENTER[1] * scale), 50 * scale)
    ground = np.where(truth[..., None], (200, 150, 120), (90, 110, 140)) + rng.normal(0, 15, (*size, 3))
    lit = light * np.clip(ground / 255, 0, 1) ** (2.2 if light < 1 else 1)
    noise = rng.normal(0, 0.01, lit.shape) if light < 1 else 0
    return Photo(np.clip(255 * (lit + noise), 0, 255).astype(np.uint8)), truth


def answer(segmenter, photo: Photo, prompts: Prompts) -> np.ndarray:
    mask = segmenter.segment(segmenter.prepare(photo), prompts)
    assert mask.shape == photo.size
    assert mask.dtype == bool
    return mask


def small_sam(seed: int = 0) -> Sam:
    """A SAM of the package's own classes, 256 pixels wide, with random weights."""
    parts = package.segment_anything().modeling
    torch.manual_seed(seed)
    model = parts.Sam(
        parts.ImageEncoderViT(
            img_size=256, embed_dim=32, depth=2, num_heads=2, out_chans=32, use_rel_pos=True, window_size=14,
            global_attn_indexes=(1,),
        ),
        parts.PromptEncoder(
            embed_dim=32, image_embedding_size=(16, 16), input_image_size=(256, 256), mask_in_chans=16
        ),
        parts.MaskDecoder(
            transformer_dim=32,
            transformer=parts.TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=64, num_heads=2),
            iou_head_hidden_dim=32,
        ),
    )  # fmt: skip
    return Sam(model)


@pytest.fixture(scope="module")
def random_sam() -> Sam:
    return small_sam()


@pytest.fixture
def no_cache(monkeypatch):
    """A machine without checkpoints."""
    monkeypatch.delenv(checkpoints.VARIABLE, raising=False)
    monkeypatch.setattr(checkpoints, "_from_hub", lambda published, local_files_only: None)


# --- what a segmenter sees ---


def test_a_bright_photo_is_not_brightened():
    pixels = disc_photo()[0].pixels
    assert brightened(pixels) is pixels


def test_a_dark_photo_is_brightened_and_nothing_in_it_gets_darker():
    pixels = disc_photo(0.12)[0].pixels
    after = brightened(pixels)
    assert (after >= pixels).all()
    assert after.mean() > 3 * pixels.mean()
    assert (brightened(np.zeros((4, 4, 3), np.uint8)) == 0).all()


# --- GrabCut ---


@pytest.mark.parametrize(("light", "least"), [(1.0, 0.95), (0.4, 0.9), (0.12, 0.8)])
def test_one_click_finds_a_disc_in_any_light(light, least):
    photo, truth = disc_photo(light)
    assert iou(answer(GrabCut(), photo, Prompts(inside=((180, 110),))), truth) > least


def test_a_box_finds_the_disc_too():
    photo, truth = disc_photo()
    assert iou(answer(GrabCut(), photo, Prompts(box=(130, 40, 250, 160))), truth) > 0.9


def test_nothing_is_found_outside_the_box():
    photo, _ = disc_photo()
    mask = answer(GrabCut(), photo, Prompts(inside=(CENTER,), box=(150, 0, 320, 240)))
    assert not mask[:, :145].any()
    assert mask[100, 190]


def test_a_subject_that_the_frame_cuts_off_reaches_the_frame():
    photo, _ = disc_photo()
    mask = answer(GrabCut(), Photo(photo.pixels[:110]), Prompts(inside=((190, 80),)))
    assert mask[-1, 170:210].all()


def test_a_click_that_says_not_this_takes_it_away():
    photo, truth = disc_photo()
    second = regions.disc(SIZE, (80, 100), 50)
    pixels = photo.pixels.copy()
    pixels[second] = pixels[truth].mean(axis=0)
    pixels[95:105, 120:150] = pixels[truth].mean(axis=0)  # a bridge between two discs of one colour
    first = answer(GrabCut(), Photo(pixels), Prompts(inside=(CENTER,)))
    said = Prompts(inside=(CENTER,), outside=((80, 100), (135, 100)), mask=first)
    after = answer(GrabCut(), Photo(pixels), said)
    assert not after[100, 80]
    assert iou(after, truth) > max(0.8, iou(first, truth) - 0.05)


def test_the_mask_so_far_is_where_the_search_begins():
    photo, truth = disc_photo()
    rough = regions.rectangle(SIZE, (150, 60, 230, 140))
    assert iou(answer(GrabCut(), photo, Prompts(inside=((150, 70),), mask=rough)), truth) > 0.9


def two_discs() -> tuple[Photo, np.ndarray, np.ndarray]:
    """Two discs of about the same colours, and where they are."""
    photo, first = disc_photo()
    second = regions.disc(SIZE, (60, 150), 30)
    pixels = photo.pixels.copy()
    pixels[second] = (200, 150, 120)
    return Photo(pixels), first, second


def test_a_small_correction_changes_nothing_far_from_it():
    photo, first, second = two_discs()
    rng = np.random.default_rng(0)
    before = first ^ (rng.random(SIZE) < 0.002)  # a mask like no other
    before = edges.without_specks(cv2.dilate(before.astype(np.uint8), np.ones((5, 5))).astype(bool))
    after = answer(GrabCut(), photo, Prompts(inside=(CENTER, (60.0, 150.0)), mask=before))
    assert iou(after, before | second) > 0.9
    wrong = before | second
    after = answer(GrabCut(), photo, Prompts(inside=(CENTER,), outside=((60.0, 150.0),), mask=wrong))
    assert not after[150, 60]
    assert iou(after, first) > 0.85


def test_levels_step_through_sizes():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    radius = np.hypot(x - 160, y - 120)
    shade = np.where(radius < 28, 200, np.where(radius < 75, 150, 60)).astype(float)  # a disc in a disc
    shade += np.random.default_rng(0).normal(0, 12, SIZE)
    photo = Photo(np.repeat(np.clip(shade, 0, 255).astype(np.uint8)[..., None], 3, 2))
    prepared = GrabCut().prepare(photo)
    areas = [
        GrabCut().segment(prepared, Prompts(inside=((160, 120),), level=level)).sum() for level in (-2, -1, 0, 1, 2)
    ]
    assert areas == sorted(areas)
    assert areas[0] < 0.5 * areas[-1]
    box = Prompts(box=(60, 20, 260, 220))
    parts = [GrabCut().segment(prepared, replace(box, level=level)) for level in (-2, 0, 2)]
    assert parts[0].sum() <= parts[1].sum()
    assert np.array_equal(parts[1], parts[2])  # the box is the limit


def test_a_click_and_a_correction_take_less_than_a_second_on_twelve_megapixels():
    photo, _ = disc_photo(size=(3000, 4000))
    segmenter = GrabCut()
    started = time.process_time()
    prepared = segmenter.prepare(photo)
    first = segmenter.segment(prepared, Prompts(inside=((2375, 1250),)))
    segmenter.segment(prepared, Prompts(inside=((2375, 1250), (700, 700)), mask=first))
    # Half a second each on two free cores; processor time, because tests run beside other things.
    assert time.process_time() - started < 4


def test_the_same_clicks_give_the_same_mask_in_any_thread():
    photo, _ = disc_photo(0.12)
    segmenter = GrabCut()
    prepared = segmenter.prepare(photo)
    prompts = [Prompts(inside=((180.0 + shift, 110),)) for shift in range(4)]
    alone = [segmenter.segment(prepared, each) for each in prompts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: segmenter.segment(prepared, each), prompts * 2))
    assert all((a == b).all() for a, b in zip(alone * 2, together, strict=True))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 2), (15, 400), (40, 40)])
@pytest.mark.parametrize("level", [0, 90, 255])
def test_one_colour_and_tiny_photos_get_a_mask_around_the_click(size, level):
    photo = Photo(np.full((*size, 3), level, np.uint8))
    assert answer(GrabCut(), photo, Prompts(inside=((size[1] / 2, size[0] / 2),)))[size[0] // 2, size[1] // 2]


def test_a_thousand_clicks_are_answered():
    photo, truth = disc_photo()
    rows, columns = np.nonzero(cv2.erode(truth.astype(np.uint8), np.ones((7, 7))))
    points = tuple(zip(columns[:500] + 0.5, rows[:500] + 0.5, strict=True))
    elsewhere = tuple((x + 0.5, 230.5) for x in range(320)) + tuple((x + 0.5, 10.5) for x in range(180))
    mask = answer(GrabCut(), photo, Prompts(inside=points, outside=elsewhere))
    assert iou(mask, truth) > 0.8


def test_contradictory_clicks_are_told_apart_or_refused():
    photo, _ = disc_photo()
    with pytest.raises(PromptError, match="190,100 is marked both as the subject and as not the subject"):
        answer(GrabCut(), photo, Prompts(inside=(CENTER,), outside=(CENTER,)))
    mask = answer(GrabCut(), photo, Prompts(inside=(CENTER,), outside=((196, 100),)))
    assert mask[100, 190]
    assert not mask[100, 196]


SAYS_NOTHING = [
    (Prompts(), "nothing says where the subject is"),
    (Prompts(outside=((5, 5),)), "nothing says where the subject is"),
    (Prompts(inside=((321, 5),)), "321,5 is outside the photo, which is 320 x 240"),
    (Prompts(inside=((float("nan"), 5),)), "outside the photo"),
    (Prompts(inside=((5, 5),), outside=((5, -1),)), "5,-1 is outside the photo"),
    (Prompts(box=(10, 10, 5, 20)), "got 10,10,5,20"),
    (Prompts(box=(10, 10, 400, 20)), "inside the photo, 320 x 240"),
]


@pytest.mark.parametrize(("prompts", "message"), SAYS_NOTHING)
def test_prompts_that_make_no_sense_are_refused(prompts, message, random_sam):
    photo, _ = disc_photo()
    for segmenter in (GrabCut(), random_sam):
        with pytest.raises(PromptError, match=message):
            segmenter.segment(segmenter.prepare(photo), prompts)


# --- edges ---


def test_tidy_keeps_what_was_clicked_without_specks_and_holes():
    mask = regions.disc((60, 80), (30, 30), 15)
    meant = mask.copy()
    mask[30, 30] = mask[25:28, 33:36] = False
    mask[5, 70] = mask[40:50, 60:70] = True
    assert (edges.tidy(mask, [(25, 30)]) == meant).mean() > 0.995
    assert (edges.tidy(mask) == meant).mean() > 0.995  # the largest piece
    assert not edges.tidy(np.zeros((9, 9), bool)).any()
    assert not edges.tidy(mask, [(25, 30)], [(34, 26)])[25:28, 33:36].any()  # a hole that was asked for


def test_specks_go_and_real_holes_stay():
    mask = regions.disc((200, 200), (100, 100), 60)
    mask[90:110, 90:110] = False  # as between an arm and a body
    meant = mask.copy()
    mask[70:73, 70:73] = False
    mask[5:8, 5:8] = True
    assert (edges.without_specks(mask) == meant).all()
    speck = np.zeros((200, 200), bool)
    speck[5:8, 5:8] = True
    assert (edges.without_specks(speck) == speck).all()
    assert edges.without_specks(np.ones((9, 9), bool)).all()


def test_refining_finds_the_border_between_coarse_pixels():
    photo, truth = disc_photo(size=(960, 1280))
    coarse = cv2.resize(truth.astype(np.uint8) * 255, (80, 60), interpolation=cv2.INTER_AREA) > 127
    stairs = cv2.resize(coarse.astype(np.uint8), (1280, 960), interpolation=cv2.INTER_NEAREST).astype(bool)
    refined = edges.refine(coarse, photo.pixels, (960, 1280))
    assert iou(refined, truth) > 0.99 > 0.97 > iou(stairs, truth)


# --- SAM ---


def test_segment_anything_imports_without_a_torchvision_and_leaves_nothing_behind(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] in ("torchvision", "segment_anything")]:
        monkeypatch.delitem(sys.modules, name)
    broken = {"torchvision": object(), "torchvision.io": object()}
    for name, module in broken.items():
        monkeypatch.setitem(sys.modules, name, module)
    imported = package.segment_anything()
    assert {"vit_b", "vit_l", "vit_h"} <= set(imported.sam_model_registry)
    assert {name: module for name, module in sys.modules.items() if name.startswith("torchvision")} == broken
    shrunk = imported.utils.transforms.ResizeLongestSide(8).apply_image(np.zeros((32, 16, 3), np.uint8))
    assert shrunk.shape == (8, 4, 3)


def test_a_torchvision_that_works_is_used(monkeypatch):
    monkeypatch.setattr(package, "stand_ins", lambda: pytest.fail("not needed"))
    for name in package._torchvision_modules():
        monkeypatch.delitem(sys.modules, name)
    for name in ("torchvision", "torchvision.ops", "torchvision.ops.boxes", "torchvision.transforms",
                 "torchvision.transforms.functional"):  # fmt: skip
        module = type(sys)(name)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    with package.some_torchvision():
        assert sys.modules["torchvision"].__spec__ is not None


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "segment_anything", raising=False)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    with pytest.raises(SegmenterError, match="pip install segment-anything"):
        package.segment_anything()


@pytest.mark.parametrize("size", [(192, 256), (256, 256), (96, 128), (500, 300)])
def test_the_logits_are_those_of_the_packages_own_predictor(random_sam, size):
    pixels = cv2.resize(disc_photo()[0].pixels, size[::-1])
    predictor = package.segment_anything().SamPredictor(random_sam.model)
    prepared = random_sam.prepare(Photo(pixels))
    # Resizing differs by a level or two (ours averages areas), so the predictor is given our embedding.
    predictor.features, predictor.is_image_set = prepared.embedding, True
    predictor.original_size, predictor.input_size = prepared.size, prepared.inner
    mask = regions.disc(size, (40, 40), 30)
    prompts = Prompts(((30.5, 20.5), (40.0, 30.0)), ((70.5, 80.0),), (10.0, 12.0, 90.0, 80.0), mask)
    scale = 256 / max(size)
    _, quality, logits = predictor.predict(
        point_coords=np.array([*prompts.inside, *prompts.outside]) - 0.5 / scale,
        point_labels=np.array([1, 1, 0]),
        box=np.array(prompts.box) - 0.5 / scale,
        mask_input=random_sam._mask_prompt(mask, prepared.inner)[0].numpy(),
    )
    ours, our_quality = random_sam._decode(prepared, prompts, several=True)
    # The predictor rounds the scale of each side; ours is the same to float32.
    torch.testing.assert_close(ours, torch.tensor(logits), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(our_quality, torch.tensor(quality), rtol=1e-3, atol=1e-4)


def test_the_embedding_is_that_of_the_packages_own_predictor_where_nothing_is_resized(random_sam, monkeypatch):
    monkeypatch.setattr(sam, "half_precision", lambda device: torch.autocast("cpu", enabled=False))
    pixels = disc_photo()[0].pixels[:192, :256]
    predictor = package.segment_anything().SamPredictor(random_sam.model)
    predictor.set_image(pixels)
    torch.testing.assert_close(random_sam.prepare(Photo(pixels)).embedding, predictor.features)


def test_a_mask_prompt_has_the_logits_shape_and_leaves_the_padding_out(random_sam):
    prompt = random_sam._mask_prompt(np.ones((100, 200), bool), (128, 256))
    assert prompt.shape == (1, 1, 64, 64)
    torch.testing.assert_close(prompt[0, 0, :32], torch.full((32, 64), sam.CONFIDENCE))
    torch.testing.assert_close(prompt[0, 0, 32:], torch.full((32, 64), -sam.CONFIDENCE))


def test_the_largest_sensible_mask_is_chosen_and_levels_step_from_it():
    areas, quality = [0.3, 0.05, 0.12], [0.93, 0.9, 0.95]
    assert sam.choose(areas, quality) == 0  # the person, not the shirt
    assert sam.choose(areas, quality, -1) == 2
    assert sam.choose(areas, quality, -5) == 1
    assert sam.choose(areas, quality, 1) == 0
    assert sam.choose([0.98, 0.05, 0.12], quality) == 2  # nearly the whole frame is no subject
    assert sam.choose(areas, [0.6, 0.9, 0.95]) == 2  # nor is a bad mask
    assert sam.choose([0.0, 0.0, 1.0], quality) in (0, 1, 2)
    assert sam.choose([0.2], [0.1], 3) == 0


def test_sam_answers_every_kind_of_prompt_at_full_size(random_sam):
    photo, _ = disc_photo(0.4)
    prepared = random_sam.prepare(photo)
    for prompts in (
        Prompts(inside=(CENTER,)),
        Prompts(inside=(CENTER, (200, 90)), level=-1),
        Prompts(box=(130, 40, 250, 160)),
        Prompts(inside=(CENTER,) * 500, outside=((5, 5),) * 500),
        Prompts(inside=(CENTER,), outside=(CENTER,), box=(130, 40, 250, 160), mask=np.ones(SIZE, bool)),
    ):
        mask = random_sam.segment(prepared, prompts)
        assert (mask.shape, mask.dtype) == (SIZE, bool)


def test_two_threads_share_a_sam(random_sam):
    photos = [disc_photo()[0], Photo(disc_photo()[0].pixels[::-1].copy())]
    prompts = Prompts(inside=(CENTER,), box=(130, 40, 250, 160))

    def logits(photo: Photo) -> torch.Tensor:
        with torch.inference_mode():
            return random_sam._decode(random_sam.prepare(photo), prompts, several=True)[0]

    alone = [logits(photo) for photo in photos]
    assert not torch.allclose(*alone)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(logits, photos * 3))
    for ours, theirs in zip(alone * 3, together, strict=True):
        torch.testing.assert_close(ours, theirs)


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
    state = sam.build("vit_t").state_dict()
    classifier = {"image_encoder.norm_head.weight": torch.ones(320), "image_encoder.head.bias": torch.zeros(1000)}
    torch.save(state | classifier, tmp_path / "mobile_sam.pt")
    loaded = Sam.load(tmp_path / "mobile_sam.pt")
    assert isinstance(loaded.model.image_encoder, TinyViT)
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    prepared = loaded.prepare(disc_photo()[0])
    assert prepared.embedding.shape == (1, 256, 64, 64)
    assert loaded._decode(prepared, Prompts(inside=(CENTER,)), several=True)[0].shape == (3, 256, 256)
    del state["mask_decoder.iou_token.weight"]
    torch.save(state, tmp_path / "torn.pt")
    with pytest.raises(SegmenterError, match="does not fit SAM") as caught:
        Sam.load(tmp_path / "torn.pt")
    assert "\n" not in str(caught.value)


# --- checkpoints ---


def test_a_checkpoint_says_which_model_it_holds():
    def official(width: int) -> dict[str, torch.Tensor]:
        return {"image_encoder.pos_embed": torch.empty(1, 64, 64, width, device="meta")}

    assert [checkpoints.kind_of(official(width)) for width in (768, 1024, 1280)] == ["vit_b", "vit_l", "vit_h"]
    assert checkpoints.kind_of({"image_encoder.patch_embed.seq.0.c.weight": torch.empty(0)}) == "vit_t"
    for state in ({}, official(384)):
        with pytest.raises(SegmenterError, match="no checkpoint of a SAM that is known here"):
            checkpoints.kind_of(state)


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (Path("sprung").touch, ())


def test_a_checkpoint_that_is_none_is_refused_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(100)}, buffer)
    files = {
        "text.pth": b"hello",
        "empty.pth": b"",
        "torn.pth": buffer.getvalue()[:300],
        "sam_vit_b_01ec64.pth": buffer.getvalue(),
        "other.pth": buffer.getvalue(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"model": Trap()}, tmp_path / "trap.pth")
    expected = {
        "text.pth": "damaged or not a checkpoint",
        "empty.pth": "damaged or not a checkpoint",
        "torn.pth": "damaged or not a checkpoint",
        "trap.pth": "damaged or not a checkpoint",
        "sam_vit_b_01ec64.pth": "its md5 does not begin with 01ec64",
        "list.pth": "something other than a model's tensors",
        "other.pth": "no checkpoint of a SAM that is known here",
        "gone.pth": "no SAM checkpoint at gone.pth",
    }
    for name, message in expected.items():
        with pytest.raises(SegmenterError, match=message) as caught:
            Sam.load(name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


def test_where_a_checkpoint_is_looked_for(tmp_path, monkeypatch):
    seen = []
    cached = tmp_path / "cached.pth"

    def hub(published: checkpoints.Published, *, local_files_only: bool) -> Path | None:
        seen.append((published.file, local_files_only))
        return cached if "vit_b" in published.file else None

    monkeypatch.setattr(checkpoints, "_from_hub", hub)
    monkeypatch.delenv(checkpoints.VARIABLE, raising=False)
    assert checkpoints.find() == cached
    assert seen == [("mobile_sam.pt", True), ("checkpoints/sam_vit_b_01ec64.pth", True)]
    assert checkpoints.find(kind="vit_h") is None
    mine, ours = tmp_path / "mine.pth", tmp_path / "ours.pth"
    mine.touch()
    ours.touch()
    monkeypatch.setenv(checkpoints.VARIABLE, str(ours))
    assert checkpoints.find() == ours
    assert checkpoints.find(mine) == mine
    monkeypatch.setenv(checkpoints.VARIABLE, str(tmp_path / "gone.pth"))
    with pytest.raises(SegmenterError, match=rf"gone.pth \(from {checkpoints.VARIABLE}\)"):
        checkpoints.find()


def test_nothing_is_downloaded_unless_asked_for(no_cache, monkeypatch):
    with pytest.raises(SegmenterError, match="no SAM checkpoint on this machine"):
        Sam.load()
    with pytest.raises(SegmenterError, match=r"cannot download .* check the network"):
        Sam.load(download=True)


def test_a_download_that_is_not_the_published_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "mobile_sam.pt").write_bytes(b"something else")
    monkeypatch.setattr(checkpoints, "_from_hub", lambda published, local_files_only: tmp_path / "mobile_sam.pt")
    with pytest.raises(SegmenterError, match="sha256 differs"):
        checkpoints.download()


# --- the choice, and the command ---


def test_auto_is_grabcut_where_there_is_no_checkpoint_and_says_why(no_cache):
    segmenter, why = choice.choose()
    assert segmenter.name == "grabcut"
    assert "no SAM checkpoint" in why
    with pytest.raises(SegmenterError):
        choice.choose("sam")
    with pytest.raises(ValueError, match="unknown segmenter 'magic'; known are auto, sam, grabcut"):
        choice.choose("magic")
    assert choice.SEGMENTERS == cli.SEGMENTERS


@pytest.fixture
def command(tmp_path, monkeypatch, capsys, no_cache):
    """Run `ranlen segment photo.png -o mask.png ARGUMENTS` beside a photo of a disc: (exit code, stderr)."""
    disc_photo(0.4)[0].write(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str, photo: str = "photo.png", output: str = "mask.png") -> tuple[int, str]:
        try:
            code = cli.main(["segment", photo, "-o", output, *arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        assert captured.out == ""
        return code, captured.err

    return command


def test_the_command_writes_a_mask_that_light_reads(command):
    assert command("--click", "180,110", "--click", "200,90", "--not", "20,20") == (0, "")
    assert iou(images.read_mask("mask.png", SIZE), disc_photo()[1]) > 0.9
    assert images.read("mask.png").grey
    assert command("--box", "130,40,250,160", "--segmenter", "grabcut") == (0, "")


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (2, (), "nothing says where the subject is"),
        (2, ("--not", "5,5"), "nothing says where the subject is"),
        (2, ("--click", "500,10"), "the point 500,10 is outside the photo, which is 320 x 240 pixels"),
        (2, ("--click", "5"), "needs 2 numbers with commas between"),
        (2, ("--box", "5,5,1,1"), "a box is left,top,right,bottom"),
        (2, ("--click", "5,5", "--segmenter", "magic"), "invalid choice: 'magic'"),
        (1, ("--click", "5,5", "--not", "5,5"), "marked both as the subject and as not the subject"),
        (1, ("--click", "5,5", "--segmenter", "sam"), "no SAM checkpoint on this machine"),
    ],
)
def test_the_command_complains_in_one_line(command, code, arguments, message):
    got, error = command(*arguments)
    assert got == code
    assert error.startswith("ranlen: ")
    assert error.count("\n") == 1
    assert message in error
    assert not Path("mask.png").exists()


def test_the_command_refuses_files_it_cannot_read_or_write(command):
    assert command("--click", "5,5", photo="gone.png")[0] == 1
    assert command("--click", "5,5", output="mask.gif")[0] == 1
    code, error = command("--click", "5,5", output="mask.jpg")
    assert code == 2
    assert "write a .png" in error

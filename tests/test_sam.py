"""SAM and its checkpoints, and what goes wrong on the way."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ranlen.io.images import Photo
from ranlen.masks.shapes import disc
from ranlen.models import weights
from ranlen.segment import Prompts, checkpoints, engine_torch, parts, sam
from ranlen.segment.brighten import brightened
from ranlen.segment.checkpoints import SegmenterError
from ranlen.segment.engine_torch import TorchEngine
from ranlen.segment.network import Network
from ranlen.segment.prompts import PromptError
from ranlen.segment.sam import Sam
from ranlen.segment.tiny_vit import TinyViT
from tests.discs import CENTER, SIZE, answer, disc_photo


@pytest.fixture(scope="module")
def random_sam() -> Sam:
    """A SAM 256 pixels wide, with random weights."""
    torch.manual_seed(0)
    return Sam(TorchEngine(Network(TinyViT(256))))


# --- SAM ---


def test_a_mask_prompt_has_the_logits_shape_and_leaves_the_padding_out(random_sam):
    prompt = random_sam._mask_prompt(np.ones((100, 200), bool), (128, 256))
    assert (prompt.shape, prompt.dtype) == ((1, 1, 64, 64), np.float32)
    np.testing.assert_allclose(prompt[0, 0, :32], sam.CONFIDENCE, rtol=1e-6)
    np.testing.assert_array_equal(prompt[0, 0, 32:], -sam.CONFIDENCE)


def boxes(*corners: tuple[int, int, int, int]) -> np.ndarray:
    """Logits (K, 192, 256), each of a box of left, top, right, bottom."""
    masks = np.full((len(corners), 192, 256), -9.0)
    for mask, (left, top, right, bottom) in zip(masks, corners, strict=True):
        mask[top:bottom, left:right] = 9
    return masks


def test_the_person_is_meant_not_the_shirt_nor_the_street_and_levels_step_from_there():
    street, shirt, person = (0, 60, 256, 192), (100, 60, 130, 100), (95, 20, 140, 190)
    masks = boxes(street, shirt, person)
    assert parts.choose(masks) == 2
    assert [parts.choose(masks, level=level) for level in (-1, -5, 1, 5)] == [1, 1, 0, 0]
    assert parts.choose(boxes(person, shirt, (0, 0, 256, 192))) == 0  # nor all of the frame
    assert parts.choose(boxes((80, 40, 200, 192), shirt)) == 0  # a portrait is cut off below
    assert parts.choose(boxes((0, 0, 0, 0), (0, 0, 256, 192))) == 1  # anything rather than nothing
    assert parts.choose(boxes(person), level=3) == 0


def test_a_ragged_mask_is_less_than_a_solid_one():
    masks = boxes((40, 40, 200, 150), (60, 60, 150, 130))
    masks[0, ::3] = masks[0, :, ::3] = -9
    assert parts.choose(masks) == 1


def test_a_mask_that_cannot_decide_is_taken_last():
    masks = boxes((40, 40, 200, 150), (60, 60, 150, 130))
    assert parts.choose(masks) == 0
    masks[0, 60:, 40:200] = 0.5  # most of it is gone a little above 0
    assert parts.choose(masks) == 1
    assert parts.choose(masks[:1]) == 0


def test_a_mask_of_two_things_is_not_one_of_the_clicked_thing():
    masks = boxes((100, 60, 130, 90), (100, 60, 130, 90))
    masks[1, 60:120, 160:220] = 9
    assert parts.choose(masks) == parts.choose(masks, (180, 80)) == 1
    assert parts.choose(masks, (110, 70)) == 0
    assert parts.looks(masks[1], (180, 80))[0] == pytest.approx(0.8, abs=0.01)  # the brush is round, corners are not
    assert parts.looks(masks[1], (0, 0))[0] == 0


def test_a_small_thing_and_its_part_compare_as_large_ones_do():
    near = boxes((40, 20, 200, 180), (60, 60, 140, 140))
    far = boxes((40, 20, 80, 60), (60, 30, 80, 50))
    near[0, 60:140, 200:230] = far[0, 30:50, 80:88] = 9
    gains = [parts.score(large, None) - parts.score(small, None) for large, small in (near, far)]
    assert gains[0] == pytest.approx(gains[1], abs=0.05)


def test_the_clicked_cell_is_told_where_one_click_is_all(random_sam):
    prepared = random_sam.prepare(disc_photo()[0])  # 320 x 240 pixels, seen as 256 x 192
    assert [sam.clicked(prepared, Prompts(inside=(at,))) for at in ((0, 0), (320, 240), (160, 120))] == [
        (0, 0), (63, 47), (32, 24),
    ]  # fmt: skip
    more = (
        {"outside": (CENTER,)},
        {"box": (130, 40, 250, 160)},
        {"mask": np.ones(SIZE, bool)},
        {"inside": (CENTER,) * 2},
    )
    assert {sam.clicked(prepared, Prompts(**{"inside": (CENTER,)} | each)) for each in more} == {None}


def test_which_part_the_answer_is_is_told_from_the_smallest(random_sam, monkeypatch):
    photo, _ = disc_photo()
    prepared = random_sam.prepare(photo)
    nested = np.stack([disc((48, 64), (32, 24), radius) for radius in (15, 5, 10)])
    logits = np.pad(nested, ((0, 0), (0, 16), (0, 0))) * np.float32(20) - 10
    monkeypatch.setattr(random_sam, "_decode", lambda *given, several: (logits, None))
    seen = []
    for level in (1, 0, -1, -2):
        prompts = Prompts(inside=(CENTER,), level=level)
        seen.append((random_sam.part(prepared, prompts), int(random_sam.segment(prepared, prompts).sum())))
    assert [part for part, _ in seen] == [(3, 3), (3, 3), (2, 3), (1, 3)]  # a larger one there is not
    sizes = [size for _, size in seen]
    assert sizes[0] == sizes[1] > sizes[2] > sizes[3]


def test_sam_sees_a_dark_photo_bright_and_without_its_noise():
    bright, _ = disc_photo()
    assert sam.daylight(bright.pixels, bright.pixels) is bright.pixels
    dark = disc_photo(0.12)[0].pixels
    small = cv2.resize(dark, None, fx=3, fy=3)  # where a blur leaves two fifths of the noise
    seen = sam.daylight(small, dark)
    assert (seen.shape, seen.dtype) == (small.shape, np.uint8)
    assert seen.mean() > 10 * dark.mean()
    assert (seen[:, :240].std((0, 1)) < 0.2 * brightened(dark)[:, :80].std((0, 1))).all()


def test_folding_norms_changes_no_number():
    torch.manual_seed(0)
    encoder = TinyViT(64)
    encoder.train()(torch.randn(4, 3, 64, 64))  # or every norm would do nothing
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before = encoder.eval()(image)
        engine_torch.fold_norms(encoder)
        assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in encoder.modules())
        torch.testing.assert_close(encoder(image), before, rtol=1e-4, atol=1e-4)


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


def test_prompts_that_make_no_sense_are_refused_by_sam_too(random_sam):
    for prompts in (Prompts(), Prompts(inside=((321, 5),)), Prompts(box=(10, 10, 5, 20))):
        with pytest.raises(PromptError):
            answer(random_sam, disc_photo()[0], prompts)


def test_two_threads_share_a_sam(random_sam):
    photos = [disc_photo()[0], Photo(disc_photo()[0].pixels[::-1].copy())]
    prompts = Prompts(inside=(CENTER,), box=(130, 40, 250, 160))

    def logits(photo: Photo) -> np.ndarray:
        return random_sam._decode(random_sam.prepare(photo), prompts, several=True)[0]

    alone = [logits(photo) for photo in photos]
    assert not np.allclose(*alone)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(logits, photos * 3))
    for ours, theirs in zip(alone * 3, together, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)


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
    assert checkpoints.find(kind="vit_t") == checkpoints.shipped() == weights.shipped() / checkpoints.SHIPPED
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

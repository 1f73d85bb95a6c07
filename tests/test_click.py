"""The click network: it can learn, it keeps to the clicks, any size goes, bad files say so in one sentence."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ranlen import weights
from ranlen.images import Photo
from ranlen.segment import Prompts, click
from ranlen.segment.click import ClickNet, ClickSegmenter
from ranlen.segment.prompts import PromptError
from train import click as training
from train.checkpoint import CheckpointError, load_checkpoint

TINY = (8, 16, 16, 16, 16)


def tiny(seed: int = 0) -> ClickSegmenter:
    torch.manual_seed(seed)
    return ClickSegmenter(ClickNet(TINY))


def picture(seed: int, height: int = 96, width: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """A noisy picture of three things, and a label map of them."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.uint8)
    cv2.ellipse(labels, (width // 3, height // 2), (width // 5, height // 3), 0, 0, 360, 1, -1)
    cv2.rectangle(labels, (2 * width // 3, height // 4), (width - 9, 3 * height // 4), 2, -1)
    colours = rng.integers(40, 220, (3, 3))
    return (colours[labels] + rng.integers(-9, 9, (height, width, 3))).clip(0, 255).astype(np.uint8), labels


@pytest.mark.slow
def test_a_network_learns_one_picture():
    pixels, labels = picture(1)
    torch.manual_seed(0)
    network = ClickNet(TINY)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    image = torch.from_numpy(click.brighten(pixels)).permute(2, 0, 1)[None]
    half = cv2.resize(labels, (64, 48), interpolation=cv2.INTER_NEAREST_EXACT)
    target = torch.from_numpy(np.stack([half == 1, half == 2])).float()[:, None]
    inside = torch.tensor([[[10.0, 12.0]], [[25.0, 12.0]]])
    outside, nothing = torch.full((2, 1, 2), torch.nan), torch.zeros(2, 1, 48, 64)
    for _ in range(60):
        seen = network.see(image).pick(torch.tensor([0, 0]))
        logits = network.answer(seen, inside, outside, torch.zeros(2, 1, 24, 32), nothing)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # The same picture with two clicks has two answers: only the prompts can tell them apart.
    both = ((logits > 0) & (target > 0)).sum((1, 2, 3)) / ((logits > 0) | (target > 0)).sum((1, 2, 3))
    assert both.min() > 0.9


@pytest.mark.parametrize("seed", range(4))
def test_clicks_are_honoured_whatever_the_network_thinks(seed, rng):
    segmenter = tiny(seed)
    prepared = segmenter.prepare(Photo(picture(seed)[0]))
    places = rng.permutation(96 * 128)[:12]
    points = [(float(place % 128) + 0.5, float(place // 128) + 0.5) for place in places]
    prompts = Prompts(inside=tuple(points[:6]), outside=tuple(points[6:]))
    mask = segmenter.segment(prepared, prompts)
    assert (mask.shape, mask.dtype) == ((96, 128), bool)
    assert all(mask[int(y), int(x)] for x, y in prompts.inside)
    assert not any(mask[int(y), int(x)] for x, y in prompts.outside)


def test_answers_are_in_one_piece_with_the_click_and_have_no_holes():
    logits = np.full((64, 64), -3.0, np.float32)
    logits[8:40, 8:40] = 3
    logits[20:24, 20:24] = -3  # a hole
    logits[50:60, 50:60] = 3  # something else
    mask = click.clean(logits, Prompts(inside=((10.0, 10.0),)), (64, 64))
    assert mask[9:39, 9:39].all()
    assert not mask[45:, 45:].any()
    pierced = click.clean(logits, Prompts(inside=((10.0, 10.0),), outside=((22.0, 22.0),)), (64, 64))
    assert not pierced[22, 22]  # a hole that somebody asked for stays


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (33, 65)])
def test_any_size_goes(size, rng):
    photo = Photo(rng.integers(0, 60, (*size, 3), dtype=np.uint8))
    segmenter = tiny()
    mask = segmenter.segment(segmenter.prepare(photo), Prompts(inside=((size[1] / 2, size[0] / 2),)))
    assert mask.shape == size
    assert mask[size[0] // 2, size[1] // 2]


@pytest.mark.slow
def test_a_large_photo_with_all_kinds_of_prompts(rng):
    photo = Photo(np.repeat(np.repeat(rng.integers(0, 60, (30, 40, 3), dtype=np.uint8), 100, 0), 100, 1))
    segmenter = tiny()
    prepared = segmenter.prepare(photo)
    boxed = segmenter.segment(prepared, Prompts(box=(100, 200, 3900, 2900)))
    assert boxed.shape == (3000, 4000)
    thousand = tuple((float(x), float(y)) for x, y in rng.uniform(0, 3000, (1000, 2)))
    again = segmenter.segment(prepared, Prompts(inside=thousand[:500], outside=thousand[500:], mask=boxed))
    assert all(again[int(y), int(x)] for x, y in thousand[:500])


def test_contradictions_one_colour_and_nonsense():
    segmenter = tiny()
    prepared = segmenter.prepare(Photo(np.zeros((40, 50, 3), np.uint8)))
    here = ((20.0, 20.0),)
    assert segmenter.segment(prepared, Prompts(inside=here, outside=here))[20, 20]
    with pytest.raises(PromptError, match="outside the photo"):
        segmenter.segment(prepared, Prompts(inside=((70.0, 20.0),)))
    with pytest.raises(PromptError, match="nothing says"):
        segmenter.segment(prepared, Prompts())


def test_brightening_makes_dark_photos_bright_and_leaves_bright_ones():
    pixels = picture(3)[0]
    bright = click.brighten(pixels)
    dark = click.brighten(0.12 * (pixels / 255.0) ** 2.2)
    assert np.abs(bright - pixels / np.percentile(pixels.max(2), 99.5)).max() < 0.35
    assert dark.mean() > 0.3
    assert np.corrcoef(bright.ravel(), dark.ravel())[0, 1] > 0.95


def test_weights_come_back_as_they_went(tmp_path, monkeypatch):
    segmenter = tiny(3)
    click.save(segmenter.network, tmp_path / click.FILE, {"note": "for a test"})
    monkeypatch.setenv("RANLEN_WEIGHTS", str(tmp_path))
    loaded = click.load()
    assert click.card()["card"] == {"note": "for a test"}
    for ours, theirs in zip(loaded.network.parameters(), segmenter.network.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-3)  # float16
    assert not loaded.network.training
    assert weights.published() == []  # it lights no photo: not a model that `light` could take


def test_bad_weights_are_refused_in_one_sentence(tmp_path):
    path = tmp_path / click.FILE
    with pytest.raises(weights.WeightsError, match="no such weights file"):
        click.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(weights.WeightsError, match="damaged"):
        click.load(path)
    for about in ({"backbone": "deepupe"}, {"model": "click"}, {"model": "click", "widths": [8, 16, 16, 16, 16]}, []):
        save_file({"x": torch.zeros(1)}, path, {"ranlen": json.dumps(about)})
        reason = "does not hold a click network" if about else "holds no RANLEN model"
        with pytest.raises(weights.WeightsError, match=reason) as error:
            click.load(path)
        assert "\n" not in str(error.value)


@pytest.fixture
def folders(tmp_path):
    """Photos with label maps of two people, and subjects with masks."""
    for name in ("segments", "photos", "subjects/image", "subjects/mask"):
        (tmp_path / name).mkdir(parents=True)
    for k in range(4):
        pixels, labels = picture(k)
        Photo(pixels).write(tmp_path / "photos" / f"p{k}.png")
        for person in range(2):
            grey = np.repeat((labels + 1)[..., None], 3, 2)
            Photo(grey, grey=True).write(tmp_path / "segments" / f"p{k}_{person}.png")
        Photo(pixels).write(tmp_path / "subjects" / "image" / f"s{k}_0.png")
        subject = np.repeat(np.uint8(labels == 1)[..., None] * 255, 3, 2)
        Photo(subject, grey=True).write(tmp_path / "subjects" / "mask" / f"s{k}_0.png")
    return tmp_path


def config(folders, out: str, **more: object) -> training.ClickConfig:
    places = {name: str(folders / folder) for name, folder in (("segments", "segments"), ("images", "photos"))}
    settings = {"epochs": 2, "steps": 2, "batch": 2, "targets": 2, "size": 64, "validation": 0.25, **more}
    return training.ClickConfig(**places, subjects=str(folders / "subjects"), out=str(folders / out), **settings)


@pytest.mark.slow
def test_training_resumes_to_the_bit(folders, monkeypatch):
    monkeypatch.setattr(training, "ClickNet", lambda: ClickNet(TINY))
    training.train(config(folders, "whole"))

    class KilledError(Exception):
        pass

    original = training.make_batch

    def die(config, regions, subjects, step):
        if step == 3:
            raise KilledError
        return original(config, regions, subjects, step)

    monkeypatch.setattr(training, "make_batch", die)
    with pytest.raises(KilledError):
        training.train(config(folders, "killed"))
    monkeypatch.setattr(training, "make_batch", original)
    training.train(config(folders, "killed"), resume=True)
    whole, killed = (load_checkpoint(folders / name / "last.pt") for name in ("whole", "killed"))
    for part in ("network", "average"):
        for name, tensor in whole[part].items():
            assert torch.equal(tensor, killed[part][name]), name
    click.load(folders / "whole" / "best.safetensors")
    with pytest.raises(CheckpointError, match="has seed = 0"):
        training.train(config(folders, "whole", seed=1), resume=True)


def test_what_is_scored_is_not_trained_on(folders):
    regions, held, subjects = training.load_data(config(folders, "x", without=("s1", "s2")))
    assert (len(regions), len(held), len(subjects)) == (3, 1, 2)
    Photo(picture(0)[0]).write(folders / "segments" / f"{training.GRABCUT[0]}_0.png")
    assert len(training.load_data(config(folders, "x"))[0]) == 3


def test_a_batch_is_a_function_of_its_step(folders):
    settings = config(folders, "x")
    regions, _, subjects = training.load_data(settings)
    first, again, other = (training.make_batch(settings, regions, subjects, step) for step in (5, 5, 6))
    assert torch.equal(first.image, again.image)
    assert torch.allclose(first.inside, again.inside, equal_nan=True)
    assert first.image.shape != other.image.shape or not torch.equal(first.image, other.image)
    # A click lies on its target.
    for i, target in enumerate(first.target[:, 0]):
        for x, y in first.inside[i]:
            assert x.isnan() or target[int(2 * y), int(2 * x)] == 1


def test_the_command_line_says_what_is_missing(tmp_path, capsys):
    assert training.main(["--out", str(tmp_path)]) == 2
    assert "--segments FOLDER" in capsys.readouterr().err
    arguments = ["--segments", str(tmp_path), "--images", str(tmp_path), "--out", str(tmp_path)]
    assert training.main(arguments) == 2
    assert "no label maps" in capsys.readouterr().err

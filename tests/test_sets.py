"""Sets to judge by: the same wherever they are made, and as dark as they say, where they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ranlen.io.images import Photo
from train import sets
from train.chance import generator_of
from train.data import GAMMA, DataError


@pytest.fixture(scope="module")
def subjects(tmp_path_factory) -> Path:
    """Four photos of grey texture with a subject in the middle, and one whose subject is too small."""
    folder = tmp_path_factory.mktemp("subjects")
    rng = np.random.default_rng(0)
    for side in ("image", "mask"):
        (folder / side).mkdir()
    for i, name in enumerate(["a_0", "b_0", "c_0", "d_0", "tiny_0"]):
        mask = np.zeros((256, 256), np.uint8)
        half = 2 if name.startswith("tiny") else 50 + 5 * i
        mask[128 - half : 128 + half, 128 - half : 128 + half] = 255
        Photo(rng.integers(120, 140, (256, 256, 3), dtype=np.uint8)).write(folder / "image" / f"{name}.png")
        Photo(np.repeat(mask[..., None], 3, 2)).write(folder / "mask" / f"{name}.png")
    return folder


def made(folder: Path, make: sets.Maker, names: list[str], seed: int = 0) -> sets.EvaluationSet:
    return sets.made_of_subjects("made", make, folder, names, "all", seed)


@pytest.mark.parametrize("make", [sets.backlit, sets.two_things])
def test_a_photo_is_made_by_its_name_and_the_seed_alone(subjects, make):
    together = made(subjects, make, sets.members(subjects, "all"))
    assert together.pairs.names == ["a_0", "b_0", "c_0", "d_0"]  # without the one that is too small
    alone = made(subjects, make, ["c_0"])
    assert torch.equal(alone.pairs.low[0], together.pairs.low[2])
    assert np.array_equal(alone.masks["subject"][0].tensor, together.masks["subject"][2].tensor)
    assert not torch.equal(alone.pairs.low, made(subjects, make, ["c_0"], seed=1).pairs.low)


def stops_under(of: sets.EvaluationSet, index: int, where: torch.Tensor) -> float:
    """How many stops of linear light a made photo is below its reference, over a region of booleans (1, H, W)."""
    low, high = ((side[index] / 255) ** GAMMA for side in (of.pairs.low, of.pairs.high))
    return float(torch.log2(high[where.expand_as(high)].mean() / low[where.expand_as(low)].mean()))


def test_backlit_subjects_are_two_to_four_stops_under_and_the_rest_as_it_was(subjects):
    of = made(subjects, sets.backlit, ["a_0", "b_0", "c_0", "d_0"])
    under = [stops_under(of, i, torch.from_numpy(mask.a[0] == 1)) for i, mask in enumerate(of.masks["subject"])]
    rest = [stops_under(of, i, torch.from_numpy(mask.c[0] == 1)) for i, mask in enumerate(of.masks["subject"])]
    assert all(1.9 < each < 4.1 for each in under)
    assert all(-0.4 < each < 0.8 for each in rest)
    assert max(under) - min(under) > 0.2
    widths = [mask.feather_width().item() / 256 for mask in of.masks["subject"]]
    assert all(0.005 < width < 0.05 for width in widths)


def test_two_things_are_dark_to_different_degrees_and_either_is_meant():
    photo = torch.full((3, 256, 256), 0.5)
    subject = np.zeros((256, 256), bool)
    subject[150:220, 40:120] = True
    kinds = {"subject": 0, "beside": 0, "shadow": 0}
    for i in range(40):
        low, meant = sets.two_things(photo, subject, generator_of(i))
        stops = torch.log2((photo**GAMMA).mean(0) / (low**GAMMA).mean(0).clamp(min=1e-6)).numpy()
        kind = "subject" if (meant == subject).all() else "shadow" if (meant & subject).any() else "beside"
        kinds[kind] += 1
        if kind == "shadow":
            assert np.median(stops[meant]) > 1.5
            assert np.median(stops[~meant]) < 1
        else:
            assert np.ptp(np.percentile(stops, [2, 98])) > 1.3
        if kind == "beside":
            assert abs(np.median(stops[subject]) - np.median(stops[meant])) > 1.3
    assert min(kinds.values()) >= 3


def test_linear_light_keeps_what_the_reference_presses_together(tmp_path):
    light = np.full((64, 64, 3), 0.18, np.float16)
    light[:, 32:] = 4
    light[:32, 32:] = 3
    np.savez(tmp_path / "room_0.npz", linear=light)
    of = sets.made_of_light("hdr", tmp_path, ["room_0"], "all")
    low, high = ((side[0] / 255) ** GAMMA for side in (of.pairs.low, of.pairs.high))
    dark, shadow = high[:, 40:200, 20:100].mean(), low[:, 40:200, 20:100].mean()
    assert 1 < torch.log2(0.18 / shadow) < 4.1
    assert dark == pytest.approx(1 - np.exp(-0.18), rel=0.02)
    bright, brighter = (low[:, rows, 150:].mean() for rows in (slice(20, 110), slice(150, 240)))
    assert high[:, 150:240, 150:].mean() - high[:, 20:110, 150:].mean() < 0.05
    assert bright < brighter <= 1


def test_splits_part_scenes_and_never_share_one(subjects, tmp_path):
    names = [f"s{i:02}_{k}" for i in range(60) for k in range(2)]
    (tmp_path / "split.json").write_text(json.dumps({"train": names[:100], "test": names[100:]}))
    test, validation = (sets.members(tmp_path, split) for split in ("test", "validation"))
    assert test == names[100:]
    assert validation
    assert not {sets.scene(name) for name in test} & {sets.scene(name) for name in validation}
    assert all(name.replace("_0", "_1") in validation for name in validation)
    (tmp_path / "split.json").write_text(json.dumps({"train": names, "test": []}))
    parts = [set(sets.members(tmp_path, split)) for split in ("test", "validation")]
    assert parts[0]
    assert not parts[0] & parts[1]
    assert sets.members(tmp_path, "train") == names
    assert len(sets.members(subjects, "all")) == 5
    with pytest.raises(DataError, match=r"no split 'tset' of .*; there are test, validation, train, all"):
        sets.members(subjects, "tset")
    with pytest.raises(DataError, match="nothing in its split 'all'"):
        sets.members(subjects / "nowhere", "all")

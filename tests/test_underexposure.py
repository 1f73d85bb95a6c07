"""Good photos in bad light, and the mixture that networks learn from."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from train import underexposure
from train.chance import generator_of
from train.data import DataError
from train.mixture import Mixture, read_sources, validation_pairs
from train.sets import tenth

NO_NOISE = np.empty((0, 2))


@pytest.fixture
def core():
    core = np.zeros((64, 64), bool)
    core[16:48, 16:48] = True
    return core


@pytest.mark.parametrize(
    ("scenario", "subject", "rest"),
    [("backlit", (0.9, 4.3), (-0.6, 0.8)), ("dark", (0.4, 4.1), (-0.4, 4.9)), ("rest", (-0.3, 0.5), (1.4, 4.1))],
)
def test_each_place_loses_the_stops_of_its_scenario(scenario, subject, rest, core, monkeypatch):
    monkeypatch.setattr(underexposure, "falloff", lambda size, generator: np.zeros(size))
    for seed in range(20):
        lost = underexposure.stops_lost(core, ~core, generator_of(seed), scenario)
        assert subject[0] <= lost[32, 32] <= subject[1]
        assert rest[0] <= lost[2, 2] <= rest[1]


def test_a_second_thing_is_dark_to_a_degree_of_its_own(core, monkeypatch):
    monkeypatch.setattr(underexposure, "falloff", lambda size, generator: np.zeros(size))
    other = np.zeros_like(core)
    other[:, 54:] = True
    lost = [underexposure.stops_lost(core, other, generator_of(seed), "two") for seed in range(10)]
    assert min(abs(each[32, 32] - each[32, 62]) for each in lost) < 3
    assert max(abs(each[32, 32] - each[32, 62]) for each in lost) > 1


def test_a_stop_is_half_the_linear_light(core, monkeypatch):
    monkeypatch.setattr(underexposure, "stops_lost", lambda *_: np.ones((64, 64), np.float32))
    monkeypatch.setattr(underexposure, "uniform", lambda low, high, generator: 0.0)  # no cast, no contrast
    monkeypatch.setattr(underexposure.cv2, "imencode", lambda *_: (True, None))
    monkeypatch.setattr(underexposure.cv2, "imdecode", lambda *_: None)
    photo = np.full((64, 64, 3), 0.5, np.float32)
    linear = photo**2.2 / 2
    kept = []
    monkeypatch.setattr(underexposure, "taken", lambda light, noise, generator: kept.append(light))
    underexposure.underexposed(photo, core, core, NO_NOISE, generator_of(1))
    np.testing.assert_allclose(kept[0], linear, rtol=1e-5)


def test_an_exposed_photo_has_the_mean_that_was_asked_for(core):
    photo = np.random.default_rng(1).uniform(0, 1, (64, 64, 3)).astype(np.float32)
    for mean in (0.2, 0.5, 0.7):
        assert underexposure.exposed(photo, core, mean)[core].mean() == pytest.approx(mean, abs=0.02)
    assert underexposure.exposed(np.ones_like(photo), core, 0.5).max() == 1  # white stays white


def test_noise_has_the_variance_of_its_profile(monkeypatch):
    # No cast, no contrast, no JPEG, and a photo as large as its sensor.
    monkeypatch.setattr(underexposure, "uniform", lambda low, high, generator: {1: 1.0}.get(high, 0.0))
    linear = np.full((256, 256, 3), 0.2, np.float32)
    quiet = underexposure.taken(linear, NO_NOISE, generator_of(1)).astype(float)
    noisy = underexposure.taken(linear, np.array([[1e-3, 1e-4]]), generator_of(1)).astype(float)
    slope = 255 / 2.2 * 0.2 ** (1 / 2.2 - 1)  # levels per linear light
    assert quiet.std() < 1
    assert noisy.std() == pytest.approx(np.sqrt(1e-3 * 0.2 + 1e-4) * slope, rel=0.15)


@pytest.fixture
def sources(tmp_path):
    """A root with a source of each kind, and its list."""
    rng = np.random.default_rng(2)
    names = [f"s{i}_{j}" for i in range(30) for j in range(2)]

    def write(folder, pixels):
        path = tmp_path / folder
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)

    for name in names:
        image = rng.integers(60, 200, (40, 40, 3), dtype=np.uint8)
        write(f"pairs/low/{name}.png", image // 4)
        write(f"pairs/high/{name}.png", image)
        write(f"subjects/image/{name}.png", image)
        mask = np.zeros((40, 40), np.uint8)
        mask[10:30, 10:30] = 255
        write(f"subjects/mask/{name}.png", mask)
        write(f"photos/{name}.png", image)
        write(f"labels/{name}_0.png", (mask // 255 + 1).astype(np.uint8))
        (tmp_path / "linear").mkdir(exist_ok=True)
        np.savez(tmp_path / "linear" / f"{name}.npz", linear=rng.uniform(0, 3, (40, 40, 3)).astype(np.float16))
    (tmp_path / "pairs/split.json").write_text(json.dumps({"train": names, "test": []}))
    (tmp_path / "noise.csv").write_text("iso,aG,bG\n800,1e-4,-1e-6\n51200,1e-2,1e-3\n")
    path = tmp_path / "sources.toml"
    path.write_text(
        """noise = "noise.csv"
[pairs]
folder = "pairs"
kind = "pairs"
composite = true
share = 0.4
[subjects]
folder = "subjects"
kind = "subjects"
share = 0.3
[segments]
folder = "photos"
labels = "labels"
kind = "segments"
share = 0.1
[photos]
folder = "photos"
kind = "photos"
share = 0.1
[linear]
folder = "linear"
kind = "linear"
share = 0.1
"""
    )
    return path


def test_a_batch_of_the_mixture_is_a_function_of_its_step(sources):
    read, noise = read_sources(sources, sources.parent)
    assert noise.tolist() == [[1e-4, 0]]  # a very high ISO is left out, and no variance is negative
    drawn = Mixture(read, noise, 16, local=True, seed=1)
    once, again, other = drawn.batch(3, 8), drawn.batch(3, 8), drawn.batch(4, 8)
    assert all(torch.equal(a, b) for a, b in zip(once[:2], again[:2], strict=True))
    assert torch.equal(once[2].tensor, again[2].tensor)
    assert not torch.equal(once[0], other[0])
    low, high, mask = once
    assert low.shape == high.shape == (8, 3, 256, 256)
    assert (mask.a.sum((1, 2, 3)) > 0).all()
    assert 0 <= low.min() <= low.max() <= 1


def test_every_kind_of_source_gives_examples(sources):
    read, noise = read_sources(sources, sources.parent)
    for source in read:
        low, high, _ = Mixture([source], noise, 8, local=True, seed=1).batch(0, 4)
        assert not torch.equal(low, high), source.kind
        assert low.mean() < high.mean() + 0.05


def test_a_global_network_is_shown_area_a_everywhere(sources):
    read, noise = read_sources(sources, sources.parent)
    assert Mixture(read, noise, 8, local=False, seed=1).batch(0, 2)[2].tensor.min() == 1


def test_validation_and_test_scenes_are_not_trained_on(sources):
    names = [f"s{i}_{j}" for i in range(30) for j in range(2)]
    read, _ = read_sources(sources, sources.parent)
    held = {name for name in names if tenth(name) in (0, 1)}
    assert held
    assert {tenth(name) for name in ("s1_0", "s1_1")} == {tenth("s1")}  # a scene is in one part
    for source in read:
        assert len(source.images) == len(names) - len(held)
        assert sum(map(len, source.places)) == len(source.images)
    pairs = validation_pairs(sources, sources.parent)
    assert {tenth(name) for name in pairs.names} == {1}
    assert pairs.subjects is not None
    assert pairs.subjects.any((1, 2, 3)).sum() == len(pairs) // 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[x]\nfolder = 'x'\nkind = 'films'\nshare = 1", "pairs, subjects"),
        ("[x]\nfolder = 'x'\nkind = 'photos'\nshare = 0", "share above 0"),
        ("[x]\nfolder = 'x'\nkind = 'photos'\nshare = 1", "no photos in"),
        ("[x", "not valid TOML"),
    ],
)
def test_a_list_of_sources_that_makes_no_sense_is_refused(text, message, tmp_path):
    (tmp_path / "sources.toml").write_text(text)
    with pytest.raises(DataError, match=message):
        read_sources(tmp_path / "sources.toml", tmp_path)


def test_a_list_that_is_missing_is_told(tmp_path):
    with pytest.raises(DataError, match="no such list"):
        read_sources(tmp_path / "sources.toml", tmp_path)

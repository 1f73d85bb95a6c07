"""Training the denoiser: noise as a camera makes it, batches by seed and step, a run that ends in a file of weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ranlen import denoise
from ranlen.io.images import Photo
from train import denoise as training
from train import noise, underexposure
from train.chance import generator_of

CSV = "maker,model,iso,aG,bG\nA,B,800,1e-4,1e-6\nA,B,25600,2e-3,1e-5\nA,B,102400,1,1\n"


@pytest.fixture
def root(tmp_path, rng):
    """A handful of photos, pairs in the dark and noise profiles, laid out as the real ones."""
    for number in range(8):
        smooth = np.clip(rng.random((9, 12, 3)) * 200 + 30, 0, 255).astype(np.uint8)
        large = np.repeat(np.repeat(smooth, 20, 0), 20, 1)
        for folder, pixels in (("good", large), ("dim/high", large), ("dim/low", large // 12)):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            Photo(pixels).write(tmp_path / folder / f"place{number}_1.png")
    names = [f"place{number}_1" for number in range(8)]
    (tmp_path / "dim/split.json").write_text(json.dumps({"train": names, "test": []}))
    (tmp_path / "noise/profiles").mkdir(parents=True)
    (tmp_path / "noise/profiles/darktable_noise.csv").write_text(CSV)
    (tmp_path / "sources.toml").write_text('[good]\nfolder = "good"\nkind = "photos"\nshare = 1\n')
    return tmp_path


def test_profiles_are_read_up_to_an_iso(root):
    path = root / "noise/profiles/darktable_noise.csv"
    assert len(underexposure.read_noise(path)) == 1
    assert len(underexposure.read_noise(path, 51_200)) == 2


def test_noise_has_the_variance_that_its_profile_says():
    light = np.full((200, 200, 3), 0.2, np.float32)
    stds = [noise.sensor_noise(light, np.array([1e-3, 1e-5]), generator_of(i))[..., 1].std() for i in range(40)]
    white = np.sqrt(1e-3 * 0.2 + 1e-5)
    assert 0.3 * white < np.median(stds) < 1.5 * white
    assert max(stds) < 5 * white


@pytest.mark.parametrize("corner", range(4))
def test_demosaicking_makes_neighbours_alike(rng, corner):
    white = rng.standard_normal((64, 64, 3)).astype(np.float32)
    coarse = noise.demosaicked(white, corner)
    for channel in range(3):
        assert abs(alike(white[..., channel], 1)) < 0.1
        assert alike(coarse[..., channel], 1) > 0.15


def alike(layer, distance):
    """The correlation of a plane with itself some columns further."""
    return np.corrcoef(layer[:, :-distance].ravel(), layer[:, distance:].ravel())[0, 1]


def test_a_camera_leaves_grain_as_strong_as_it_was_and_blotches_of_colour(rng):
    white = rng.standard_normal((128, 128, 3)).astype(np.float32)
    for seed in range(20):
        left = noise.cleaned_by_camera(white, generator_of(seed))
        grain = left.mean(2)
        colour = left[..., 0] - grain
        assert 0.35 < grain.std() / white.mean(2).std() < 1.25
        assert 0.1 < colour.std() / white.mean(2).std() < 1.5
        assert alike(colour, 1) > 0.6  # 0 before


def test_a_noisy_photo_is_the_clean_one_in_the_mean():
    light = np.full((128, 128, 3), 0.3, np.float32)
    for seed in range(10):
        noisy, clean = noise.noisy_and_clean(light, np.array([[1e-4, 1e-7]]), generator_of(seed))
        assert noisy.shape == clean.shape == light.shape
        assert noisy.mean() == pytest.approx(clean.mean(), rel=0.1)
        assert 0 <= noisy.min() <= noisy.max() <= 1


def test_a_good_photo_is_brought_to_the_exposure_of_a_dark_one(rng):
    good = (rng.random((60, 80, 3)) * 255).astype(np.uint8)
    dark = (255 * (good / 255) ** 2 / 8 + rng.normal(0, 1, good.shape)).clip(0, 255).astype(np.uint8)
    wanted = training.brought_to(good, dark)
    assert np.abs(wanted.mean((0, 1)) * 255 - dark.mean((0, 1))).max() < 1


@pytest.mark.slow
def test_a_run_ends_in_weights_and_goes_on_where_it_was(root, monkeypatch, rng):
    out = root / "run"
    how = ["--data", str(root), "--sources", str(root / "sources.toml"), "--real", "dim", "--out", str(out)]
    assert training.main([*how, "--steps", "3", "--batch", "2"]) == 0
    first = torch.load(out / "last.pt", weights_only=True)
    assert first["step"] == 3
    assert training.main([*how, "--steps", "3", "--batch", "2", "--resume"]) == 0  # nothing is left to do
    again = torch.load(out / "last.pt", weights_only=True)
    assert all(torch.equal(again["network"][name], value) for name, value in first["network"].items())
    monkeypatch.setattr(denoise.weights, "folder", lambda: out)
    denoise.load.cache_clear()
    photo = Photo(rng.integers(0, 60, (30, 40, 3), np.uint8))
    assert denoise.clean(photo).pixels.shape == (30, 40, 3)
    denoise.load.cache_clear()


def test_batches_are_a_function_of_seed_and_step(root):
    sources, _ = training.mixture.read_sources(root / "sources.toml", root)
    profiles = underexposure.read_noise(root / "noise/profiles/darktable_noise.csv")
    examples = training.Examples(sources, profiles, [training.real_pairs(root / "dim")], 0)
    noisy, clean = examples.batch(3, 4)
    assert noisy.shape == clean.shape == (4, 3, training.SIDE, training.SIDE)
    assert all(torch.equal(*both) for both in zip((noisy, clean), examples.batch(3, 4), strict=True))
    assert not torch.equal(noisy, examples.batch(4, 4)[0])


def test_what_cannot_be_trained_on_is_said_in_one_line(tmp_path, capsys):
    assert training.main(["--data", str(tmp_path), "--sources", str(tmp_path / "no.toml"), "--out", "x"]) == 2
    assert capsys.readouterr().err == f"train.denoise: no such list of sources: {tmp_path / 'no.toml'}\n"

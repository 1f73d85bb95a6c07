"""The paper's ablations (Section 4.3.2) and its settings: they are what it says, and no product shows them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from ranlen.masks.regions import RegionMask
from ranlen.methods import ABLATIONS, METHODS
from ranlen.models import weights
from ranlen.models.backbones import BACKBONES
from ranlen.models.enhancer import Enhancer
from ranlen.models.layers import ThreeTails
from tests.conftest import trained
from tests.test_layers import filled
from train.config import load_config
from train.loop import Learner, forward, selection_metric
from train.losses import RegionLoss

CONFIGS = sorted((Path(__file__).parent.parent / "train" / "configs").rglob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_config_builds_the_network_it_is_named_after(path):
    config = load_config(path, {})
    assert f"{config.backbone}-{config.method}" == path.stem
    network = Enhancer(config.backbone, config.method, metered=config.metered)
    assert (network.backbone_name, network.method_name) == (config.backbone, config.method)


def test_there_is_a_config_for_each_row_of_the_paper():
    rows = {path.stem: load_config(path, {}) for path in CONFIGS if path.parent.name == "paper"}
    compared = {f"{b}-{method}" for b in ("deepupe", "star_dce") for method in ("global", "concat", "ranlen")}
    assert set(rows) == compared | {"deepupe-two_areas", "star_dce-tails"}
    for config in rows.values():
        assert (config.epochs, config.alpha, config.beta, config.gamma, config.fade) == (300, 1, 1e-4, 1, 0)
        assert (config.paper_masks, config.photos, config.exposure_jitter, config.metered) == (1, "", 0, False)
        assert (config.backbone, config.smooth_on) in (("deepupe", "light"), ("star_dce", "picture"))  # footnote 2
        assert (config.start, config.ema, config.clip) == ("", 0, 1 if config.backbone == "star_dce" else 0)


def test_two_areas_give_all_that_is_not_a_to_c(mask):
    divided = RegionMask(ABLATIONS["two_areas"].areas(mask.tensor))
    assert torch.equal(divided.a, mask.a)
    assert divided.b.max() == 0
    torch.testing.assert_close(divided.c, mask.b + mask.c)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_network_of_two_areas_does_not_know_area_b(backbone, enhancers, image):
    wide, narrow = (RegionMask.circle((60, 80), (30, 30), 14, outer).to("cpu") for outer in (28, 16))
    image = image[:1]
    for method, knows in (("two_areas", False), ("ranlen", True)):
        light, other = (enhancers[f"{backbone}-{method}"].predict(image, m).maps for m in (wide, narrow))
        assert torch.equal(light, other) != knows


def test_two_areas_leave_two_losses_with_weight_1(image, mask):
    network = Learner(Enhancer("star_dce", "two_areas", metered=False)).train()
    divided = RegionMask(network.network.method.areas(mask.tensor))
    big = torch.nn.functional.interpolate(image, (256, 256))
    total, parts = forward(network, RegionLoss(fade=1.0), big, (2 * big).clamp(0, 1), divided.resize((256, 256)), 64)
    assert parts["b"] == parts["fade"] == 0
    assert total.item() == pytest.approx(parts["a"] + parts["c"])


def test_two_areas_are_at_their_best_when_c_is_dark():
    """Started from a global network, one is best in A and in B before it has learned anything."""
    first, later = ({"psnr_a": 24, "psnr_b": 15.4, "psnr_c_raw": 12}, {"psnr_a": 23, "psnr_b": 15, "psnr_c_raw": 30})
    assert selection_metric("two_areas", later) > selection_metric("two_areas", first)
    assert selection_metric("ranlen", later) < selection_metric("ranlen", first)


def test_untrained_tails_leave_a_and_b_and_shut_c(mask):
    light = torch.randn(2, 24, 128, 128, generator=torch.Generator().manual_seed(1))
    fine = mask.resize((128, 128))
    torch.testing.assert_close(ThreeTails(24)(light, mask.tensor), light * (fine.a + fine.b))


def test_tails_work_the_same_at_any_size_of_the_light(mask):
    tails = filled(ThreeTails(3))
    coarse, fine = (tails(torch.full((2, 3, size, size), 0.4), mask.tensor) for size in (128, 256))
    assert (torch.nn.functional.avg_pool2d(fine, 2) - coarse).abs().mean() < 0.01 * coarse.std()


def test_tails_leave_seams_between_the_areas():
    """Each tail is told nothing of the others: on an even light the step at a border is whole, from cell to cell."""
    tails = filled(ThreeTails(1))
    mask = RegionMask.circle((128, 128), (64, 64), 20, 40).to("cpu")
    light = tails(torch.full((1, 1, 128, 128), 0.5), mask.tensor)[0, 0, 64]
    a, b, c = light[64], light[94], light[110]
    for inner, outer, at in ((a, b, 84), (b, c, 104)):
        assert (inner - outer).abs() > 0.05
        torch.testing.assert_close(light[at - 1], inner, rtol=0, atol=1e-5)
        torch.testing.assert_close(light[at], outer, rtol=0, atol=1e-5)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_tails_start_where_the_global_network_stands_but_in_c(backbone, image, mask):
    source = trained(backbone, "global", metered=False)
    local = Enhancer(backbone, "tails", metered=False).eval()
    local.start_from(source)
    ours, theirs = (each.predict(image, mask).maps for each in (local, source))
    inside = mask.resize((256, 256)).resize((ours.shape[-2], ours.shape[-1])).tensor[:, 1:] > 1 - 1e-6
    assert 0.1 < inside.float().mean() < 0.5
    torch.testing.assert_close(ours * inside, theirs * inside, rtol=1e-4, atol=1e-5)


def test_no_product_lists_ablations_but_their_files_load(enhancers, weights_folder, tmp_path, monkeypatch):
    assert not METHODS.keys() & ABLATIONS.keys()
    shutil.copytree(weights_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("RANLEN_WEIGHTS", str(tmp_path))
    path = tmp_path / "star_dce-tails.safetensors"
    weights.save(enhancers["star_dce-tails"], path, {})
    assert weights.published() == [f"{backbone}-{method}" for backbone in BACKBONES for method in METHODS]
    with pytest.raises(weights.WeightsError, match="unknown model 'star_dce-tails'"):
        weights.load("star_dce-tails")
    assert weights.load(path).method_name == "tails"

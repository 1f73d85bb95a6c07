from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from ranlen.masks.regions import RegionMask, smoothstep
from ranlen.models.layers import MaskedSequential, PlainNorm, PlainTail, RanlenNorm, RanlenTail


def filled(layer: nn.Module, seed: int = 0) -> nn.Module:
    """A layer whose every parameter is random."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return layer


def test_ranlen_norm_is_equation_1(mask):
    """Mean and deviation per channel over batch and place; gamma as itself; both from the mask by two convolutions."""
    norm = filled(RanlenNorm(5)).train()
    x = torch.randn(2, 5, 60, 80, generator=torch.Generator().manual_seed(1)) * 3 + 1
    weights = dict(norm.modulation.named_parameters())
    hidden = torch.relu(
        nn.functional.conv2d(mask.tensor, weights["encode.0.weight"], weights["encode.0.bias"], padding=1)
    )
    both = nn.functional.conv2d(hidden, weights["predict.weight"], weights["predict.bias"], padding=1)
    gamma, beta = both[:, :5], both[:, 5:]
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    deviation = (x.var(dim=(0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(norm(x, mask.tensor), gamma * (x - mean) / deviation + beta)


def test_an_untrained_ranlen_norm_is_plain_batch_normalization(mask):
    x = torch.randn(2, 5, 30, 40, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(RanlenNorm(5).train()(x, mask.tensor), nn.BatchNorm2d(5)(x))


def test_in_evaluation_statistics_are_those_of_training(mask):
    norm = filled(RanlenNorm(3)).train()
    generator = torch.Generator().manual_seed(2)
    for _ in range(100):
        norm(torch.randn(2, 3, 30, 40, generator=generator) * 2 + 5, mask.tensor)
    x = torch.randn(2, 3, 30, 40, generator=generator) * 2 + 5
    torch.testing.assert_close(norm.eval()(x, mask.tensor), norm.train()(x, mask.tensor), rtol=0.1, atol=0.1)


def test_the_mask_is_resized_to_the_features(mask):
    norm = filled(RanlenNorm(3)).eval()
    for size in ((60, 80), (16, 16), (4, 4), (1, 1)):
        assert norm(torch.zeros(2, 3, *size), mask.tensor).shape == (2, 3, *size)


def test_an_untrained_tail_changes_nothing(mask):
    light = torch.randn(2, 24, 60, 80, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(RanlenTail(24)(light, mask.tensor), light)
    assert torch.equal(PlainTail(24)(light, mask.tensor), light)


def test_a_tail_that_starts_faded_does_what_blend_does():
    """Gamma is the smooth ramp: all of the light in A, none in C, nothing of its own anywhere."""
    mask = RegionMask.circle((128, 128), (60, 64), 30, 50).to("cpu")
    tail = RanlenTail(3)
    light = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    tail.start_faded()
    with torch.no_grad():
        faded = tail(light, mask.tensor)
    torch.testing.assert_close(faded, light * smoothstep(mask.ramp()))
    assert torch.equal(faded * mask.a, light * mask.a)
    assert not (faded * mask.c).any()


def test_a_tail_means_the_same_at_another_resolution(mask):
    tail = filled(RanlenTail(3))
    coarse = tail(torch.full((2, 3, 128, 128), 0.4), mask.tensor)
    fine = tail(torch.full((2, 3, 256, 256), 0.4), mask.tensor)
    assert (nn.functional.avg_pool2d(fine, 2) - coarse).abs().mean() < 0.01 * coarse.std()


def test_a_tail_gives_all_of_an_area_the_same():
    """Whatever it has learned: seams within A, or light at some places of C, it cannot make."""
    mask = RegionMask.circle((128, 128), (60, 64), 30, 50).to("cpu")
    with torch.no_grad():
        lit = filled(RanlenTail(1))(torch.ones(1, 1, 128, 128), mask.tensor)
    for area in (mask.a, mask.c):
        assert lit[area == 1].std() < 1e-6
    assert lit[mask.b == 1].std() > 1e-3


def test_a_sequential_hands_the_mask_to_those_who_take_one(mask):
    x = torch.randn(2, 3, 60, 80, generator=torch.Generator().manual_seed(1))
    norm = filled(RanlenNorm(4)).eval()
    conv = nn.Conv2d(3, 4, 1)
    both = MaskedSequential(conv, norm, nn.ReLU())
    torch.testing.assert_close(both(x, mask.tensor), torch.relu(norm(conv(x), mask.tensor)))
    with pytest.raises(TypeError, match="mask"):
        both(x)


def test_a_plain_norm_does_not_look_at_the_mask(mask):
    norm = PlainNorm(3).eval()
    x = torch.randn(2, 3, 60, 80, generator=torch.Generator().manual_seed(1))
    assert torch.equal(norm(x, mask.tensor), norm(x, 1 - mask.tensor))


@pytest.mark.slow
def test_predicting_does_not_import_the_compiler():
    """It takes longer than lighting a photo."""
    code = (
        "import sys, torch; from ranlen.models.layers import RanlenTail;"
        "RanlenTail(3)(torch.zeros(1, 3, 8, 8), torch.zeros(1, 2, 16, 16)); print('torch._dynamo' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"

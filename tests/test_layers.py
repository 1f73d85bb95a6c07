from __future__ import annotations

import pytest
import torch
from torch import nn

from ranlen.layers import MaskedSequential, Modulation, PlainNorm, PlainTail, RanlenNorm, RanlenTail


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
    hidden = torch.relu(nn.functional.conv2d(mask.tensor, weights["encode.0.weight"], weights["encode.0.bias"], padding=1))
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


def test_a_tail_can_shut_the_light_in_area_c_and_nowhere_else(mask):
    """What the tail is for: gamma 1 in A, 0 in C. One hidden unit that looks at channel 1 of the mask is enough."""
    tail = RanlenTail(3)
    with torch.no_grad():
        for parameter in tail.modulation.parameters():
            parameter.zero_()
        tail.modulation.encode[0].weight[0, 1, 1, 1] = 1  # A or B, unblurred, at the centre of the kernel
        tail.modulation.predict.weight[:3, 0] = 1
        light = torch.ones(2, 3, 60, 80)
        torch.testing.assert_close(tail(light, mask.tensor), mask.tensor[:, 1:].expand(2, 3, 60, 80))


def test_a_tail_means_the_same_at_another_resolution(mask):
    tail = filled(RanlenTail(3))
    light = torch.full((2, 3, 60, 80), 0.4)
    fine = tail(torch.full((2, 3, 120, 160), 0.4), mask.tensor)
    coarse = tail(light, mask.tensor)
    assert (nn.functional.avg_pool2d(fine, 2) - coarse).abs().mean() < 0.02 * coarse.std()


def test_coarser_scales_see_further(mask):
    def reach(scales: tuple[int, ...]) -> int:
        modulation = filled(Modulation(1, scales=scales))
        spot = torch.zeros(1, 2, 64, 64)
        spot[..., 32, 32] = 1
        change = modulation(spot, (64, 64))[0] - modulation(torch.zeros(1, 2, 64, 64), (64, 64))[0]
        return int((change.abs() > 1e-6).any(2).sum())

    assert reach((1,)) == 5
    assert reach((1, 16)) > 30


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

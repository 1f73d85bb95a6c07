"""Networks made local from outside: the contract of every backbone, and exact at the start."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ranlen.methods import ABLATIONS, METHODS
from ranlen.models import backbones
from ranlen.models.conversion import ConvertError, convert
from ranlen.models.layers import MaskedLayer, PlainNorm, RanlenNorm
from ranlen.models.light import between, render
from ranlen.rendering.fields import Illumination
from tests.conftest import trained
from tests.test_backbones import (  # noqa: F401 - the contract, here with the `enhancer` and `backbone` below
    test_a_deep_copy_predicts_the_same,
    test_a_local_network_starts_exactly_where_a_global_one_stands,
    test_an_untrained_ranlen_network_is_the_global_one,
    test_black_white_and_empty_areas_give_finite_light,
    test_compiled_without_a_graph_break_it_predicts_the_same,
    test_every_parameter_gets_a_finite_gradient,
    test_exported_it_takes_another_mask,
    test_light_has_the_shape_and_range_its_kind_promises,
    test_odd_and_tiny_sizes_work,
    test_prediction_is_repeatable_and_leaves_no_trace,
    test_saved_and_loaded_weights_predict_the_same,
    test_the_mask_matters_for_local_networks_only,
    test_the_network_does_something_to_the_test_image,
    test_threads_with_different_masks_do_not_mix_them_up,
    test_two_photos_at_once_equal_one_by_one,
)

LAYERS = ["stem.1", "down.norm", "up"]


class Block(nn.Module):
    """As networks out there have it: some part with a norm of its own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 2, 1)
        self.norm = nn.GroupNorm(2, channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)))


class Aloof(nn.Module):
    """A part that no tracer can follow; nothing in it is named, so nothing needs to."""

    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.detach().sum()) >= -1e30 else -x


class Moody(nn.Module):
    """What cannot be converted: what it computes depends on what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) if bool(x.sum() > 0) else x


class Theirs(nn.Module):
    """Somebody else's network: a picture in, a brighter picture out."""

    def __init__(self, inputs: int = 3, aloof: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(inputs, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.down = Block(8)
        self.up = nn.Conv2d(8, 8, 3, padding=1)
        self.out = nn.Conv2d(8, 3, 1)
        self.aloof = Aloof() if aloof else nn.Identity()
        self.spare = nn.BatchNorm2d(8)

    def forward(self, x: Tensor, strength: float = 1.0) -> Tensor:
        height, width = x.shape[-2:]
        fine = self.stem(x)
        y = nn.functional.interpolate(self.up(self.down(fine)), size=fine.shape[-2:], mode="bilinear")
        y = nn.functional.interpolate(self.out(fine + self.aloof(y)), size=(height, width), mode="bilinear")
        return x[:, :3] ** torch.exp(-strength * torch.tanh(y))


class Converted(nn.Module):
    """The same as a backbone of ours, as docs/your-own-backbone.md says."""

    field = Illumination

    def __init__(self, in_channels: int, norm: type[MaskedLayer], tail: type[MaskedLayer]) -> None:
        super().__init__()
        self.network = convert(Theirs(in_channels), LAYERS, norm)
        self.tail = tail(3)

    def forward(self, x: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        return self.tail(between(x[:, :3], self.network(x, mask)).maps, mask)


@pytest.fixture(scope="module", autouse=True)
def known():
    """The converted network among the backbones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(backbones.BACKBONES, "theirs", Converted)
        yield


@pytest.fixture(scope="module")
def enhancers(known):
    return {f"theirs-{method}": trained("theirs", method) for method in METHODS | ABLATIONS}


@pytest.fixture(params=[f"theirs-{method}" for method in METHODS | ABLATIONS])
def enhancer(request, enhancers):
    return enhancers[request.param]


@pytest.fixture
def backbone():
    return "theirs"


@pytest.fixture
def theirs():
    """Their network as if trained: no weight and no statistic is where it started."""
    torch.manual_seed(0)
    network = Theirs(aloof=True)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(-0.2, 0.3) if tensor.ndim > 1 else tensor.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("norm", [RanlenNorm, PlainNorm])
@pytest.mark.parametrize("training", [False, True])
def test_a_converted_network_starts_as_what_it_was(theirs, norm, training, image, mask):
    theirs.train(training)
    ours = convert(theirs, LAYERS, norm)
    torch.testing.assert_close(ours(image, mask.tensor), theirs(image))
    torch.testing.assert_close(ours(image, mask.tensor, strength=0.5), theirs(image, 0.5))


def test_convolutions_are_exact_to_the_bit(theirs, image, mask):
    assert torch.equal(convert(theirs, ["stem.0", "up"])(image, mask.tensor), theirs(image))


def test_the_original_is_left_alone(theirs, image):
    before, names = theirs(image), list(theirs.state_dict())
    ours = convert(theirs, LAYERS)
    for parameter in ours.parameters():
        parameter.data.zero_()
    assert torch.equal(theirs(image), before)
    assert list(theirs.state_dict()) == names


def test_every_named_layer_listens(theirs, image, mask):
    for name in LAYERS:
        ours = convert(theirs, [name])
        torch.nn.init.normal_(ours.get_submodule(f"{name}.modulation.predict").weight)
        assert (ours(image, mask.tensor) - ours(image, mask.tensor.flip(-1))).abs().max() > 1e-3


def test_what_cannot_be_converted_is_told(theirs):
    for layers, message in [
        (["stem.7"], r"there is no layer 'stem.7'; see named_modules\(\), which has stem.0, stem.1, down.conv, "),
        (["stem.2"], "'stem.2' is a ReLU; name layers that are one of BatchNorm2d, "),
        (["spare"], "'spare' is never called"),
    ]:
        with pytest.raises(ConvertError, match=message):
            convert(theirs, layers)
    with pytest.raises(ConvertError, match=r"torch\.fx cannot follow Moody around conv \(.*\); name layers that"):
        convert(Moody(), ["conv"])


def test_a_picture_becomes_the_light_that_makes_it(image):
    lit = image**0.6
    torch.testing.assert_close(between(image, lit).maps[image < 0.002], torch.zeros(0), check_stride=False)
    remade = render(between(image, lit), image)
    assert (remade - lit).abs().max() < 0.1  # highlights are spared, shadows lose colour
    assert (remade - lit).abs().median() < 0.01

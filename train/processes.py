"""One run on several processes: each takes its share of every batch, and together they do what one would do alone.

Gradients are averaged by torch's DistributedDataParallel, statistics of normalization by `SyncedNorm`. How many
processes there are, and how they find each other, is the launcher's business (`accelerate launch`, `torchrun`).
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator
from torch import Tensor, distributed, nn

from ranlen.masks.regions import RegionMask
from train.config import ConfigError, TrainConfig
from train.data import DataError

Module = TypeVar("Module", bound=nn.Module)


def start_processes(config: TrainConfig) -> Accelerator:
    """Join the processes that the launcher started, or be the only one; knows this one's device and number."""
    processes = Accelerator(cpu=choose_device(config.device).type == "cpu", mixed_precision="no")
    if config.batch % processes.num_processes:
        raise ConfigError(
            f"batch must be a multiple of the number of processes, {processes.num_processes}; got {config.batch}"
        )
    return processes


def choose_device(name: str) -> torch.device:
    """auto: the GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise DataError("--device cuda: this machine has no usable GPU; use --device cpu")
    return torch.device(name)


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory: returning and refetching it costs a training step a quarter of its time."""
    if sys.platform == "linux":
        trim_threshold, mmap_max = -1, -4
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(mmap_max, 0)
            libc.mallopt(trim_threshold, 2**31 - 1)


def own_share(processes: Accelerator, batch: tuple[Tensor, Tensor, RegionMask]) -> tuple[Tensor, Tensor, RegionMask]:
    """This process's part of a batch, on its device: equal parts, so that the mean of their means is the batch's."""
    image, reference, mask = batch
    size = len(image) // processes.num_processes
    part = slice(processes.process_index * size, (processes.process_index + 1) * size)
    device = processes.device
    return image[part].to(device), reference[part].to(device), RegionMask(mask.tensor[part]).to(device)


def mean_over_processes(processes: Accelerator, values: dict[str, float]) -> dict[str, float]:
    """The same names, with means over all processes."""
    if processes.num_processes == 1:
        return values
    means = processes.reduce(torch.tensor(list(values.values()), dtype=torch.float64, device=processes.device), "mean")
    return dict(zip(values, means.tolist(), strict=True))


def synchronise(network: Module) -> Module:
    """Let every BatchNorm2d of a network take its statistics over the batches of all processes; in place."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                synced = SyncedNorm(child.num_features, child.eps, child.momentum, child.affine)
                synced.load_state_dict(child.state_dict())
                setattr(parent, name, synced.to(child.get_buffer("running_mean")))  # its device and type
    return network


class SyncedNorm(nn.BatchNorm2d):
    """Batch normalization over the equal batches of all processes; on CPUs too, where nn.SyncBatchNorm does not run.

    In evaluation mode, and to whoever reads the state_dict, it is a BatchNorm2d.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        mean_of = MeanOverProcesses.apply
        wide = x.float() if x.dtype == torch.bfloat16 else x
        mean = mean_of(wide.mean((0, 2, 3), keepdim=True))
        variance = mean_of((wide - mean).square().mean((0, 2, 3), keepdim=True))
        with torch.no_grad():
            count = distributed.get_world_size() * x.numel() // x.shape[1]
            momentum = cast("float", self.momentum)
            self.get_buffer("running_mean").lerp_(mean.flatten(), momentum)
            self.get_buffer("running_var").lerp_(variance.flatten() * (count / (count - 1)), momentum)
            self.get_buffer("num_batches_tracked").add_(1)
        y = (wide - mean) * torch.rsqrt(variance + self.eps)
        if self.affine:
            y = y * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return y.to(x.dtype)


class MeanOverProcesses(torch.autograd.Function):
    """The mean of a tensor over all processes; its gradient comes from the losses of all of them."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        mean = values / distributed.get_world_size()
        distributed.all_reduce(mean)
        return mean

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return MeanOverProcesses.forward(ctx, gradient)

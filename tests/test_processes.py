"""Two processes that train together do what one would do alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.test_train import RUN, TINY, logged_epochs
from train.__main__ import main
from train.config import ConfigError, TrainConfig
from train.processes import start_processes

ROOT = Path(__file__).parent.parent
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")

# Some steps in float64, where rounding is nothing: the loss of each, printed by the first process.
DOUBLE = """
import torch
from train.config import TrainConfig
from train.processes import own_share, mean_over_processes, start_processes, synchronise
from train.loop import Learner, forward
from ranlen.models.enhancer import Enhancer
from train.losses import RegionLoss
from ranlen.masks.regions import RegionMask

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
processes = start_processes(TrainConfig(batch=4, device="cpu"))
torch.manual_seed(0)
network = Enhancer("deepupe", "ranlen")
if processes.num_processes > 1:
    synchronise(network)
learner = processes.prepare(Learner(network.train()))
optimizer = torch.optim.Adam(network.parameters(), 3e-3)
masks = [RegionMask.circle((256, 256), (x, 128), 60, 90).to("cpu").tensor for x in (90, 120, 140, 160)]
masks = torch.cat(masks).double()
RegionMask.ramp = lambda mask: mask.tensor.mean(1, keepdim=True)
for step in range(4):
    reference = torch.rand(4, 3, 256, 256)
    image, reference, mask = own_share(processes, (reference * 0.3, reference, RegionMask(masks)))
    loss, _ = forward(learner, RegionLoss(fade=1.0), image, reference, mask, 32)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss = mean_over_processes(processes, {"loss": loss.item()})["loss"]
    if processes.is_main_process:
        print("loss", repr(loss), float(network.backbone.fuse.norm.running_var.sum()))
processes.wait_for_everyone()
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, timeout=300, text=True, capture_output=True
    )


@pytest.mark.slow
def test_in_exact_numbers_two_processes_take_the_steps_of_one(tmp_path):
    script = tmp_path / "double.py"
    script.write_text(DOUBLE)
    one, two = (
        np.array(
            [line.split()[1:] for line in run(*launcher, str(script)).stdout.splitlines() if "loss" in line], float
        )
        for launcher in ((), TWO)
    )
    assert one.shape == (4, 2)
    assert np.ptp(one[:, 0]) > 1e-3  # something is learned
    np.testing.assert_allclose(two, one, rtol=1e-9)


def curve(out: Path) -> np.ndarray:
    """The losses of each epoch."""
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return np.array([[row[name] for name in ("loss", "shape", "exposure", "fade")] for row in rows])


@pytest.mark.slow
def test_two_processes_log_the_losses_of_one_and_resume_each_others_runs(pairs, tmp_path):
    """In float32 sums are rounded in another order, by 1e-7, which Adam's first steps make 1e-5 of the loss."""
    settings = {**TINY, "backbone": "deepupe", "method": "ranlen", "data": str(pairs), "lr": 1e-4}

    def train(name: str, *launcher: str, last: int | None = None, resume: bool = False) -> str:
        done = run(*launcher, *command(name, last, resume))
        assert done.returncode == (9 if last else 0), done.stderr
        return done.stderr

    def command(name: str, last: int | None, resume: bool) -> list[str]:
        script = tmp_path / "run.py"
        script.write_text(RUN)
        return [str(script), json.dumps([{**settings, "out": str(tmp_path / name)}, last, resume])]

    train("one")
    train("two", *TWO)
    train("both", last=4)
    train("both", *TWO, resume=True)
    for name in ("two", "both"):
        assert logged_epochs(tmp_path / name) == [1, 2]
        np.testing.assert_allclose(curve(tmp_path / name), curve(tmp_path / "one"), rtol=1e-4, atol=2e-6)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == [
        "best.safetensors", "config.json", "last.pt", "log.jsonl", "tensorboard"
    ]  # fmt: skip


@pytest.mark.slow
def test_what_is_wrong_is_said_by_one_process(tmp_path):
    done = run(*TWO, "-m", "train", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--device", "cpu")
    assert done.returncode != 0
    assert done.stderr.count("train: no ") == 1


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    class Three:
        num_processes = 3

    monkeypatch.setattr("train.processes.Accelerator", lambda **settings: Three())
    with pytest.raises(ConfigError, match="batch must be a multiple of the number of processes, 3; got 8"):
        start_processes(TrainConfig(device="cpu"))


def test_the_other_processes_say_nothing(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    assert main(["--epochs", "1"]) == 2
    assert capsys.readouterr().err == ""

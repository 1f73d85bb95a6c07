"""ONNX Runtime: how graphs are opened here, once for all of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnxruntime

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it would begin as it is imported, with files in the home folder


class GraphError(ValueError):
    """A graph that cannot be opened; the message says why."""


def session(
    graph: Path | bytes, device: str = "cpu", *, optimized: bool = True, pooled: bool = False
) -> onnxruntime.InferenceSession:
    """A graph, ready to run; threads may share it.

    Args:
        graph: an .onnx file, or what is in it.
        device: "cpu", or "cuda" where onnxruntime-gpu is installed.
        optimized: whether to look for a faster way to run it first, which takes a while itself.
        pooled: whether memory that a run has done with serves the rest of that run: where maps are large, a sixth less
            time and a quarter less at the peak. All of it is kept, but by `run`.

    Raises:
        GraphError: it is damaged, or none.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a thread that waits costs nothing
    options.enable_cpu_mem_arena = pooled
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    chosen = ["CUDAExecutionProvider"] if device == "cuda" else []
    try:
        return onnxruntime.InferenceSession(graph, options, providers=[*chosen, "CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own
        raise GraphError(str(error).splitlines()[0]) from None


def run(
    session: onnxruntime.InferenceSession, inputs: Mapping[str, np.ndarray], shapes: Sequence[Sequence[int]]
) -> list[np.ndarray]:
    """Run a pooled graph, and give the pool's memory back.

    Args:
        session: the graph, all of whose outputs are float32.
        inputs: by name.
        shapes: of the outputs, in the graph's order. They are not the pool's: of that a single one would hold hundreds
            of MiB, for as long as anybody keeps it.
    """
    import onnxruntime

    binding, outputs = session.io_binding(), [np.empty(shape, np.float32) for shape in shapes]
    for name, array in inputs.items():
        binding.bind_cpu_input(name, np.ascontiguousarray(array))
    for about, array in zip(session.get_outputs(), outputs, strict=True):
        binding.bind_output(about.name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    session.run_with_iobinding(binding, options)
    return outputs


def threads() -> int:
    """How many threads a graph runs on: OMP_NUM_THREADS, or what this process may use."""
    may_use = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(os.environ.get("OMP_NUM_THREADS") or may_use)

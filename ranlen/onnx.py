"""ONNX Runtime: how graphs are opened here, once for all of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime


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
            time and a quarter less at the peak. All of it is kept, unless a run is told `afterwards_empty`.

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


def afterwards_empty() -> onnxruntime.RunOptions:
    """What tells a run of a pooled graph to give its memory back."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def threads() -> int:
    """How many threads a graph runs on: OMP_NUM_THREADS, or what this process may use."""
    may_use = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(os.environ.get("OMP_NUM_THREADS") or may_use)

"""How torch runs in this process: what has to be installed, which numbers it computes with, on how many threads.

Importing this module does not import torch.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from resources.errors import ResourceError

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_BFLOAT16_FLAGS = frozenset(("avx512_bf16", "amx_bf16", "bf16"))
_CGROUP = Path("/sys/fs/cgroup")


def prepare(what: str, error: type[ResourceError], instead: str) -> None:
    """Look for the packages, forbid the network, and set torch's threads, once a process.

    what: the model that needs them; instead: what can be done without the packages.

    Raises:
        ResourceError: of the class `error`: a package is not installed.
    """
    for package in ("sentence_transformers", "torch"):
        if importlib.util.find_spec(package) is None:
            raise error(
                f"{what} needs the package {package}, which is not installed: run"
                f" `pip install 'starsearch[embedded]'`, or {instead}."
            )
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import transformers

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    set_threads()


@functools.cache
def set_threads() -> int:
    """Let torch compute on as many threads as this process has CPUs, and say on how many.

    torch counts the machine's: a container that may use two CPUs of sixty-four would run sixty-four threads on them.
    Where OMP_NUM_THREADS is set, that was somebody's choice and stands.
    """
    import torch

    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(usable_cpus())
    return torch.get_num_threads()


def usable_cpus() -> int:
    """CPUs that this process may use: its affinity, and the quota of its control group (cgroup v2, v1), rounded up."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, _quota(_CGROUP)))


def chosen_dtype(dtype: str) -> torch.dtype:
    """`float32`, `bfloat16`, or with `auto` the second where the CPU multiplies it itself."""
    import torch

    bfloat16 = dtype == "bfloat16" or (dtype == "auto" and has_native_bfloat16())
    return torch.bfloat16 if bfloat16 else torch.float32


def has_native_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself (AVX-512 BF16, AMX, Arm BF16), by Linux's /proc/cpuinfo."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    lines = (line for line in text.splitlines() if line.startswith(("flags", "Features")))
    return bool(_BFLOAT16_FLAGS & set(next(lines, "").split()))


def _quota(cgroup: Path) -> int:
    """CPUs that the control group's quota allows; very many where there is none."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        return math.ceil(int(quota) / int(period)) if int(quota) > 0 else 1 << 20
    except (OSError, ValueError):  # no control group, or "max": no quota
        return 1 << 20

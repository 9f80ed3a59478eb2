"""What the figures were measured on and with."""

import os
import platform
import tomllib
from importlib.metadata import version
from pathlib import Path

from compare import places

CORES = len(os.sched_getaffinity(0))


def describe() -> dict[str, str | int]:
    return {
        "processor": _line("/proc/cpuinfo", "model name"),
        "instruction sets": _instruction_sets(),
        "cores": CORES,
        "memory": f"{int(_line('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": places.commit(),
    }


def package_version(package: str) -> str:
    return version(package)


def crate_version(crate: str) -> str:
    """As locked."""
    locked = tomllib.loads((places.PROJECT / "Cargo.lock").read_text())
    return next(one["version"] for one in locked["package"] if one["name"] == crate)


def _instruction_sets() -> str:
    flags = _line("/proc/cpuinfo", "flags").split()
    wanted = ("avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx512_vpopcntdq", "avx512vbmi")
    return " ".join(flag for flag in wanted if flag in flags)


def _line(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.split(":")[0].strip() == name:
            return line.split(":", 1)[1].strip()
    return "unknown"

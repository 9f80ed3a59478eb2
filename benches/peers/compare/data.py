"""The galleries: made by `lookalike synth` and normalised, so that all are given the same."""

import csv
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compare import places
from compare.options import Options

ROWS_AT_A_TIME = 65_536


@dataclass(frozen=True)
class Data:
    name: str
    folder: Path
    command: str
    """What drew it."""

    @property
    def faces_file(self) -> Path:
        return self.folder / "embeddings.npy"

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.csv"

    @property
    def probes_file(self) -> Path:
        return self.folder / "probes.npy"

    def faces(self) -> NDArray[np.float32]:
        """Mapped, not loaded; of unit length."""
        return np.load(self.faces_file, mmap_mode="r")

    def probes(self) -> NDArray[np.float32]:
        return np.load(self.probes_file)

    def subjects(self) -> NDArray[np.str_]:
        return _subjects(self.manifest)

    def probe_subjects(self) -> NDArray[np.str_]:
        """Empty for a non-mated probe; the mated ones come first."""
        return _subjects(self.folder / "probes.csv")

    def mated(self) -> int:
        """How many of the probes, the first, have mates."""
        mated = self.probe_subjects() != ""
        count = int(mated.sum())
        if not mated[:count].all():
            raise ValueError(f"{self.folder}: mated probes must come first")
        return count


def prepare(options: Options, kind: str) -> Data:
    """Draws the gallery, unless an earlier run did."""
    name = f"{options.profile}-{options.faces}-{kind}-{options.probes}-{options.seed}"
    folder = places.HOME / "data" / name
    synth = ["--profile", options.profile, "--faces", str(options.faces)]
    synth += ["--probes", str(options.probes), "--seed", str(options.seed)]
    synth += ["--isolated"] if kind == "isolated" else []
    data = Data(name, folder, " ".join(["lookalike synth", *synth]))
    if not folder.exists():
        making = folder.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        making.parent.mkdir(parents=True, exist_ok=True)
        cargo = ["cargo", "run", "--quiet", "--release", "--", "synth", str(making)]
        subprocess.run(cargo + synth, cwd=places.PROJECT, check=True)
        _normalise(making / "embeddings.npy")
        _normalise(making / "probes.npy")
        making.rename(folder)
    return data


def _normalise(file: Path) -> None:
    rows = np.load(file, mmap_mode="r+")
    for begin in range(0, len(rows), ROWS_AT_A_TIME):
        block = rows[begin : begin + ROWS_AT_A_TIME]
        block /= np.linalg.norm(block.astype(np.float64), axis=1, keepdims=True)
    rows.flush()


def _subjects(file: Path) -> NDArray[np.str_]:
    with file.open(newline="") as lines:
        return np.array([line["subject"] for line in csv.DictReader(lines)])

"""usearch: HNSW over vectors of the type asked for.

Its own cast to 8 bits spends most of them on the range from -1 to 1, of which embeddings of many
dimensions use a small part. So faces and probes are centred, scaled to that part and rounded here,
ahead of the timing; squared distances keep their order then.
"""

from pathlib import Path

import numpy as np
from usearch.index import Index

from compare.engines.base import EF_CONSTRUCTION, Engine, K, Probes, Rows, Vectors

FILE = "index.usearch"
CENTRE = "centre.npy"
DEVIATIONS = 4
"""The range of 8 bits, in standard deviations."""
ROWS_AT_A_TIME = 65_536


class Rival(Engine):
    def __init__(self, type: str) -> None:
        self.type = type
        self.metric = "l2sq" if type == "i8" else "ip"

    def build(self, faces: Vectors, threads: int) -> None:
        if self.type == "i8":
            self.centre = faces.mean(axis=0, dtype=np.float64).astype(np.float32)
            sample = faces[:ROWS_AT_A_TIME] - self.centre
            self.scale = np.float32(127 / (DEVIATIONS * sample.std()))
        self.index = Index(
            ndim=faces.shape[1],
            metric=self.metric,
            dtype=self.type,
            connectivity=16,
            expansion_add=EF_CONSTRUCTION,
        )
        for begin in range(0, len(faces), ROWS_AT_A_TIME):
            block = self.probes(faces[begin : begin + ROWS_AT_A_TIME])
            rows = np.arange(begin, begin + len(block), dtype=np.uint64)
            self.index.add(rows, block, threads=threads)

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / FILE))
        if self.type == "i8":
            np.save(folder / CENTRE, np.append(self.centre, self.scale))

    def load(self, folder: Path) -> None:
        self.index = Index.restore(str(folder / FILE))
        if self.type == "i8":
            stored = np.load(folder / CENTRE)
            self.centre, self.scale = stored[:-1], stored[-1]

    def probes(self, probes: Vectors) -> Probes:
        if self.type != "i8":
            return probes
        return np.clip(np.rint((probes - self.centre) * self.scale), -127, 127).astype(np.int8)

    def use(self, setting: dict[str, int]) -> None:
        self.index.expansion_search = setting["ef"]

    def search(self, probes: Probes) -> Rows:
        return self.index.search(probes, K, threads=self.threads).keys

"""rabitqlib: SymphonyQG, a graph whose links carry the codes of the faces they lead to."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from rabitqlib import SymqgIndex

from compare.engines.base import EF_CONSTRUCTION, Engine, K, Probes, Rows, Vectors

FILE = "index.symqg"
TINY_DIMS = 64


class Rival(Engine):
    TINY: ClassVar[dict[str, int]] = {"degree": 32}

    def __init__(self, degree: int) -> None:
        self.degree = degree
        self.ef = K

    def build(self, faces: Vectors, threads: int) -> None:
        self.index = SymqgIndex(faces.shape[1], self.degree, "l2", 0)
        self.index.build(faces, EF_CONSTRUCTION, threads)

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / FILE))

    def load(self, folder: Path) -> None:
        self.index = SymqgIndex.load(str(folder / FILE))

    def use(self, setting: dict[str, int]) -> None:
        self.ef = setting["ef"]

    def search(self, probes: Probes) -> Rows:
        return self.index.search_batch(probes, K, self.ef, self.threads)[0]

    def tiny(self) -> Vectors:
        """It takes more faces than a face has links."""
        faces = np.random.default_rng(0).standard_normal((self.degree + 8, TINY_DIMS))
        return faces.astype(np.float32)

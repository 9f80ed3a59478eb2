"""What is asked of a rival."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

K = 10
EF_CONSTRUCTION = 200
TINY_FACES, TINY_DIMS = 16, 8

Vectors = NDArray[np.float32]
Probes = NDArray[np.generic]
Rows = NDArray[np.integer]


class Engine(ABC):
    """An index of one library, with the settings it is built with.

    Probes come as a matrix, and in the type that `probes` gave them.
    """

    TINY: ClassVar[dict[str, int]] = {}
    """Parameters that make an index smaller than the one compared."""

    threads = 1
    """To search with."""
    choice = ""
    """Names a setting that the library leaves to its user and `tried` finds out; empty for none."""

    def tried(self, faces: Vectors, threads: int) -> dict[str, float]:
        """What may be chosen, and how good each is on a sample of the faces."""
        return {}

    def choose(self, tried: dict[str, float]) -> None:  # noqa: B027 - most have no choice
        """Settles the choice, ahead of the build."""

    @abstractmethod
    def build(self, faces: Vectors, threads: int) -> None: ...

    @abstractmethod
    def save(self, folder: Path) -> None: ...

    @abstractmethod
    def load(self, folder: Path) -> None: ...

    @abstractmethod
    def use(self, setting: dict[str, int]) -> None: ...

    @abstractmethod
    def search(self, probes: Probes) -> Rows: ...

    def use_threads(self, threads: int) -> None:
        self.threads = threads

    def probes(self, probes: Vectors) -> Probes:
        return probes

    def tiny(self) -> Vectors:
        """Faces of the smallest index worth the name: a search of it is mostly the call."""
        return np.eye(TINY_FACES, TINY_DIMS, dtype=np.float32) + np.float32(0.1)

    def notes(self) -> dict[str, str]:
        """What was chosen, and why."""
        return {}

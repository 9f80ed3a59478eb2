"""hnswlib: HNSW over the vectors."""

from pathlib import Path

import hnswlib

from compare.engines.base import EF_CONSTRUCTION, Engine, K, Probes, Rows, Vectors

FILE = "index.bin"


class Rival(Engine):
    def __init__(self, m: int) -> None:
        self.m = m

    def build(self, faces: Vectors, threads: int) -> None:
        self.index = hnswlib.Index("ip", faces.shape[1])
        self.index.init_index(len(faces), M=self.m, ef_construction=EF_CONSTRUCTION)
        self.index.add_items(faces, num_threads=threads)

    def save(self, folder: Path) -> None:
        self.index.save_index(str(folder / FILE))
        (folder / "dims").write_text(str(self.index.dim))

    def load(self, folder: Path) -> None:
        self.index = hnswlib.Index("ip", int((folder / "dims").read_text()))
        self.index.load_index(str(folder / FILE))

    def use(self, setting: dict[str, int]) -> None:
        self.index.set_ef(setting["ef"])

    def search(self, probes: Probes) -> Rows:
        return self.index.knn_query(probes, K, num_threads=self.threads)[0]

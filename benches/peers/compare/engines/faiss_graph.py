"""faiss: HNSW over the vectors, or over 8-bit codes whose best candidates the vectors judge."""

from pathlib import Path

import faiss

from compare.engines.base import EF_CONSTRUCTION, Engine, K, Probes, Rows, Vectors

FILE = "index.faiss"


class Rival(Engine):
    def __init__(self, m: int, codes: str = "Flat") -> None:
        self.description = f"HNSW{m},{codes}"
        self.refined = codes != "Flat"

    def build(self, faces: Vectors, threads: int) -> None:
        faiss.omp_set_num_threads(threads)
        graph = faiss.index_factory(faces.shape[1], self.description, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = EF_CONSTRUCTION
        self._take(faiss.IndexRefineFlat(graph) if self.refined else graph)
        self.index.train(faces)
        self.index.add(faces)

    def save(self, folder: Path) -> None:
        faiss.write_index(self.index, str(folder / FILE))

    def load(self, folder: Path) -> None:
        self._take(faiss.read_index(str(folder / FILE)))

    def _take(self, index: faiss.Index) -> None:
        self.index = index
        self.graph = faiss.downcast_index(index.base_index) if self.refined else index
        self.asked = index

    def use(self, setting: dict[str, int]) -> None:
        self.graph.hnsw.efSearch = setting["ef"]
        factor = setting.get("refine", 0)
        self.asked = self.index if factor else self.graph
        if factor:
            self.index.k_factor = factor

    def use_threads(self, threads: int) -> None:
        faiss.omp_set_num_threads(threads)

    def search(self, probes: Probes) -> Rows:
        return self.asked.search(probes, K)[1]

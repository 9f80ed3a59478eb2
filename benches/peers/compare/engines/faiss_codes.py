"""faiss: a scan over 4-bit product or over RaBitQ codes, of all faces or of the inverted lists that
are nearest the probe; vectors judge the best candidates."""

from pathlib import Path

import faiss
import numpy as np

from compare.engines.base import Engine, K, Probes, Rows, Vectors

FILE = "index.faiss"
PARTS = 128
PQ = "PQ{parts}x4fs"
"""Its name in faiss; the others have no gaps to fill."""
TRAINING_FACES, TRAINING_FACES_A_LIST = 65_536, 64
FACES_A_LIST = 16

# A rotation ahead of the codes is tried on a sample and taken where it finds more: it costs each
# probe a matrix product.
ROTATIONS = ("", "RR", "OPQ")
SAMPLE_FACES, SAMPLE_PROBES, SAMPLE_REFINE = 20_000, 500, 10
LEAST_GAIN = 0.01


class Rival(Engine):
    def __init__(self, codes: str, lists: int = 0) -> None:
        self.codes = codes
        self.lists = lists
        self.rotation = ""
        # For vectors of unit length both metrics have one order. Inner products are the better one
        # for product codes, distances for what RaBitQ leaves over of the lists' centres.
        self.metric = faiss.METRIC_INNER_PRODUCT if codes == PQ else faiss.METRIC_L2
        self.choice = f"faiss-{faiss.__version__}-{codes.format(parts=PARTS)}-rotation"
        self.scores: dict[str, float] = {}

    def tried(self, faces: Vectors, threads: int) -> dict[str, float]:
        faiss.omp_set_num_threads(threads)
        sample = _some(faces, SAMPLE_FACES)
        searched, probes = sample[SAMPLE_PROBES:], sample[:SAMPLE_PROBES]
        # In a large gallery most faces are not trained with, and so it must be here: a rotation
        # learned from the very faces that are searched looks better than it is.
        large = len(faces) > TRAINING_FACES
        training = _some(faces, SAMPLE_FACES, SAMPLE_FACES) if large else searched
        exact = faiss.knn(probes, searched, K, metric=faiss.METRIC_INNER_PRODUCT)[1]
        recalls = {}
        for rotation in ROTATIONS if self.codes == PQ else ROTATIONS[:2]:
            index = faiss.IndexRefineFlat(self._described(faces.shape[1], rotation))
            index.train(training)
            index.add(searched)
            index.k_factor = SAMPLE_REFINE
            found = index.search(probes, K)[1]
            right = (found[:, :, None] == exact[:, None, :]).sum()
            recalls[rotation] = float(right / exact.size)
        return recalls

    def choose(self, tried: dict[str, float]) -> None:
        self.scores = tried
        best = max(tried, key=tried.__getitem__)
        self.rotation = best if tried[best] >= tried[""] + LEAST_GAIN else ""

    def build(self, faces: Vectors, threads: int) -> None:
        faiss.omp_set_num_threads(threads)
        lists = min(self.lists, len(faces) // FACES_A_LIST)
        index = self._described(faces.shape[1], self.rotation, lists)
        index.train(_some(faces, max(TRAINING_FACES, TRAINING_FACES_A_LIST * lists)))
        self._take(faiss.IndexRefineFlat(index))
        self.index.add(faces)

    def save(self, folder: Path) -> None:
        faiss.write_index(self.index, str(folder / FILE))

    def load(self, folder: Path) -> None:
        self._take(faiss.read_index(str(folder / FILE)))

    def use(self, setting: dict[str, int]) -> None:
        self.index.k_factor = setting["refine"]
        if self.lists:
            faiss.extract_index_ivf(self.scan).nprobe = setting["nprobe"]

    def use_threads(self, threads: int) -> None:
        faiss.omp_set_num_threads(threads)

    def search(self, probes: Probes) -> Rows:
        return self.index.search(probes, K)[1]

    def notes(self) -> dict[str, str]:
        recalls = (f"{name or 'none'} {recall:.3f}" for name, recall in self.scores.items())
        return {"factory": self.description, "recall on a sample by rotation": ", ".join(recalls)}

    def _described(self, dims: int, rotation: str, lists: int = 0) -> faiss.Index:
        parts = min(PARTS, dims)
        rotation = f"OPQ{parts}" if rotation == "OPQ" else rotation
        steps = (rotation, f"IVF{lists}" if lists else "", self.codes.format(parts=parts))
        self.description = ",".join(filter(None, steps))
        index = faiss.index_factory(dims, self.description, self.metric)
        if rotation.startswith("OPQ"):
            # To be learned for codes of 4 bits; without this faiss learns it for 8.
            self.learner = faiss.ProductQuantizer(dims, parts, 4)
            faiss.downcast_VectorTransform(index.chain.at(0)).pq = self.learner
        return index

    def _take(self, index: faiss.IndexRefineFlat) -> None:
        self.index = index
        self.scan = faiss.downcast_index(index.base_index)


def _some(faces: Vectors, number: int, after: int = 0) -> Vectors:
    """Drawn by chance, always the same ones; others `after` so many."""
    rows = np.random.default_rng(0).permutation(len(faces))[after : after + number]
    return np.ascontiguousarray(faces[np.sort(rows)])

"""The exact answers: every face scored in single precision, the best of them again in double."""

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from compare.data import Data

K = 10
TIE = 1e-6
"""How far below the K-th similarity a face still ties with it."""
SPARE = 10
"""Faces beyond the K-th that are scored again, in case rounding swapped them."""
ROWS_AT_A_TIME = 500_000


@dataclass(frozen=True)
class Truth:
    rows: NDArray[np.int64]
    """The K most similar faces of each probe."""
    floor: NDArray[np.float64]
    """From which similarity on a face is among them or ties with the last."""
    mates: NDArray[np.bool_]
    """Which of them show the person on the probe."""


def prepare(data: Data) -> Truth:
    """Finds the exact answers, unless an earlier run did."""
    file = data.folder / "truth.npz"
    if not file.exists():
        faces, probes = data.faces(), data.probes()
        rows = _nearest(faces, probes)
        similarity = similarities(faces, probes, rows)
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :K]
        rows = np.take_along_axis(rows, order, axis=1)
        floor = np.take_along_axis(similarity, order, axis=1)[:, -1] - TIE
        mates = data.subjects()[rows] == data.probe_subjects()[:, None]
        np.savez(file, rows=rows, floor=floor, mates=mates)
    with np.load(file) as stored:
        return Truth(stored["rows"], stored["floor"], stored["mates"])


def similarities(
    faces: NDArray[np.float32], probes: NDArray[np.float32], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Of each probe with its own list of faces."""
    answer = np.empty(rows.shape)
    for at, (probe, row) in enumerate(zip(probes.astype(np.float64), rows, strict=True)):
        answer[at] = faces[row].astype(np.float64) @ probe
    return answer


def _nearest(faces: NDArray[np.float32], probes: NDArray[np.float32]) -> NDArray[np.int64]:
    wanted = min(K + SPARE, len(faces))
    best, rows = np.empty((len(probes), 0), np.float32), np.empty((len(probes), 0), np.int64)
    for begin in range(0, len(faces), ROWS_AT_A_TIME):
        block = np.ascontiguousarray(faces[begin : begin + ROWS_AT_A_TIME])
        found = faiss.knn(probes, block, min(wanted, len(block)), metric=faiss.METRIC_INNER_PRODUCT)
        best = np.hstack([best, found[0]])
        rows = np.hstack([rows, found[1] + begin])
        order = np.argsort(-best, axis=1, kind="stable")[:, :wanted]
        best, rows = np.take_along_axis(best, order, 1), np.take_along_axis(rows, order, 1)
    return rows

"""How good answers are. The same for every engine; the words are those of the README."""

import numpy as np
from numpy.typing import NDArray

from compare.truth import K, Truth, similarities


def recall(
    found: NDArray[np.int64],
    truth: Truth,
    faces: NDArray[np.float32],
    probes: NDArray[np.float32],
) -> float:
    """Share of K faces a probe that are as similar as the K-th exact one; each counts once."""
    asked = np.sort(found, axis=1)
    valid = (asked >= 0) & (asked < len(faces))
    valid[:, 1:] &= asked[:, 1:] != asked[:, :-1]
    similarity = similarities(faces, probes, np.where(valid, asked, 0))
    right = (valid & (similarity >= truth.floor[:, None])).sum(axis=1)
    return float(np.minimum(right, K).sum() / truth.rows.size)


def hit_rate(found: NDArray[np.int64], truth: Truth) -> float:
    """Of the mates among the exact K, over all probes together, the share returned."""
    returned = (truth.rows[:, :, None] == found[:, None, :]).any(axis=2)
    return float((returned & truth.mates).sum() / truth.mates.sum())

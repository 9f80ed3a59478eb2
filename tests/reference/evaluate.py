"""What `lookalike evaluate` should say of the sample, computed with NumPy and scikit-learn.

    python3 tests/reference/evaluate.py > tests/reference/evaluate.json

Run with Python 3.11.7, NumPy 2.4.6 and scikit-learn 1.9.1. Two cases:

- "sample": the sample's gallery and its probes, as they are.
- "split": of each of the first 60 people every other photo is the gallery, the rest are mated probes;
  all photos of the other 40 people are non-mated probes. Probes have the source of their photo.

Intervals are of 95 %, by drawing people again 10,000 times; they need not agree in every digit with
those of another generator.
"""

import csv
import json
import pathlib
import sys

import numpy as np
from sklearn.metrics import roc_curve, top_k_accuracy_score

K = 10
FPIRS = [0.1, 0.01, 0.001]
RESAMPLES = 10_000
SAMPLE = pathlib.Path(__file__).parents[2] / "data" / "sample"


def table(name):
    with open(SAMPLE / name, newline="") as file:
        return list(csv.DictReader(file))


def unit(rows):
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def cases():
    faces, probes = unit(np.load(SAMPLE / "embeddings.npy")), unit(np.load(SAMPLE / "probes.npy"))
    manifest, who = table("manifest.csv"), table("probes.csv")
    subjects = np.array([line["subject"] for line in manifest])
    yield "sample", faces, subjects, probes, [line["subject"] for line in who], None

    enrolled = []
    for person in range(60):
        enrolled += list(np.flatnonzero(subjects == f"subject-{person:03}")[::2])
    others = [row for row in range(len(subjects)) if row not in set(enrolled)]
    sources = np.array([manifest[row]["source"] for row in others])
    yield "split", faces[sorted(enrolled)], subjects[sorted(enrolled)], faces[others], [
        subjects[row] for row in others
    ], sources


class Searches:
    """What exhaustive search returns: the scores that identification is judged by."""

    def __init__(self, gallery, subjects, probes, who):
        similarity = probes @ gallery.T
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :K]
        self.top = order
        self.near = np.take_along_axis(similarity, order, axis=1)
        is_mate = subjects[order] == np.array(who)[:, None]
        self.mated = np.isin(who, subjects)
        self.rank = np.where(is_mate.any(axis=1), is_mate.argmax(axis=1) + 1, K + 1)
        mate = np.where(is_mate, self.near, -np.inf).max(axis=1)
        # A mate that is not among the first K is missed at every threshold.
        self.score = np.where(self.mated, mate, self.near[:, 0])
        self.in_top = is_mate.sum(axis=1)
        names = [name or f"nobody {i}" for i, name in enumerate(who)]
        self.people = np.unique(names, return_inverse=True)[1]
        # scikit-learn's own word on the CMC, where each subject has its best face for a score.
        labels = np.unique(subjects)
        best = np.stack([similarity[:, subjects == label].max(axis=1) for label in labels], axis=1)
        self.sklearn_rank1 = top_k_accuracy_score(
            np.array(who)[self.mated], best[self.mated], k=1, labels=labels
        )


def threshold(strangers, fpir):
    """The similarity that a threshold must exceed so that at most this share is answered."""
    allowed = int(np.floor(fpir * len(strangers) + 1e-9))
    return np.sort(strangers)[::-1][allowed]


def fnir(mates, above):
    return np.mean(mates <= above)


def ratio(count, of):
    return {"value": float(count / of), "count": int(count), "of": int(of)}


def draw(random, searches, which, figure):
    """The 95 % interval of a figure of probes, all of a person's drawn together."""
    rows = {kind: np.flatnonzero(which & (searches.mated == kind)) for kind in (True, False)}
    found = []
    for _ in range(RESAMPLES):
        drawn = []
        for kind in rows.values():
            people = np.unique(searches.people[kind])
            if len(people):
                times = np.bincount(random.integers(len(people), size=len(people)), minlength=len(people))
                drawn.append(np.repeat(kind, times[np.searchsorted(people, searches.people[kind])]))
        found.append(figure(np.concatenate(drawn)))
    return [float(end) for end in np.quantile(found, [0.025, 0.975])]


def figures(searches, which, overall):
    random = np.random.default_rng(1)
    mated, strangers = which & searches.mated, which & ~searches.mated
    people = [len(np.unique(searches.people[kind])) for kind in (mated, strangers)]
    out = {
        "mated": {"probes": int(mated.sum()), "people": people[0]},
        "non_mated": {"probes": int(strangers.sum()), "people": people[1]},
        "recall": ratio(K * which.sum(), K * which.sum()),
        "hit_rate": ratio(searches.in_top[mated].sum(), searches.in_top[mated].sum()),
        "cmc": [],
        "open_set": [],
    }
    for rank in range(1, K + 1):
        point = ratio((searches.rank[mated] <= rank).sum(), mated.sum())
        by_rank = lambda rows: np.mean(searches.rank[rows][searches.mated[rows]] <= rank)
        point["interval"] = draw(random, searches, which, by_rank) if rank == 1 else None
        out["cmc"].append({"rank": rank, **point})
    every = searches.score[~searches.mated]
    people_of_all = len(np.unique(searches.people[~searches.mated]))
    for asked in [*FPIRS, None]:
        point = {"asked_fpir": asked, "people_needed": round(3 / asked) if asked else 1}
        if people_of_all >= point["people_needed"]:
            above = threshold(every, asked or 0.0)
            gap = np.abs(searches.score[searches.score != above] - above).min()
            # Single precision must come to the same counts.
            assert gap > 2e-6, gap
            missed = (searches.score[mated] <= above).sum()
            answered = (searches.score[strangers] > above).sum()
            point |= {"threshold": float(above)}
            point |= {"fnir": ratio(missed, mated.sum()), "fpir": ratio(answered, strangers.sum())}

            def again(rows):
                own, other = rows[searches.mated[rows]], rows[~searches.mated[rows]]
                moves = asked is not None and overall
                at = threshold(searches.score[other], asked) if moves else above
                return fnir(searches.score[own], at)

            point["fnir"]["interval"] = draw(random, searches, which, again)
            if overall:
                check(searches, asked or 0.0, missed / mated.sum())
        out["open_set"].append(point)
    return out


def check(searches, asked, expected):
    """scikit-learn's best FNIR among the operating points with an FPIR of at most this."""
    score = np.where(np.isfinite(searches.score), searches.score, -2)
    fpir, found, _ = roc_curve(searches.mated, score, drop_intermediate=False)
    least = (1 - found)[fpir <= asked + 1e-12].min()
    assert np.isclose(least, expected), (asked, least, expected)


def main():
    out = {}
    for name, gallery, subjects, probes, who, sources in cases():
        searches = Searches(gallery, subjects, probes, who)
        everyone = np.ones(len(probes), dtype=bool)
        case = {"all": figures(searches, everyone, True), "groups": {}}
        assert np.isclose(case["all"]["cmc"][0]["value"], searches.sklearn_rank1)
        for source in [] if sources is None else np.unique(sources):
            case["groups"][str(source)] = figures(searches, sources == source, False)
        case["top"] = searches.top.tolist()
        out[name] = case
    json.dump(out, sys.stdout, separators=(",", ":"))
    print()


main()

"""Speed over quality, one curve an index."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt

from compare.points import Measure, Point, front

LEAST = 0.5
"""Quality below which nobody looks."""
MARKS = "osD^v<>pP*Xhd"


def draw(
    file: Path, title: str, name: str, measure: Measure, curves: dict[str, list[Point]]
) -> None:
    figure, axes = plt.subplots(figsize=(10, 6), layout="constrained")
    colours = plt.get_cmap("tab20")
    for at, (index, points) in enumerate(curves.items()):
        best = [point for point in front(points, measure) if measure(point) >= LEAST]
        ours = index == "lookalike"
        axes.plot(
            [measure(point) for point in best],
            [point.qps for point in best],
            label=index,
            color="black" if ours else colours((at - 1) % 20),
            marker=MARKS[at % len(MARKS)],
            linewidth=3 if ours else 1.2,
            markersize=6 if ours else 4,
            zorder=3 if ours else 2,
        )
    axes.set_yscale("log")
    axes.set_xlabel(name)
    axes.set_ylabel("probes a second, one thread")
    axes.set_title(title)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(file)
    plt.close(figure)

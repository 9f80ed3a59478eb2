"""From what was measured round by round to one point a setting, and to the speed at a quality."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import exp, log
from statistics import median

from compare.rounds import Record


@dataclass(frozen=True)
class Point:
    """A setting. Speeds are probes a second, medians over the rounds, without the calls' cost."""

    setting: str
    rounds: int
    recall: float
    hit_rate: float
    qps: float
    mated_qps: float
    non_mated_qps: float
    batch_qps: float
    call_microseconds: float


Measure = Callable[[Point], float]


def points(records: Iterable[Record], mated: int, probes: int) -> list[Point]:
    settings = defaultdict(list)
    for record in records:
        settings[record.setting].append(record)
    return [_point(setting, some, mated, probes) for setting, some in settings.items()]


def _point(setting: str, records: list[Record], mated: int, probes: int) -> Point:
    def speed(number: int, seconds: Callable[[Record], float]) -> float:
        return median(number / seconds(record) for record in records)

    def mated_seconds(record: Record) -> float:
        return record.mated_seconds - mated * record.call_seconds

    def non_mated_seconds(record: Record) -> float:
        return record.non_mated_seconds - (probes - mated) * record.call_seconds

    return Point(
        setting=setting,
        rounds=len(records),
        recall=median(record.recall for record in records),
        hit_rate=median(record.hit_rate for record in records),
        qps=speed(probes, lambda record: mated_seconds(record) + non_mated_seconds(record)),
        mated_qps=speed(mated, mated_seconds),
        non_mated_qps=speed(probes - mated, non_mated_seconds),
        batch_qps=speed(probes, lambda record: record.batch_seconds),
        call_microseconds=1e6 * median(record.call_seconds for record in records),
    )


def front(points: Iterable[Point], measure: Measure) -> list[Point]:
    """Those that no other beats in both speed and quality, best quality last."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (-measure(point), -point.qps)):
        if not best or point.qps > best[-1].qps:
            best.append(point)
    return best[::-1]


def speed_at(points: Iterable[Point], measure: Measure, level: float) -> float | None:
    """Probes a second at a quality, between the settings around it (in the speed's logarithm)."""
    before = None
    for point in front(points, measure):
        if measure(point) >= level:
            if before is None:
                return point.qps
            share = (level - measure(before)) / (measure(point) - measure(before))
            return exp(log(before.qps) + share * (log(point.qps) - log(before.qps)))
        before = point
    return None

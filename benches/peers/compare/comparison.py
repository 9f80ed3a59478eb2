"""The whole of it, one gallery after the other."""

import subprocess
import sys
from fnmatch import fnmatch

from compare import children, data, indexes, places, points, report, rounds, truth
from compare.data import Data
from compare.indexes import Index
from compare.options import Options
from compare.report import Result
from compare.rounds import Records


def run(options: Options) -> int:
    known = indexes.all_indexes(options.faces)
    wanted = [one for one in known if any(fnmatch(one.name, only) for only in options.only)]
    if not wanted:
        names = ", ".join(index.name for index in known)
        print(f"no index is named {', '.join(options.only)}: there are {names}", file=sys.stderr)
        return 2
    failures = 0
    for kind in options.kinds:
        gallery = data.prepare(options, kind)
        folder = places.HOME / "results" / gallery.name / places.commit()
        records = Records(folder / "rounds.jsonl")
        failed = {} if options.report else _measure(options, gallery, wanted, records)
        results = [_result(index, gallery, records) for index in known if any(records.of(index))]
        print(report.write(folder, gallery, results, failed))
        print(f"written to {folder}", file=sys.stderr)
        failures += len(failed)
    return 1 if failures else 0


def _measure(
    options: Options, gallery: Data, wanted: list[Index], records: Records
) -> dict[str, str]:
    """An index that cannot be built or searched is left out, and why is returned."""
    exact = truth.prepare(gallery)
    failed: dict[str, str] = {}
    for round in range(options.rounds + 1):
        for index in wanted:
            if index.name in failed:
                continue
            try:
                if round == 0:
                    print(f"  build    {index.name}", file=sys.stderr)
                    children.build(index, gallery)
                else:
                    rounds.visit(index, round, gallery, exact, records)
            except (subprocess.CalledProcessError, children.ChildError) as error:
                failed[index.name] = str(error)
    return failed


def _result(index: Index, gallery: Data, records: Records) -> Result:
    measured = points.points(records.of(index), gallery.mated(), len(gallery.probes()))
    return Result(index, children.build(index, gallery), measured)

"""Faults that exports are known for, planted in artifacts of a run, and which measure of the gate catches each.

Printed: a row an artifact, honest ones first: what each measure says, the verdict, what broke it, and whether that is
right: a fault must be broken by the name that tests/export/planted.py has for it, an honest artifact must not be.

Usage, from the project folder:
  python perf/planted_export_faults.py outputs/RUN                       # merged weights and their faults
  python perf/planted_export_faults.py outputs/RUN export=gguf+onnx      # and these formats, honest and of the base
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from rlexp.api.export import planned
from rlexp.console import RunConsole
from tests.export.planted import Row, rows

HEADS = (
    *("artifact", "prompts that differ (text/ids)", "ends missing", "stopped", "greedy same", "same top"),
    *("mean KLD", "adapter's share", "verdict", "broken by", "right"),
)


def cells(row: Row) -> list[str]:
    """A row of the table."""
    found, ends = row.found, [row.judged.verdict, ", ".join(row.caught), "yes" if row.right else "NO"]
    if "died" in found:
        return [row.name, *[""] * 7, *ends]
    far = {key: one["value"] for key, one in found["divergence"].items()}
    return [
        *(row.name, f"{len(found['prompts']['texts_differ'])}/{len(found['prompts']['ids_differ'])}"),
        *(str(len(found["ends"]["missing"])), f"{found['stopped']['artifact']:.2f}"),
        *(f"{found['greedy']['same']:.2f}", f"{far['same_top_p']:.3f}", f"{far['mean_kld']:.2g}"),
        *(f"{far['adapter_share']:.2f}", *ends),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    plan = planned(options.run, options.overrides, Path.cwd(), Path.cwd())
    print(f"| {' | '.join(HEADS)} |\n|---|{'---:|' * 7}---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as there:
        for row in rows(plan, Path(there), RunConsole().print):
            print(f"| {' | '.join(cells(row))} |", flush=True)


if __name__ == "__main__":
    main()

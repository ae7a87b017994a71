"""The benchmarks are scripts: their folders are searched for modules."""

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "perf"
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS / "sides")]

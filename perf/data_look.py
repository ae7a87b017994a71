"""The time and the memory of ``rlexp data`` over many rows.

Rows of 60 words from a vocabulary of 5,000, one in fifty of them a copy with one word changed, so that near duplicates
are there to be found. The look runs in a process of its own, whose peak memory the system says.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHANGED = 50
"""Every so many-th row is a copy of an earlier one, with one word changed."""


def write(file: Path, rows: int) -> int:
    """Writes the rows, and says how many are copies."""
    chance, copies = random.Random(0), 0
    made: list[list[str]] = []
    vocabulary = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(5_000)]
    with file.open("w") as stream:
        for number in range(rows):
            words = chance.choices(vocabulary, k=60)
            if number and number % CHANGED == 0:
                words, copies = list(made[chance.randrange(len(made))]), copies + 1
                words[chance.randrange(60)] = "changed"
            made.append(words)
            stream.write(json.dumps({"prompt": " ".join(words), "answer": str(number)}) + "\n")
    return copies


def main(rows: int) -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as scratch:
        copies = write(Path(scratch) / "rows.jsonl", rows)
        words = ["data", "dataset=local", f"dataset.params.file={scratch}/rows.jsonl", "dataset.name=look_perf"]
        command = [sys.executable, "-m", "rlexp", *words, "model.max_seq_length=512", "--json"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        subprocess.run([*command[:3], "prepare", *command[4:-1]], cwd=ROOT, check=True, env=environment)
        began = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
        took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    found = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    print("| rows | seconds | peak GiB (with the making of the snapshot) | copies planted | near duplicates said |")
    print("|---:|---:|---:|---:|---|")
    print(f"| {rows:,} | {took:.1f} | {peak:.2f} | {copies} | {found['data.near_duplicates']['said']} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="?", default=100_000)
    main(parser.parse_args().rows)

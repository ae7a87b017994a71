"""What a newcomer types, timed, with the rlexp command of an environment that holds the wheel.

A project is made in an empty folder, trains twice (the whole main job, smoke included), is scored, compared, pinned and
replayed. Nothing is asked of the hub. The environment is best one that pip filled from nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TYPED = (
    "rlexp init mine",
    "rlexp plan",
    "rlexp hydra.run.dir=outputs/a",
    "rlexp score",
    "rlexp hydra.run.dir=outputs/b seed=1",
    "rlexp diff outputs/a outputs/b",
    "git add -A",
    "git -c user.name=newcomer -c user.email=newcomer@example.org commit -qm first",
    "rlexp pin outputs/a",
    "rlexp replay pinned",
)


def main(rlexp: Path) -> None:
    """Prints the table."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"PATH": f"{rlexp.parent}{os.pathsep}{environment['PATH']}", "HF_HUB_OFFLINE": "1"}
    whole = 0.0
    print("| typed | seconds | the last line |\n|---|---:|---|")
    with tempfile.TemporaryDirectory() as scratch:
        environment |= {"XDG_STATE_HOME": scratch, "HF_HOME": f"{scratch}/hub"}
        for line in TYPED:
            folder = scratch if " init " in line else f"{scratch}/mine"
            began = time.perf_counter()
            done = subprocess.run(line.split(), cwd=folder, env=environment, capture_output=True, text=True)
            took = time.perf_counter() - began
            whole += took
            if done.returncode:
                sys.exit(f"{line} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
            said = (done.stdout.strip().splitlines() or [""])[-1].strip()
            print(f"| `{line}` | {took:.1f} | {said} |", flush=True)
    print(f"| all of it | {whole:.1f} | |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rlexp", type=Path, help="the command of the environment to be tried")
    main(parser.parse_args().rlexp.absolute())

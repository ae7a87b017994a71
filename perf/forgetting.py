"""Does ``eval=general`` show forgetting? The main job as it is, and with 20 times its learning rate, against the base.

Both train in FOLDER, which becomes a copy of the project, and one evaluation measures them on the tasks of general: for
the tiny model sums in words and layouts that it was not trained on. Printed are the scores with their 95% intervals,
the paired differences from the base, and what is called forgotten. A run that finished before is not trained again.

Usage: python perf/forgetting.py FOLDER [--steps 40] [--times 20] (three minutes on two free cores)
"""

from __future__ import annotations

import argparse
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import helped  # noqa: F401
import yaml
from evaluated import answer, interval, project

MODEL, METHOD = "tiny", "grpo"


def main() -> None:
    """Prints the table; exit code 1 where the planted rate is not called forgetting, or the normal run is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--times", type=float, default=20)
    options = parser.parse_args()
    place = project(options.folder)
    rate = yaml.safe_load((place / f"conf/model/{MODEL}.yaml").read_text())["learning_rate"][METHOD]
    runs = {"outputs/normal": rate, "outputs/planted": rate * options.times}
    shared = [
        f"model={MODEL}",
        f"method={METHOD}",
        f"method.max_steps={options.steps}",
        "held_out.rows=0",
        "health=off",
    ]
    for folder, own in runs.items():
        if not (place / folder / "adapter").exists():
            answer(place, *shared, "preflight.smoke=never", f"method.learning_rate={own}", f"hydra.run.dir={folder}")
    found = answer(place, "evaluate", *runs, "eval=general")
    print(f"{platform.machine()}, torch {version('torch')}, trl {version('trl')}; {' '.join(shared)}\n")
    print(f"| task, metric | base | {' | '.join(f'{name}, rate {own:g}' for name, own in runs.items())} |")
    print("|---|---:|---:|---:|")
    for task, subjects in found["results"].items():
        claimed = next(one["metric"] for one in found["differences"][task] if one["claimed"])
        cells = [interval(subjects[name][claimed]) for name in ("base", *runs)]
        print(f"| {task}, {claimed} | {' | '.join(cells)} |")
        against: dict[str, Any] = {
            one["other"]: one for one in found["differences"][task] if one["claimed"] and one["one"] == "base"
        }
        print(f"| difference from base | | {' | '.join(interval(against[name], '+') for name in runs)} |")
    forgotten = {one["subject"] for one in found["forgotten"]}
    print(f"\nforgotten: {json.dumps([(one['subject'], one['task']) for one in found['forgotten']])}")
    raise SystemExit(forgotten != {"outputs/planted"})


if __name__ == "__main__":
    main()

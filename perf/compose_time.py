"""How long composing takes: ``plan`` and ``--cfg job`` against a bare Hydra application over the same conf/.

Prints one table: median seconds of whole commands, run in turns, and the ratio to the bare application. No torch may
be imported by any of them.  Usage: python perf/compose_time.py [ROUNDS]
"""

import helped  # isort: skip  # noqa: F401
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BARE = f"""
import hydra
from omegaconf import OmegaConf

@hydra.main(version_base="1.3", config_path={str(ROOT / "conf")!r}, config_name="config")
def main(cfg):
    print(OmegaConf.to_yaml(cfg))

main()
"""


def seconds(command: list[str]) -> float:
    """Wall time of one whole command."""
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main(rounds: int) -> None:
    """Runs the commands in turns and prints the table."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(BARE)
        script.flush()
        commands = {
            "bare Hydra, --cfg job": [sys.executable, script.name, "--cfg", "job"],
            "rlexp --cfg job": [sys.executable, "-m", "rlexp", "--cfg", "job"],
            "rlexp plan": [sys.executable, "-m", "rlexp", "plan"],
        }
        for command in commands.values():
            seconds(command)
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                taken[name].append(seconds(command))
    bare = statistics.median(taken["bare Hydra, --cfg job"])
    print(f"| {'command':<22} | median s | min s | max s | ratio |")
    print(f"|{'-' * 24}|---------:|------:|------:|------:|")
    for name, values in taken.items():
        middle = statistics.median(values)
        print(f"| {name:<22} | {middle:8.2f} | {min(values):5.2f} | {max(values):5.2f} | {middle / bare:5.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)

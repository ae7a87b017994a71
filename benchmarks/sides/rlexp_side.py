"""``python -m rlexp`` with the arguments of the job, and two things added from outside: the turns of the benchmark as
one of transformers' default callbacks, and the lock around the engine's start.

Usage: python benchmarks/sides/rlexp_side.py JOB.json (of grpo_gpu.py or preference_gpu.py), in the project's folder
"""

import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Adds both and hands over to the command line."""
    import turn
    import unsloth  # isort: skip
    import transformers.trainer

    from rlexp.__main__ import main as command

    spec = turn.job()
    transformers.trainer.DEFAULT_CALLBACKS.append(turn.callback(spec, spec["phases"][0]["name"], last=True))
    load = unsloth.FastLanguageModel.from_pretrained

    def locked(*args: Any, **kwargs: Any) -> Any:
        with turn.engine(spec):
            return load(*args, **{**kwargs, **spec["load"]})

    unsloth.FastLanguageModel.from_pretrained = staticmethod(locked)
    sys.argv = [str(Path(spec["folder"]) / "rlexp"), *spec["rlexp"]]
    command()


if __name__ == "__main__":  # the reward's workers import this file again
    main()

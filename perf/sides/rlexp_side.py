"""``python -m rlexp`` with the arguments of the job, and two things added from outside: the turns of the benchmark as
one of transformers' default callbacks, and the lock around the engine's start.

Usage: python perf/sides/rlexp_side.py JOB.json (of grpo_gpu.py or preference_gpu.py), in the project's folder
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def locked(function: Callable[..., Any], spec: dict[str, Any]) -> Callable[..., Any]:
    """The function with the lock of the engines around it."""

    import turn

    def inside(*args: Any) -> Any:
        with turn.engine(spec):
            return function(*args)

    return inside


def main() -> None:
    """Adds both and hands over to the command line."""
    import turn

    import rlexp.backend.model as models
    import rlexp.backend.trainers as methods
    from rlexp.__main__ import main as command

    spec = turn.job()
    import_libraries = models.import_libraries
    turns: list[Any] = []

    def imported(run: Any, patches: Any) -> None:
        import_libraries(run, patches)  # Unsloth before transformers
        from transformers import trainer

        turns.append(turn.callback(spec))
        trainer.DEFAULT_CALLBACKS.append(turns[-1])

    models.import_libraries = imported
    models.load = locked(models.load, spec)  # Unsloth's engine starts with the model
    built = methods.TRAINERS[spec["method"]]
    methods.TRAINERS[spec["method"]] = locked(
        lambda parts: turns[-1].watch(built(parts)), spec
    )  # TRL's with the trainer
    sys.argv = [str(Path(spec["folder"]) / "rlexp"), *spec["rlexp"]]
    turn.wait_for(Path(spec["model"]) / ".made")
    command()


if __name__ == "__main__":  # the reward's workers import this file again
    main()

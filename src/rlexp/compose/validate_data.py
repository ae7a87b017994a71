"""Refuses a data set by its values, a mixture (``dataset=a+b``) that its parts cannot make, and a held-out metric that
nothing measures. Pure."""

from __future__ import annotations

from collections.abc import Collection

from rlexp.compose.schema import Dataset, HeldOut
from rlexp.compose.schema_eval import HELD_OUT
from rlexp.errors import RunError, nearest


def mixture_of(dataset: Dataset) -> None:
    """Checks whether the parts of a mixture fit together, as far as the config says; nothing of one data set.

    Raises:
        RunError: rows are asked of the mixture itself, its parts are of several types, or two are the same snapshot.
    """
    parts = dataset.parts
    if not parts:
        return
    if dataset.prepare or dataset.params:
        key = f"params.{next(iter(dataset.params))}" if dataset.params else "prepare"
        raise RunError(
            f"dataset.{key} is of one data set, and {dataset.name} is made of {', '.join(parts)}",
            where=f"dataset.{key}",
            hint=f"type dataset.parts.{next(iter(parts))}.{key}=VALUE",
        )
    kinds = {name: part.type.name for name, part in parts.items()}
    if set(kinds.values()) != {dataset.type.name}:
        several = len(set(kinds.values())) > 1
        asked = "" if several else f", and dataset.type is {dataset.type.name}"
        raise RunError(
            "the parts of a mixture are of one type: "
            + ", ".join(f"{name} is {kind} data" for name, kind in kinds.items())
            + asked,
            where="dataset, dataset.type",
            hint="leave out the part of another type" if several else "leave dataset.type out",
        )
    folders: dict[str, str] = {dataset.path: "the mixture"}
    for name, part in parts.items():
        if part.path in folders:
            raise RunError(
                f"{folders[part.path]} and {name} have the same folder, {part.path}",
                where=f"dataset.parts.{name}.name",
                hint=f"type dataset.parts.{name}.name={name}_2, or leave {name} out",
            )
        folders[part.path] = name


def difficulty_of(bounds: list[float] | None) -> None:
    """Checks that pass rates can lie between two bounds.

    Raises:
        RunError: they are not two, no shares, or the lower one is above the other.
    """
    if bounds is None or (len(bounds) == 2 and 0 <= bounds[0] <= bounds[1] <= 1):
        return
    shown = ", ".join(f"{bound:g}" for bound in bounds)
    raise RunError(
        f"dataset.difficulty is [{shown}]: it takes the lowest and the highest pass rate of the rows to train on, two "
        "numbers from 0 to 1",
        where="dataset.difficulty",
        hint="type dataset.difficulty=[0.1,0.9], or dataset.difficulty=null for every row",
    )


def metric_of(held_out: HeldOut, terms: Collection[str]) -> None:
    """Checks that checkpoints can be chosen as ``held_out`` says.

    Args:
        terms: of the run's reward; those of ``held_out.task`` are checked when it is read.

    Raises:
        RunError: no term has the metric's name, or a task is named that is never measured.
    """
    if held_out.task is not None and not held_out.every:
        raise RunError(
            "held_out.task is measured while the run trains, every held_out.every steps, and that is 0",
            where=f"held_out.task={held_out.task}",
            hint="type held_out.every=10 too; for a measurement behind the training: eval=TASKS",
        )
    if held_out.every and not held_out.rows and held_out.task in (None, HELD_OUT):
        raise RunError(
            "checkpoints are chosen by held-out rows (held_out.every), and held_out.rows is 0",
            where=f"held_out.every={held_out.every} held_out.rows=0",
            hint="type held_out.rows=128, or name a task whose rows choose: held_out.task=TASK",
        )
    if held_out.task is None:
        require_metric(held_out.metric, terms)


def require_metric(metric: str, terms: Collection[str]) -> None:
    """Checks that a metric is the reward or one of its terms.

    Raises:
        RunError: it is neither.
    """
    known = ["reward", *terms]
    if metric in known:
        return
    guess = nearest(metric, known)
    raise RunError(
        f"{metric!r} is neither the reward nor a term of it: {', '.join(terms) or 'it has none'}",
        where="held_out.metric",
        hint=f"type held_out.metric={guess or 'reward'}",
    )

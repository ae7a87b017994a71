"""Questions of one reasoning-gym task, made from a seed, each with the entry that the task's own scorer reads.

Source: https://github.com/open-thought/reasoning-gym (arXiv 2505.24760), Apache-2.0. Score a completion later with
``reasoning_gym.get_score_answer_fn(task)(answer, json.loads(entry))``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rlexp.errors import RunError, nearest

HERE = "data_prep/reasoning_gym_task.py"
MOST_DRAWS_A_ROW = 10


def rows(
    task: str,
    train: int = 1000,
    test: int = 100,
    seed: int = 0,
    config: dict[str, Any] | None = None,
    system: str | None = None,
) -> dict[str, list[dict]]:
    """Prompt-only rows: ``prompt`` (messages), ``answer`` (text, empty if many are right), ``task``, ``entry`` (JSON).

    Args:
        task: the task's name in reasoning-gym, such as ``chain_sum``.
        train: rows to train on.
        test: rows held out; none of their questions is among the training rows.
        config: the task's own settings, such as ``{"max_terms": 3}``; neither ``seed`` nor ``size``.
        system: a system message to put before every question, such as the format that a reward asks for.

    Raises:
        RunError: no such task or setting, too few distinct questions, or an entry that JSON cannot hold.
    """
    if train < 1 or test < 1:
        raise RunError(f"a split has no rows: train={train} test={test}", where=HERE, hint="ask for at least one each")
    entries = _repeatable_entries(task, train + test, seed, dict(config or {}))
    # Some tasks (acre) order their entries by kind; the held-out rows should be of the same kinds as the others.
    random.Random(seed).shuffle(entries)
    drawn = [_row(task, entry, system) for entry in entries]
    return {"train": drawn[test:], "test": drawn[:test]}


def _row(task: str, stored: str, system: str | None) -> dict:
    entry = json.loads(stored)
    messages = [{"role": "system", "content": system}] if system else []
    return {
        "prompt": [*messages, {"role": "user", "content": entry["question"]}],
        "answer": "" if entry["answer"] is None else str(entry["answer"]),
        "task": task,
        "entry": stored,
    }


def _repeatable_entries(task: str, count: int, seed: int, config: dict[str, Any]) -> list[str]:
    """``_distinct_entries`` as JSON texts, from a process of their own.

    Some tasks (word_ladder, ransom_note, list_functions) draw from sets or from Python's shared generator, so that the
    seed alone does not settle them: the order of a set can only be fixed when a process starts.
    """
    with tempfile.TemporaryDirectory() as scratch:
        reply = Path(scratch) / "reply.json"
        request = json.dumps([task, count, seed, config, str(reply)])
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run([sys.executable, __file__, request], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RunError(
                f"reasoning-gym failed on the task {task}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}",
                where=f"{HERE}: config={config}",
            )
        answer = json.loads(reply.read_text())
    if "error" in answer:
        raise RunError(*answer["error"])
    return answer["entries"]


def _reply(task: str, count: int, seed: int, config: dict[str, Any], reply: str) -> None:
    random.seed(seed)
    try:
        answer = {"entries": [_as_json(entry) for entry in _distinct_entries(task, count, seed, config)]}
    except RunError as error:
        answer = {"error": [error.what, error.where, error.hint]}
    Path(reply).write_text(json.dumps(answer))


def _distinct_entries(task: str, count: int, seed: int, config: dict[str, Any]) -> list[dict[str, Any]]:
    """``count`` entries of the task, no question twice."""
    found: dict[str, dict[str, Any]] = {}
    drawn, size = 0, count
    while True:
        dataset = _dataset(task, size, seed, config)
        for index in range(drawn, size):
            entry = dataset[index]
            found.setdefault(entry["question"].strip(), entry)
        if len(found) >= count:
            break
        drawn, size = size, min(size * 2, count * MOST_DRAWS_A_ROW)
        if drawn == size:
            raise RunError(
                f"{task} has too few different questions: {len(found)} in {drawn} draws, {count} are asked for",
                where=f"{HERE}: train + test",
                hint="ask for fewer rows, or widen the task with `config`",
            )
    entries = list(found.values())[:count]
    _check_scorable(task, dataset, entries[0])
    return entries


def _dataset(task: str, size: int, seed: int, config: dict[str, Any]) -> Any:
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    if task not in DATASETS:
        near = nearest(task, DATASETS)
        raise RunError(
            f"reasoning-gym has no task {task!r}",
            where=f"{HERE}: task",
            hint=f"did you mean {near!r}?" if near else f"choose one of {', '.join(sorted(DATASETS))}",
        )
    settings = {field.name for field in dataclasses.fields(DATASETS[task][1])} - {"seed", "size"}
    for name in config.keys() - settings:
        near = nearest(name, settings)
        raise RunError(
            f"the task {task} has no setting {name!r}",
            where=f"{HERE}: config",
            hint=f"did you mean {near!r}?" if near else f"choose one of {', '.join(sorted(settings))}",
        )
    try:
        # A task's entry n is made from its seed + n: with neighbouring seeds, one run's training rows would be
        # another's held-out rows, so the seed is spread first.
        return reasoning_gym.create_dataset(task, size=size, seed=random.Random(seed).getrandbits(31), **config)
    except (AssertionError, TypeError, ValueError) as error:
        raise RunError(f"the task {task} refuses its settings: {error}", where=f"{HERE}: config={config}") from error


def _check_scorable(task: str, dataset: Any, entry: dict[str, Any]) -> None:
    stored = json.loads(_as_json(entry))
    if dataset.score_answer(entry["answer"], entry) != dataset.score_answer(entry["answer"], stored):
        raise RunError(
            f"the task {task} scores an answer differently once its entry has been stored as JSON",
            where=f"{HERE}: task",
            hint="choose another task; this one's scorer compares Python objects that JSON cannot hold",
        )


def _as_json(entry: dict[str, Any]) -> str:
    return json.dumps(entry, default=str, ensure_ascii=False)


if __name__ == "__main__":
    _reply(*json.loads(sys.argv[1]))

"""GSM8K: grade-school word problems with their final number (hub id openai/gsm8k, configuration main).

Source: Cobbe et al. 2021, "Training Verifiers to Solve Math Word Problems" (arXiv 2110.14168), MIT licence.
"""

from __future__ import annotations

import re
from typing import Any

from rlexp.errors import RunError

HUB_ID = "openai/gsm8k"
# The whole line, so that a fraction is not read as its numerator.
FINAL_ANSWER = re.compile(r"####\s*(.*\d.*)")


def rows(
    revision: str = "740312add88f781978c0658806c59bc2815b9866",
    train: int | None = None,
    test: int | None = None,
    system: str | None = None,
) -> dict[str, list[dict]]:
    """Prompt-only rows: ``prompt`` (messages), ``answer`` (the final number as text), ``solution`` (worked).

    Args:
        revision: the commit of the hub's data set, 40 hex digits.
        train, test: at most so many rows of the hub's own split, from its start; None takes all (7473 and 1319).
        system: a system message to put before every question, such as the format that a reward asks for.

    Raises:
        RunError: the hub cannot be reached, does not know the commit, or a row has no final answer.
    """
    limits = {"train": train, "test": test}
    splits = {split: _load(split, revision) for split in limits}
    parsed = {
        split: [parse(row, system, where=f"{HUB_ID}, {split} row {n}") for n, row in enumerate(splits[split])]
        for split in limits
    }
    held_out = {row["prompt"][-1]["content"] for row in parsed["test"]}
    parsed["train"] = [row for row in parsed["train"] if row["prompt"][-1]["content"] not in held_out]
    return {split: parsed[split][:limit] for split, limit in limits.items()}


def parse(row: dict[str, Any], system: str | None = None, where: str = HUB_ID) -> dict:
    """One row of the hub (``question``, ``answer``) as a prompt-only row.

    >>> parse({"question": "How many?", "answer": "500*2=<<500*2=1000>>1000\\n#### 1,000"})["answer"]
    '1000'
    """
    final = FINAL_ANSWER.search(row["answer"])
    if not final:
        raise RunError("a solution has no '#### number'", where=where, hint="check the revision")
    messages = [{"role": "system", "content": system}] if system else []
    return {
        "prompt": [*messages, {"role": "user", "content": row["question"].strip()}],
        "answer": re.sub(r"[$,]", "", final[1]).rstrip(". "),
        "solution": row["answer"],
    }


def _load(split: str, revision: str) -> Any:
    """One split of the hub's data set at ``revision``, from the hub or from its local cache."""
    if not re.fullmatch(r"[0-9a-f]{40}", str(revision)):
        raise RunError(
            f"{revision!r} is not a commit; a branch or a tag moves, and the data would change unseen",
            where="data_prep/gsm8k.py: revision",
            hint=f"give the 40 hex digits shown in the commit history of {HUB_ID} on the hub",
        )
    import httpx
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        return load_dataset(HUB_ID, "main", split=split, revision=revision)
    except (OSError, ValueError, DatasetsError, httpx.HTTPError) as error:
        raise RunError(
            f"{HUB_ID} cannot be read at {revision[:12]}: {error}",
            where="data_prep/gsm8k.py",
            hint="check the network (and HF_TOKEN, HF_ENDPOINT where you use them); with no hub, use dataset=local"
            " with a file whose `answer` is the final number alone, and 'dataset.params.columns={prompt: question}'",
        ) from error

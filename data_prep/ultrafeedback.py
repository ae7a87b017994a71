"""UltraFeedback, binarized: a prompt with a better and a worse answer (HuggingFaceH4/ultrafeedback_binarized).

Source: Cui et al. 2023, "UltraFeedback" (arXiv 2310.01377), in the form made for Zephyr (arXiv 2310.16944). MIT.
"""

from __future__ import annotations

import json
import re
from typing import Any

from rlexp.errors import RunError

HUB_ID = "HuggingFaceH4/ultrafeedback_binarized"
HUB_SPLITS = {"train": "train_prefs", "test": "test_prefs"}


def rows(
    revision: str = "3949bf5f8c17c394422ccfab0c31ea9c20bdeb85",
    train: int | None = None,
    test: int | None = None,
    min_margin: float = 0.0,
) -> dict[str, list[dict]]:
    """Preference rows: ``prompt``, ``chosen``, ``rejected`` (messages), ``score_chosen`` and ``score_rejected`` (1-10).

    Rows with an empty answer, or with the same answer twice, are left out: they hold no preference.

    Args:
        revision: the commit of the hub's data set, 40 hex digits.
        train, test: at most so many rows of ``train_prefs`` and ``test_prefs``, from their start; None takes all
            (61,135 and 2,000 before the rows left out).
        min_margin: leave out pairs whose scores lie closer together than this.

    Raises:
        RunError: the hub cannot be reached, does not know the commit, or a row has no dialogue.
    """
    limits = {"train": train, "test": test}
    parsed: dict[str, list[dict]] = {}
    held_out: set[str] = set()
    for split in ("test", "train"):
        kept = []
        for number, row in enumerate(_load(HUB_SPLITS[split], revision)):
            if limits[split] is not None and len(kept) == limits[split]:
                break
            pair = parse(row, where=f"{HUB_ID}, {HUB_SPLITS[split]} row {number}")
            if _is_preference(pair, min_margin) and json.dumps(pair["prompt"]) not in held_out:
                kept.append(pair)
        parsed[split] = kept
        held_out = {json.dumps(pair["prompt"]) for pair in kept}
    return {"train": parsed["train"], "test": parsed["test"]}


def parse(row: dict[str, Any], where: str = HUB_ID) -> dict:
    """One row of the hub as a preference row.

    There ``chosen`` and ``rejected`` repeat the prompt's messages before the answer; what both share is the prompt.

    >>> ask = {"role": "user", "content": "Hi"}
    >>> good, bad = {"role": "assistant", "content": "Hello"}, {"role": "assistant", "content": "No"}
    >>> parse({"chosen": [ask, good], "rejected": [ask, bad], "score_chosen": 8.0, "score_rejected": 2.0})["rejected"]
    [{'role': 'assistant', 'content': 'No'}]
    """
    chosen, rejected = ([{"role": m["role"], "content": m["content"]} for m in row[k]] for k in ("chosen", "rejected"))
    if len(chosen) < 2 or chosen[:-1] != rejected[:-1]:
        raise RunError("the two dialogues do not share their prompt", where=where, hint="check the revision")
    if {chosen[-1]["role"], rejected[-1]["role"]} != {"assistant"}:
        raise RunError("a dialogue does not end with the assistant's answer", where=where, hint="check the revision")
    return {
        "prompt": chosen[:-1],
        "chosen": chosen[-1:],
        "rejected": rejected[-1:],
        "score_chosen": float(row["score_chosen"]),
        "score_rejected": float(row["score_rejected"]),
    }


def _is_preference(pair: dict, min_margin: float) -> bool:
    texts = [message["content"].strip() for message in (pair["prompt"][-1], pair["chosen"][0], pair["rejected"][0])]
    return all(texts) and texts[1] != texts[2] and pair["score_chosen"] - pair["score_rejected"] >= min_margin


def _load(split: str, revision: str) -> Any:
    """One split of the hub's data set at ``revision``, from the hub or from its local cache."""
    if not re.fullmatch(r"[0-9a-f]{40}", str(revision)):
        raise RunError(
            f"{revision!r} is not a commit; a branch or a tag moves, and the data would change unseen",
            where="data_prep/ultrafeedback.py: revision",
            hint=f"give the 40 hex digits shown in the commit history of {HUB_ID} on the hub",
        )
    import httpx
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        return load_dataset(HUB_ID, split=split, revision=revision)
    except (OSError, ValueError, DatasetsError, httpx.HTTPError) as error:
        raise RunError(
            f"{HUB_ID} cannot be read at {revision[:12]}: {error}",
            where="data_prep/ultrafeedback.py",
            hint="check the network (and HF_TOKEN, HF_ENDPOINT where you use them); with no hub at hand, download the"
            " files elsewhere and use dataset=local with dataset.type=preference",
        ) from error

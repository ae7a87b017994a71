"""The model as it was trained, and what every artifact is held against: its prompts, answers and log-probabilities.

They are measured once and kept below ``exports/RUN/gate/`` until the gate is through, as the log-probabilities are
large (tokens x vocabulary x 4 bytes).
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rlexp import shapes
from rlexp.errors import RunError
from rlexp.export.gate.divergence import Divergences, top_of
from rlexp.record import exports, gates
from rlexp.runtimes.host import Died, Host
from rlexp.runtimes.protocol import Generated, Messages, Sampling, Spec
from rlexp.shapes import COUNT, PATH, SHA256, mapping, record

PROBES: dict[str, Messages] = {
    "a user's turn alone": [{"role": "user", "content": "Say hello."}],
    "a system turn": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}],
    "several turns": [
        {"role": "user", "content": "Say hello."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "And again?"},
    ],
    "odd text": [{"role": "user", "content": " é\u4f60\u597d \U0001f600\tx  1234\n\nx = [1,2]; 'don't' "}],
}
"""Dialogues whose rendering is compared beside those of the task; those that the template refuses are left out."""
KEPT, TOPS = "reference.json", "top.npz"
ARRAY = {"type": "array", "maxItems": 100_000}
IDS = {**ARRAY, "items": COUNT}
ANSWER = record({"ids": IDS, "ended": {"type": "boolean"}, "seconds": {**ARRAY, "items": {"type": "number"}}})
SCHEMA = record(
    {
        **{"key": SHA256, "texts": mapping(gates.ANY_TEXT, PATH, 100_000), "ids": mapping(IDS, PATH, 100_000)},
        **{"ends": IDS, "greedy": {**ARRAY, "items": ANSWER}, "baselines": gates.BASELINES},
        "dialogues": mapping({**ARRAY, "items": {"type": "object"}}, PATH, 100_000),
        "own": {**ARRAY, "items": {**ARRAY, "prefixItems": [IDS, COUNT], "minItems": 2, "maxItems": 2}},
    }
)
"""The shape of KEPT."""
ROUNDINGS = ("q8_0", "q4_0")
"""The model's own weights rounded to 8 and to 4 bits in blocks of 32: what an honest quantisation costs this model."""


@dataclass(frozen=True)
class Asked:
    """What the reference is measured on."""

    dialogues: list[Messages]
    """The prompts of the eval task."""
    greedy: int
    """The first so many are answered greedily."""
    tokens: int
    """Tokens of the model's own completions, at least."""
    max_new_tokens: int
    seed: int = 0


@dataclass
class Reference:
    """What was measured."""

    texts: dict[str, str]
    """Dialogue -> what the model reads."""
    ids: dict[str, list[int]]
    ends: list[int]
    dialogues: dict[str, Messages]
    greedy: list[Generated]
    own: list[tuple[list[int], int]]
    """[sequences] of (token ids of prompt and completion, where the completion begins)."""
    top: list[tuple[Any, Any]] = field(default_factory=list)
    """[sequences] of (TOP tokens, their log-probabilities before the training)."""
    baselines: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """Rounding -> statistics."""

    @property
    def tokens(self) -> int:
        """Tokens of the own completions."""
        return sum(len(ids) - begin for ids, begin in self.own)


def names_of(asked: Asked) -> dict[str, Messages]:
    """Name -> dialogue of all whose rendering is compared."""
    return {f"prompt {number}": one for number, one in enumerate(asked.dialogues)} | PROBES


def measure(
    asked: Asked,
    trained: Spec,
    untrained: Spec,
    folder: Path,
    say: Callable[[str], None] = lambda line: None,
    key: str = "0" * 64,
) -> Reference:
    """Measures the reference, or reads what was measured before of the same.

    Args:
        trained: the model as it was trained.
        untrained: what the run began with.
        folder: takes its files.
        key: of the model and of what is asked, by hash.

    Raises:
        Died: a model cannot be loaded.
        RunError: what was measured before has another shape.
    """
    if (known := _read(folder, key)) is not None:
        return known
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say(f"the model as it was trained: {asked.tokens} tokens of its own completions")
    with Host(trained) as host:
        found = _answers(asked, host, trained)
        for number, (ids, begin) in enumerate(found.own):
            np.save(folder / f"{number}.npy", host.logprobs(ids, begin))
    with Host(untrained) as host:
        for number, (ids, begin) in enumerate(found.own):
            found.top.append(top_of(logprobs(folder, number), host.logprobs(ids, begin)))
    for rounding in ROUNDINGS:
        say(f"its weights rounded as {rounding}: what an honest quantisation costs it")
        with Host(trained.rounded(rounding)) as host:
            found.baselines[rounding] = diverged(found, folder, host).statistics()
    tops = {f"{name}{at}": one[side] for at, one in enumerate(found.top) for side, name in enumerate(("top", "before"))}
    np.savez(folder / TOPS, **tops)
    kept = {name: value for name, value in dataclasses.asdict(found).items() if name != "top"}
    exports.write_json(folder / KEPT, {**kept, "key": key})
    return found


def _read(folder: Path, key: str) -> Reference | None:
    content = shapes.read_json(folder / KEPT, SCHEMA, "gate's reference")
    if content is None or content["key"] != key:
        return None
    said = {name: content[name] for name in SCHEMA["required"] if name != "key"}
    said["greedy"] = [Generated(one["ids"], one["ended"], one["seconds"]) for one in content["greedy"]]
    try:
        with np.load(folder / TOPS) as tops:
            said["top"] = [(tops[f"top{at}"], tops[f"before{at}"]) for at in range(len(said["own"]))]
        for number, ((ids, begin), (top, before)) in enumerate(zip(said["own"], said["top"], strict=True)):
            held = logprobs(folder, number)
            good = held.ndim == 2 and held.dtype == np.float32 and len(held) == len(ids) - begin == len(top)
            if not good or top.shape != before.shape or top.dtype.kind != "i" or not 0 <= top.max() < held.shape[1]:
                raise ValueError(f"{number}.npy is not of its sequence")
    except (OSError, ValueError, KeyError) as error:
        hint = f"delete {folder}: it is measured again"
        raise RunError(f"the gate's reference cannot be read: {error}", where=str(folder), hint=hint) from error
    return Reference(**said)


def _answers(asked: Asked, host: Host, spec: Spec) -> Reference:
    texts, refused = host.rendered(names_of(asked))
    if faults := [why for name, why in refused.items() if name not in PROBES]:
        raise Died(faults[0])
    dialogues = {name: one for name, one in names_of(asked).items() if name in texts}
    ids = dict(zip(texts, host.encode(list(texts.values())), strict=True))
    prompts = [ids[f"prompt {number}"] for number in range(len(asked.dialogues))]
    greedy = host.generate(prompts[: asked.greedy], Sampling(asked.max_new_tokens), together=spec.together)
    own: list[tuple[list[int], int]] = []
    sampled, turn = 0, 0
    while sampled < asked.tokens:
        at = (turn * spec.together) % len(prompts)
        some = prompts[at : at + spec.together]
        answers = host.generate(some, Sampling(asked.max_new_tokens, 1.0), asked.seed + turn, spec.together)
        own += [(prompt + one.ids, len(prompt)) for prompt, one in zip(some, answers, strict=True) if one.ids]
        sampled = sum(len(ids) - begin for ids, begin in own)
        turn += 1
    return Reference(texts, ids, host.ends, dialogues, greedy, own)


def logprobs(folder: Path, number: int) -> Any:
    """The reference's log-probabilities of a sequence, [tokens, vocabulary]."""
    return np.load(folder / f"{number}.npy", mmap_mode="r")


def diverged(reference: Reference, folder: Path, host: Host) -> Divergences:
    """How far a runtime's distributions lie from the reference's on its own completions.

    Raises:
        NotImplementedError: the runtime gives no log-probabilities.
    """
    found = Divergences()
    for number, (ids, begin) in enumerate(reference.own):
        top, untrained = reference.top[number]
        found.add(logprobs(folder, number), host.logprobs(ids, begin), np.array(ids[begin:]), top, untrained)
    return found


def agreed(reference: Sequence[Generated], other: Sequence[Generated]) -> dict[str, Any]:
    """How far greedy answers agree: the share that is the same, and where the others part."""
    parted = []
    for one, two in zip(reference, other, strict=True):
        if one.ids != two.ids:
            pairs = enumerate(zip(one.ids, two.ids, strict=False))
            parted.append(next((at for at, (a, b) in pairs if a != b), min(len(one.ids), len(two.ids))))
    return {
        "rows": len(reference),
        "same": 1 - len(parted) / len(reference) if reference else None,
        "first_divergence": float(np.median(parted)) if parted else None,
    }

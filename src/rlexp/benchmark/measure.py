"""An artifact in its own runtime: what it costs, how fast it is and how steady, part by part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rlexp.benchmark import latency, rate, stability
from rlexp.errors import RunError
from rlexp.runtimes.host import Died, Host
from rlexp.runtimes.protocol import Messages, Sampling, Spec

PATIENCE_S = 600.0
"""Seconds that an odd prompt may take until it counts as hung."""

Said = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How it is measured."""

    p99: float | None = None
    """Seconds that the 99th percentile of the whole answer may take; None: ``rate.TIMES`` the 95th of one alone."""
    requests: int = 32
    """Of every level of requests at once."""
    seconds: float = 120.0
    """For the search of the highest rate."""


@dataclass(frozen=True)
class Asked:
    """What it is asked."""

    dialogues: list[Messages]
    """The prompts of the eval task."""
    max_new_tokens: int
    """Tokens of an answer."""


def measure(spec: Spec, asked: Asked, how: Settings, say: Said = lambda line: None) -> dict[str, Any]:
    """Loads and asks an artifact, greedily; an artifact that dies keeps what was measured before.

    Args:
        spec: with room for the most requests at once.

    Returns:
        ``loaded``, ``load``, ``levels``, ``peak_gib`` (before the odd prompts), ``rate``, ``repeated``, ``odd``,
        ``quality``, and ``died``: None, or the ``part`` in which it did and ``why``.
    """
    found: dict[str, Any] = {"died": None}
    part = "loading"

    def now(name: str) -> None:
        nonlocal part
        part = name
        say(name)

    try:
        with Host(spec) as host:
            found["loaded"] = host.loaded
            found["load"] = {"seconds": host.load_s, "imports_s": host.imported_s}
            answers = _in_time(host, asked, how, found, now)
            found["peak_gib"] = host.peak_gib()
            seen = stability.judged(host, answers)
        now("odd prompts")
        found["odd"] = stability.odd(lambda: Host(spec, PATIENCE_S), spec.context, asked.max_new_tokens)
        seen += [(one["outcome"] == "ended", one["why"]) for one in found["odd"].values() if _answered(one)]
        found["quality"] = stability.quality(seen)
    except (Died, RunError, NotImplementedError) as error:
        found["died"] = {"part": part, "why": str(error)}
    return found


def _in_time(host: Host, asked: Asked, how: Settings, found: dict[str, Any], now: Said) -> Sequence[Any]:
    """Measures what takes time.

    Returns:
        The answers to different prompts.
    """
    spec, sampling = host.spec, Sampling(asked.max_new_tokens)
    prompts = host.encode(host.render(asked.dialogues))
    found["levels"], answers = [], []
    for together in latency.LEVELS[spec.device]:
        now(f"{together} {'request' if together == 1 else 'requests'} at once")
        groups = latency.ask(host, prompts, sampling, together, how.requests)
        found["levels"].append(latency.summary(groups, together))
        answers += [one for group in groups for one in group]
    now(f"the same prompt {stability.REPEATS} times, alone and in a crowd")
    crowd = latency.LEVELS[spec.device][1]
    found["repeated"] = stability.repeated(host, prompts, sampling, crowd)
    now(f"the highest rate, {how.seconds:g} s")
    alone, most = found["levels"][0], found["levels"][-1]
    if most["answers_per_s"]:
        limit = how.p99 or rate.TIMES * alone["answer_s"]["p95"]
        begin = most["answers_per_s"] / 2
        at, given = rate.of(host, prompts, sampling, most["together"], begin, limit, how.seconds)
        found["rate"] = at.to_json()
        answers += given
    return answers


def _answered(one: dict[str, Any]) -> bool:
    return one["outcome"] in ("ended", "cut")


def slow(artifacts: dict[str, dict[str, Any]], machine: str) -> list[str]:
    """The artifacts that answer one request slower than the merged model does, said of this machine.

    Args:
        artifacts: name -> what was measured; with ``kind``.
        machine: what it is, in words.
    """
    times = {name: one["levels"][0]["token_s"].get("p50") for name, one in artifacts.items() if one.get("levels")}
    first = next((name for name, one in artifacts.items() if one["kind"] == "merged"), None)
    known = times.get(first) if first else None
    return [
        f"{name} is slower than {first} on this machine ({machine}): {1e3 * it:.3g} ms a token, not {1e3 * known:.3g}"
        for name, it in times.items()
        if known and it and name != first and it > SLOWER * known
    ]


SLOWER = 1.05
"""Times the merged model's median time a token from which an artifact is called slower: less is noise."""

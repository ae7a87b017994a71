"""The verdict on an artifact: identical, equivalent, degraded or broken, and why.

Two kinds of findings. A fault of the making (another prompt, another end, an adapter that is not there) is broken,
whatever the figures are. Rounding is judged against what it costs this very model, on its own completions: its weights
rounded to 8 and to 4 bits in blocks of 32 and computed in float32 (the baselines), and behind that its 16-bit copy,
merged, in the runtime that computes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rlexp.export.gate.reference import PROBES

IDENTICAL_KLD, IDENTICAL_TOP = 1e-4, 0.995
"""Those of a 16-bit copy: the mean KLD at most, the share of the same top token at least."""
EQUIVALENT, DEGRADED = 8.0, 8.0
"""Times the baseline of 8 bits (equivalent) and of 4 bits (degraded) that the mean KLD may be, above that of the 16-bit
copy: runtimes round activations too."""
SHORT, BEYOND, SURE = 0.25, 0.15, 3.0
"""The adapter's share may fall so much below 1, or rise so much above, more than 4 bits bring it, unless so many
standard errors leave room for that. What was trained far from its base moves less of the way where it is rounded,
honestly; rounding hardly adds to the way, and an adapter at twice its scale adds little where it saturates."""
STOPS = 0.2
"""The share of greedy answers that end by themselves may fall by so much."""
LEVELS = ("identical", "equivalent", "degraded", "broken")


@dataclass
class Judged:
    """A verdict with its reasons, each a name and a sentence."""

    verdict: str = "identical"
    reasons: list[dict[str, str]] = field(default_factory=list)

    def at_least(self, level: str, name: str, why: str) -> None:
        """Notes a reason, and raises the verdict to its level."""
        self.reasons.append({"name": name, "level": level, "why": why})
        self.verdict = max(self.verdict, level, key=LEVELS.index)


def judge(
    found: Mapping[str, Any],
    baselines: Mapping[str, Any],
    task: Mapping[str, Any] | None = None,
    copied: Mapping[str, Any] | None = None,
) -> Judged:
    """Judges what was measured.

    Args:
        found: what ``measure.measure`` answered.
        baselines: rounding -> statistics (``reference.Reference.baselines``).
        task: the paired difference of the task's metric with ``margin``; None where it was not measured.
        copied: what was measured of the 16-bit copy; None of that itself, and where it is not sound.
    """
    judged = Judged()
    if "died" in found:
        judged.at_least("broken", "runtime", found["died"])
        return judged
    _faults(found, judged)
    if found.get("divergence"):
        _rounding(found["divergence"], baselines, copied, judged)
    else:
        judged.at_least("equivalent", "divergence.none", found.get("no_divergence") or "no log-probabilities")
    if task:
        _task(task, judged)
    return judged


def _faults(found: Mapping[str, Any], judged: Judged) -> None:
    prompts, ends, stopped = found["prompts"], found["ends"], found["stopped"]
    total = prompts["compared"]
    if prompts["tokenized_differ"]:
        names = prompts["tokenized_differ"]
        level = "broken" if set(names) - PROBES.keys() else "degraded"
        judged.at_least(level, "prompt.ids", f"{len(names)} of {total} prompts have other token ids: {names[0]}")
    if prompts["texts_differ"]:
        names = prompts["texts_differ"]
        judged.at_least(
            "broken", "prompt.text", f"{len(names)} of {total} dialogues are rendered otherwise: {names[0]}"
        )
    elif prompts["ids_differ"] and not prompts["tokenized_differ"]:
        judged.at_least("broken", "prompt.ids", f"{len(prompts['ids_differ'])} of {total} prompts have other token ids")
    if ends["missing"]:
        judged.at_least("broken", "ends.missing", f"the tokens {ends['missing']} end a completion no more")
    if ends["cutting"]:
        judged.at_least(
            "broken", "ends.cutting", f"the tokens {ends['cutting']} end completions that go on behind them"
        )
    if stopped["artifact"] < stopped["reference"] - STOPS:
        why = f"{stopped['artifact']:.0%} of the greedy answers end by themselves, {stopped['reference']:.0%} did"
        judged.at_least("degraded", "stops", why)


def _rounding(
    found: Mapping[str, Any], baselines: Mapping[str, Any], copied: Mapping[str, Any] | None, judged: Judged
) -> None:
    share = found["adapter_share"]
    off = share["value"] - 1
    allowed = (BEYOND if off > 0 else SHORT) + abs(baselines["q4_0"]["adapter_share"]["value"] - 1)
    if abs(off) > max(allowed, SURE * share["error"]):
        why = f"it moved {share['value']:.2f} times the way from the base that the run moved"
        judged.at_least("broken", "adapter.share", why)
    floor = ((copied or {}).get("divergence") or {"mean_kld": {"value": 0.0}})["mean_kld"]["value"]
    kld, top = found["mean_kld"]["value"], found["same_top_p"]["value"]
    eight, four = (baselines[name]["mean_kld"]["value"] for name in ("q8_0", "q4_0"))
    said = f"mean KLD {kld:.2g}, same top token {top:.1%}"
    if kld <= IDENTICAL_KLD and top >= IDENTICAL_TOP:
        judged.at_least("identical", "divergence", said)
    elif kld <= floor + EQUIVALENT * max(eight, IDENTICAL_KLD):
        judged.at_least("equivalent", "divergence", f"{said}: {kld / eight:.1f} times what 8 bits cost this model")
    elif kld <= floor + DEGRADED * four:
        judged.at_least("degraded", "divergence", f"{said}: {kld / four:.1f} times what 4 bits cost this model")
    else:
        judged.at_least("broken", "divergence", f"{said}: {kld / four:.1f} times what 4 bits cost this model")


def _task(task: Mapping[str, Any], judged: Judged) -> None:
    mean, low, high, margin = task["mean"], task["low"], task["high"], task["margin"]
    if low is None or high is None:
        return
    said = f"{task['metric']} {mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    if high < -margin:
        judged.at_least("degraded", "task", f"{said}: worse by more than {margin:g}")
    elif low <= -margin:
        judged.at_least("identical", "task.untold", f"{said}: so many prompts cannot tell a loss of {margin:g}")
    else:
        judged.at_least("identical", "task", f"{said}: not inferior by {margin:g}")

"""rlexp from Python: what the command line does, for a notebook or a script of one's own.

``compose`` makes a checked ``Run`` of overrides, ``train`` trains it, ``resume`` goes on with one, ``open`` opens what
it left; ``reward`` is a project's reward for a TRL script, ``score`` scores completions with it. What the command line
says as one message is raised here as a ``RunError`` with the same words. No torch is imported before something is
trained or loaded.
"""

from __future__ import annotations

from rlexp.api.composed import compose, points
from rlexp.api.evaluate import Evaluation, evaluate
from rlexp.api.finished import FinishedRun, open
from rlexp.api.reward import RewardFunction, reward
from rlexp.api.score import score
from rlexp.api.train import resume, train
from rlexp.backend import telemetry
from rlexp.compose.run import Run
from rlexp.errors import Failed, RunError, Stopped

__all__ = [
    "Evaluation",
    "Failed",
    "FinishedRun",
    "RewardFunction",
    "Run",
    "RunError",
    "Stopped",
    "compose",
    "evaluate",
    "open",
    "points",
    "resume",
    "reward",
    "score",
    "train",
]

telemetry.switch_off()

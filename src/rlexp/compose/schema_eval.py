"""The types of an eval task (``eval/NAME.yaml``) and of what is typed about an evaluation: the second root.

``eval=a+b eval.samples=4 eval.a.temperature=0`` is composed beside the run's tree, not in it (``compose.tasks``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from rlexp.compose.ranges import ANY, COUNT, COUNT_FROM_0, FROM_0, Range, ranged

HELD_OUT = "held_out"
"""The task of a data set's own held-out rows."""


class Kind(Enum):
    """What a task measures."""

    completions = "completions"
    """Completions are sampled and scored."""
    pairs = "pairs"
    """The log-probability of chosen against rejected answers; and, with ``judge``, answers against the base's."""
    lm_eval = "lm_eval"
    """A task of lm-evaluation-harness."""
    suite = "suite"
    """Other tasks under one name."""


class Split(Enum):
    """A split of a snapshot."""

    test = "test"
    train = "train"


@dataclass
class LmEval:
    """A task of lm-evaluation-harness."""

    task: str | None = None
    """Its name: of ``eval/lm_eval/NAME.yaml``, else of one of the harness's own tasks."""
    chat: bool = True
    """Ask through the chat template; false: the plain text, as models without a template are asked."""


@dataclass
class Task:
    """An eval task as its file says it."""

    version: int = ranged(1, COUNT)
    """Raised by whoever changes what the task measures; stands in every evaluation."""
    kind: Kind = Kind.completions
    about: str = ""
    """What it asks, in one line."""
    dataset: str | None = None
    """Options of conf/dataset (``a+b``): the snapshot that its rows come from."""
    split: Split = Split.test
    rows: int | None = ranged(256, COUNT)
    """Rows of the half that is measured, at most; null for all."""
    scorer: str | None = None
    """Options of conf/reward (``a+b``) that score a completion; null: the rewards of the run that is evaluated."""
    right: str | None = None
    """The term of the scorer that says whether a completion is right: accuracy and pass@k count it."""
    right_at: float = ranged(1.0, ANY)
    """Its score from which a completion is right."""
    system_prompt: str | None = None
    """In front of a conversation that has none; null: the model's."""
    samples: int = ranged(1, Range(1, 4096))
    """Completions a prompt."""
    temperature: float = ranged(1.0, FROM_0)
    """0 is greedy."""
    top_p: float = ranged(1.0, Range(0, 1, above=True))
    top_k: int = ranged(0, COUNT_FROM_0)
    """0: no limit."""
    max_new_tokens: int | None = ranged(None, COUNT)
    """Tokens a completion may have; null: what the run that is evaluated says for held-out rows."""
    pass_at: list[int] = field(default_factory=lambda: [1], metadata={"range": COUNT})
    """The k of pass@k, pass^k and majority@k; those above ``samples`` are left out."""
    judge: str | None = None
    """Of pairs: the option of conf/reward that prefers one of two answers (it reads ``other``)."""
    metric: str | None = None
    """The metric that speaks for the task: the one that is compared and claimed; null: accuracy where something says
    what is right, else the reward."""
    lm_eval: LmEval = field(default_factory=LmEval)
    tasks: list[str] = field(default_factory=list)
    """Of a suite: its tasks."""
    of_model: dict[str, list[str]] = field(default_factory=dict)
    """Of a suite: the tasks for a model of this option, instead of ``tasks``."""


class Sampled(Enum):
    """What samples the completions of a model that is loaded here."""

    auto = "auto"
    """vLLM on a GPU where it is installed, else transformers."""
    transformers = "transformers"
    vllm = "vllm"


@dataclass
class Evaluation:
    """What is typed about an evaluation, for all of its tasks; null leaves a task as its file says."""

    rows: int | None = ranged(None, COUNT)
    samples: int | None = ranged(None, Range(1, 4096))
    temperature: float | None = ranged(None, FROM_0)
    want: float | None = ranged(None, Range(0, above=True))
    """The difference that is to be seen at 80% power: rows and samples follow from it."""
    seed: int = ranged(0, Range(0, 2**32 - 1))
    """Of the sampling."""
    engine: Sampled = Sampled.auto

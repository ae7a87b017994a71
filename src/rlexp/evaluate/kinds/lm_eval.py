"""Tasks of lm-evaluation-harness: its prompts and metrics, document by document, so that the statistics are ours."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

from rlexp.compose.run import Run
from rlexp.compose.task_run import Settled
from rlexp.errors import RunError
from rlexp.evaluate.artifact_sampler import ArtifactSampler
from rlexp.evaluate.candidates import Candidate
from rlexp.evaluate.harness import Harness, silent
from rlexp.evaluate.subjects import Subject
from rlexp.evaluate.work import Work
from rlexp.inputs.messages import prompt_hash

SCORE = "score."
"""Stands before the name of a metric in the stored rows."""
PLAIN = "none"
"""What the harness calls answers that went through no filter."""

COLUMNS = {
    **{"row": "int64", "task": "string", "prompt_sha256": "string", "document": "string", "sample": "int64"},
    **{"prompt": "string", "target": "string", "answer": "string"},
}
"""Columns of every table of this kind, with Arrow's types."""

Scores = dict[str, list[list[float | None]]]
"""Metric -> [documents][1]."""


def require(work: Work, subjects: Sequence[Subject]) -> None:
    """Checks whether the task can be measured of the subjects, before anything is loaded.

    Raises:
        RunError: as ``Harness.tasks``; or the harness is to ask an endpoint.
    """
    if urls := [one.name for one in subjects if one.url]:
        raise RunError(
            f"{work.name} reads how likely answers are, which an endpoint does not say",
            where=urls[0],
            hint="evaluate the model's folder, or leave the task out of eval=",
        )
    if not work.rows:
        raise RunError(f"{work.name} has no documents", where=f"eval={work.name}", hint="name another task")


def model_of(candidate: Candidate, run: Run, seed: int) -> Any:
    """The harness's model object of a candidate.

    Args:
        run: says how many sequences the hardware takes at once, and how dialogues are rendered.
        seed: of what an artifact samples; a model of transformers has torch's.
    """
    if isinstance(candidate.sampler, ArtifactSampler):
        from rlexp.evaluate.hosted_lm import HostedLM

        return HostedLM(candidate.sampler.host, seed)
    from lm_eval.models.huggingface import HFLM

    whole = candidate.model
    model = whole.get_base_model() if hasattr(whole, "get_base_model") else whole  # its layers hold the adapter
    return HFLM(
        pretrained=model,
        tokenizer=candidate.tokenizer,
        backend="causal",
        batch_size=min(run.hardware.sequences_per_device or 1, 64),
        max_length=run.model.max_seq_length,
        chat_template_args=dict(run.chat_template_kwargs),
    )


def measure(work: Work, candidate: Candidate) -> Any:
    """Has the harness ask and score the documents.

    Returns:
        A ``pyarrow.Table``, a row a document.

    Raises:
        RunError: the harness cannot measure it.
    """
    import pyarrow as pa
    from lm_eval import evaluate
    from transformers import set_seed

    assert isinstance(work, Harness)
    run, task = work.settled.on(candidate.subject.run), work.settled.named.task
    system = run.model.system_prompt if task.lm_eval.chat else None
    try:
        with silent():
            set_seed(work.seed)
            for one in work.tasks.values():
                one.set_fewshot_seed(seed=work.seed)
            found = evaluate(
                model_of(candidate, run, work.seed),
                {"tasks": work.tasks, "groups": {}, "group_map": {}},
                limit=task.rows,
                bootstrap_iters=0,
                system_instruction=system,
                apply_chat_template=task.lm_eval.chat,
                fewshot_as_multiturn=task.lm_eval.chat,
            )
    except Exception as error:  # of the task's own code and templates, too
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        hint = "look at its prompts and metrics; eval/lm_eval/sums_choice.yaml is one that works"
        raise RunError(f"the harness failed on {work.name}: {reason}", str(work.file or work.name), hint) from error
    rows = [row for name in work.tasks for row in _documents(name, found["samples"][name])]
    names = list(dict.fromkeys(name for row in rows for name in row))
    work.done(len(rows))
    if not any(name.startswith(SCORE) for name in names):
        hint = "name a task with a metric of each document, such as acc or exact_match"
        raise RunError(f"{work.name} scores no document by itself, only all together", f"eval={work.name}", hint)
    columns = {name: [row.get(name) for row in rows] for name in names}
    types = {name: pa.float64() for name in names if name.startswith(SCORE)}
    return pa.table({"row": list(range(len(rows)))} | {n: pa.array(v, types.get(n)) for n, v in columns.items()})


def _documents(task: str, samples: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a document, in their order, of what the harness logged: a sample a document and filter."""
    rows: dict[int, dict[str, Any]] = {}
    for one in sorted(samples, key=lambda sample: sample["doc_id"]):
        prompt = str(one["arguments"][0][0])
        said = {"task": task, "prompt_sha256": prompt_hash(prompt), "document": one["doc_hash"], "sample": 0}
        row = rows.setdefault(
            one["doc_id"], {**said, "prompt": prompt, "target": str(one["target"]), "answer": _text(one["resps"])}
        )
        for metric in one["metrics"]:
            value = one[metric]
            name = metric if one["filter"] == PLAIN else f"{metric}/{one['filter']}"
            if isinstance(value, Real):
                row[f"{SCORE}{name}"] = float(value)
    return [rows[number] for number in sorted(rows)]


def _text(responses: Sequence[Sequence[Any]]) -> str:
    """What the model said, or the log-probability of each choice."""
    return "\n".join(str(one[0] if isinstance(one, tuple) else one) for of in responses for one in of)


def scores(settled: Settled, table: Any) -> Scores:
    """The metrics of the stored documents; pure.

    Returns:
        What the harness calls them, with ``/FILTER`` where an answer went through one: metric -> [documents][1].
    """
    names = [field.name for field in table.schema if field.name.startswith(SCORE) and str(field.type) == "double"]
    columns = {name.removeprefix(SCORE): table.column(name).to_pylist() for name in names}
    return {name: [[value] for value in values] for name, values in columns.items()}

"""What a run left: lock and manifest, metrics and completions as tables, the weights ready to generate."""

from __future__ import annotations

import dataclasses
import html
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlexp.api.place import hidden_main, inside, project_of
from rlexp.backend import model as models
from rlexp.backend.patches import Patches
from rlexp.compose.schema import Rollout
from rlexp.console import quiet
from rlexp.errors import RunError, printable
from rlexp.record import completions, curve, finished, locked_config, status

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True, repr=False)
class FinishedRun(finished.FinishedRun):
    """A run that was locked, with what its folder holds as tables.

    The tables are pandas' (it comes with ``datasets``): they can be filtered, grouped and plotted as they are, and a
    notebook shows them.
    """

    @property
    def status(self) -> str:
        """``finished``, ``running``, ``stopped`` (by its health), ``failed``, ``interrupted`` or ``killed``."""
        return status.of(self.manifest)[0] if self.manifest else "locked"

    @property
    def steps(self) -> dict[str, int] | None:
        """The optimizer steps ``done`` of those ``asked``; None where the manifest does not say them."""
        return self.manifest.get("steps")

    @property
    def held_out(self) -> dict[str, Any]:
        """The held-out metrics as the manifest has them: name -> before, after, standard_error; empty without any."""
        return self.manifest.get("held_out") or {}

    def metrics_table(self) -> pandas.DataFrame:
        """Every entry of ``metrics.jsonl``, a row each; what timed the machine in columns ``timing/...``.

        Raises:
            RunError: the file is damaged; the message names the line.
        """
        import pandas

        rows = []
        for entry in self.metrics():
            timing = entry.pop("timing", {})
            timing = timing if isinstance(timing, dict) else {}
            rows.append({**entry, **{f"timing/{name}": value for name, value in timing.items()}})
        return pandas.DataFrame(rows)

    def completions_table(self, steps: int | str | Sequence[int] | None = None) -> pandas.DataFrame:
        """The stored completions, a row each: step, prompt, completion, group, the score of every term, the reward;
        what the terms read of the data in columns ``read.NAME``.

        Args:
            steps: one or several, or as typed behind ``step=``: ``"last"``, ``"1..20"``; None for all that were stored.

        Raises:
            RunError: there are none, or none of such a step.
        """
        import pandas

        stored = self.completion_steps()
        if steps is None:
            return pandas.DataFrame(self.completions(stored))
        asked = ",".join(map(str, steps)) if isinstance(steps, Sequence) and not isinstance(steps, str) else str(steps)
        return pandas.DataFrame(self.completions(completions.parse_steps(asked, stored, self.run_dir)))

    def held_out_table(self) -> pandas.DataFrame:
        """The held-out metrics before and after training, a row each, with their standard errors (NaN where unknown).

        Empty where nothing was held out.
        """
        import pandas

        rows = {}
        for name, row in self.held_out.items():
            errors = row.get("standard_error")
            one, two = errors if isinstance(errors, list) and len(errors) == 2 else (None, None)
            rows[name] = [row.get("before"), row.get("after"), one, two]
        columns = ["before", "after", "before_error", "after_error"]
        return pandas.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)

    def load(self, step: int | str | None = None) -> tuple[Any, Any]:
        """The trained model and its tokenizer, ready for ``generate``: in evaluation mode, padded on the left.

        Args:
            step: that of a checkpoint; ``"best"`` for the one that the run chose; None for the weights at the end
                (``weights``).

        Returns:
            (model, tokenizer): a causal language model of transformers with its adapter.

        Raises:
            RunError: there are no whole weights, an input is not the locked one and cannot be had, or its code is not
                trusted.
        """
        with inside(self.root):
            run = locked_config.on_this_machine(self.run, self.root)
            # As inspect: generate() is ready sooner than vLLM's engine.
            run = dataclasses.replace(run, rollout=Rollout(name="generate", patches=run.rollout.patches))
            weights = self.weights(step)
            for name, why in self.broken_weights().items():
                warnings.warn(f"{name} is passed over: {why}", stacklevel=2)
            inputs, notes = self.inputs(run)
            for note in notes:
                warnings.warn(printable(note), stacklevel=2)
            patches = Patches(run.rollout.patches)
            with quiet(Path(os.devnull)), hidden_main():
                models.import_libraries(run, patches)
                model, tokenizer = models.load_trained(run, inputs.model, weights, patches)
                if hasattr(model, "for_inference"):
                    model.for_inference()
        model.eval()
        tokenizer.padding_side = "left"
        return model, tokenizer

    @property
    def name(self) -> str:
        """Its folder, from the project folder."""
        return os.path.relpath(self.run_dir, self.root)

    def __repr__(self) -> str:
        return printable(f"FinishedRun({self.name!r}, {', '.join([self.status, *self._changes()])})")

    def _changes(self) -> list[str]:
        rows = sorted(self.held_out.items(), key=lambda item: (item[0] == "reward", item[0]))
        return [f"{name} {row['before']:.3f} -> {row['after']:.3f}" for name, row in rows]

    def _repr_html_(self) -> str:
        """What a notebook shows: where it is, the curve of the reward or the loss, the held-out table."""
        text = html.escape(printable(f"{self.name}: run {self.lock.get('identity')}, {self.status}"))
        try:
            drawn = curve.svg(*curve.of_entries(self.metrics()))
        except RunError as error:
            drawn = f"<p>{html.escape(printable(error.what))}</p>"
        table = self.held_out_table().drop(columns=["before_error", "after_error"])
        shown = table.to_html(float_format="{:.3f}".format, na_rep="", border=0) if len(table) else ""
        return f"<div><p>{text}</p>{drawn}{shown}</div>"


def open(run: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> FinishedRun:
    """The run that is named as on the command line: a run folder, its ``run.lock.yaml``, or ``pinned``.

    Args:
        run: from the working directory, or from the project folder.
        root: the project folder, or one within it; None for that of the working directory.

    Raises:
        RunError: there is no run, it holds no lock, or the lock cannot be read or was changed after it was written.
    """
    if not isinstance(run, str | os.PathLike):
        raise RunError(
            f"a folder is asked for, and this is a {type(run).__name__}",
            where="api.open",
            hint='name the run folder: api.open("outputs/..."); api.train(run) answers an open run',
        )
    found = finished.open(os.fspath(run), Path.cwd(), project_of(root))
    return FinishedRun(**{field.name: getattr(found, field.name) for field in dataclasses.fields(found)})

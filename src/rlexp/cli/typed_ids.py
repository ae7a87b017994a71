"""What ``plan`` shows of a model or a data set that was named by an id or a place: what it settled, and from where."""

from __future__ import annotations

from pathlib import Path

from rlexp.compose import model_id, typed_ids
from rlexp.compose.points import Point
from rlexp.compose.workload import parameters

Rows = list[tuple[str, str]]
KEPT = "conf/model/NAME.yaml"


def inserted(rows: Rows, point: Point, root: Path) -> Rows:
    """The rows of a plan with those on ids and places behind the row of their group.

    Args:
        rows: (name, value), those of ``model`` and ``dataset`` among them.
        root: the project's folder.
    """
    more = {"model": _model(point, root), "dataset": _dataset(point)}
    return [one for row in rows for one in (row, *more.get(row[0], []))]


def rows(point: Point, root: Path) -> Rows:
    """The rows on ids and places alone."""
    return [*_model(point, root), *_dataset(point)]


def _model(point: Point, root: Path) -> Rows:
    option = point.choices.get("model", "")
    if not typed_ids.names_a_place(option) or point.run.places.option_file(f"model/{option}").is_file():
        return []
    settled, model, method = model_id.settle(option, root), point.run.model, point.run.method.name
    defaults = settled.defaults
    if settled.size:
        own_weights, weights = _millions(parameters(settled.size)), _millions(defaults.weights)
        like = f"{own_weights} weights, nearest to model={defaults.option} ({weights})"
    else:
        like = f"of unknown size, so those of model={defaults.option}"
    own = {
        f"learning_rate.{method}": (model.learning_rate.get(method), defaults.learning_rate.get(method)),
        "max_seq_length": (model.max_seq_length, settled.max_seq_length),
        "max_completion_length": (model.max_completion_length, settled.max_completion_length),
    }
    values = [
        f"{key} {value:g}{'' if value == stated else ' (typed)'}" for key, (value, stated) in own.items() if value
    ]
    values += [] if model.full_finetuning else [f"lora.r {model.lora.r}"]
    at_most = f"; it has {settled.positions} positions" if settled.positions else ""
    return [("model defaults", f"{like}: {', '.join(values)}{at_most}; kept as an option: --save-as={KEPT}")]


def _dataset(point: Point) -> Rows:
    option, dataset = point.choices.get("dataset", ""), point.run.dataset
    if not typed_ids.names_a_place(option) or dataset.prepare not in ("hub", "local"):
        return []
    if dataset.prepare == "local":
        text = f"{dataset.params['file']}"
    else:
        configuration = dataset.params.get("configuration")
        named = f", configuration {configuration}" if configuration else ""
        text = f"{dataset.params['hub_id']} at {dataset.params['revision']}{named}, split {dataset.params['split']}"
        text += f", rows {dataset.params['rows']}" if dataset.params.get("rows") else ""
    columns = ", ".join(f"{target} from {source}" for target, source in (dataset.params.get("columns") or {}).items())
    return [("rows of", f"{text}, as {dataset.type.name}{f' ({columns})' if columns else ''}")]


def _millions(weights: int) -> str:
    return f"{weights / 1e6:.3g}M"

"""``model=hub:ORG/NAME@revision`` and ``model=FOLDER``: an option that no file holds.

Its shape is that of its config.json; rates and lengths are those that a shipped option of about its size states.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.compose import hub_files, model_kind, model_size, typed_ids
from rlexp.compose.places import Places
from rlexp.compose.schema import Size
from rlexp.compose.workload import parameters
from rlexp.errors import RunError, nearest

ONLINE = ("grpo", "rloo")
PREFERENCE = ("dpo", "orpo", "kto")
POSITIONS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")


@dataclass(frozen=True)
class Defaults:
    """What an option of ``conf/model`` states for a model of its size."""

    option: str
    weights: int
    """Its parameters."""
    online: float
    """The learning rate of the methods that sample."""
    preference: float
    """That of the methods that learn from judged answers."""
    sft: float
    max_seq_length: int
    max_completion_length: int

    @property
    def learning_rate(self) -> dict[str, float]:
        """The learning rate by method."""
        return {**dict.fromkeys(ONLINE, self.online), **dict.fromkeys(PREFERENCE, self.preference), "sft": self.sft}


DEFAULTS = (
    Defaults("tiny", 638_976, 2e-3, 1e-3, 2e-3, 96, 32),
    Defaults("smollm2_135m", 134_479_872, 1e-4, 5e-5, 2e-4, 256, 48),
    Defaults("qwen3_0_6b", 595_984_384, 2e-5, 1e-5, 2e-4, 1536, 1024),
    Defaults("llama3_2_1b", 1_235_746_816, 1e-5, 5e-6, 2e-4, 1024, 512),
    Defaults("qwen3_1_7b", 1_720_451_072, 1e-5, 5e-6, 2e-4, 1536, 1024),
    Defaults("qwen3_4b", 4_022_272_000, 5e-6, 5e-6, 2e-4, 1536, 1024),
)
"""The shipped options, smallest first (a test holds them against conf/model). An adapter's rates."""


@dataclass(frozen=True)
class Settled:
    """A model that was named by an id or a folder, as its files say it is."""

    place: dict[str, str | None]
    """``path``, or ``hub_id`` and ``revision``: the commit."""
    name: str
    size: Size | None
    positions: int | None
    """Tokens that the model has positions for; None where its config.json does not say."""

    @property
    def defaults(self) -> Defaults:
        """The shipped option whose size is nearest by its logarithm; the largest one where the size is unknown."""
        if self.size is None:
            return DEFAULTS[-1]
        weights = math.log(parameters(self.size))
        return min(DEFAULTS, key=lambda one: abs(math.log(one.weights) - weights))

    @property
    def max_seq_length(self) -> int:
        """Tokens of prompt and completion."""
        return min(self.defaults.max_seq_length, self.positions or self.defaults.max_seq_length)

    @property
    def max_completion_length(self) -> int:
        """Tokens of a completion: at most half of them where there are few positions."""
        stated = self.defaults.max_completion_length
        return stated if self.max_seq_length > stated else max(self.max_seq_length // 2, 1)

    def tree(self) -> dict[str, Any]:
        """The option's content."""
        tree: dict[str, Any] = {
            "name": self.name,
            **{key: value for key, value in self.place.items() if value is not None},
        }
        tree |= {"max_seq_length": self.max_seq_length, "max_completion_length": self.max_completion_length}
        tree |= {"learning_rate": self.defaults.learning_rate}
        return tree | ({"size": dataclasses.asdict(self.size)} if self.size else {})


def settle(option: str, root: Path) -> Settled:
    """The model of an option that is an id of the hub or a folder.

    Args:
        option: ``hub:ORG/NAME[@revision]``, or a folder from the project's.
        root: the project's folder.

    Raises:
        RunError: there is no such model, or it is none that can be trained: an adapter, a GGUF, one that sees images,
            one whose architecture transformers does not know, one without a chat template.
    """
    if option.startswith(typed_ids.PREFIX):
        found = typed_ids.parse("model", option)
        commit = hub_files.commit_of(found.hub_id, found.revision, "model")
        read: Callable[[str], Path | None] = functools.partial(_of_hub, found.hub_id, commit)
        place: dict[str, str | None] = {"hub_id": found.hub_id, "revision": commit}
        name = found.hub_id

        def names() -> set[str]:
            return hub_files.names_of(found.hub_id, commit, "model")
    else:
        folder = _folder(option, root)
        read, place, name = functools.partial(_of_folder, folder), {"path": Path(option).as_posix()}, folder.name

        def names() -> set[str]:
            return {path.name for path in folder.iterdir()}

    where = f"model={option}"
    content = model_kind.config(read, names, where, "path" in place)
    model_kind.require_language_model(content, where)
    model_kind.require_template(read, where)
    length = next((content[key] for key in POSITIONS if isinstance(content.get(key), int) and content[key] > 1), None)
    return Settled(place, typed_ids.name_of(name), model_size.of_config(content), length)


def _folder(option: str, root: Path) -> Path:
    folder = Places.of(root).path(option)
    if folder.is_dir():
        return folder.resolve()
    beside = sorted(path.parent.name for path in folder.parent.glob("*/config.json"))
    near = nearest(folder.name, beside)
    hint = f"type model={Path(option).parent.as_posix()}/{near}" if near else "name a folder with a config.json"
    if hub_like := typed_ids.HUB_ID.fullmatch(option):
        hint += f"; a model of the hub: type model={typed_ids.PREFIX}{hub_like['hub_id']}"
    raise RunError(f"there is no folder {option}", where=f"model={option}", hint=hint)


def _of_hub(hub_id: str, commit: str, name: str) -> Path | None:
    return hub_files.file_of(hub_id, commit, name, "model")


def _of_folder(folder: Path, name: str) -> Path | None:
    return folder / name if (folder / name).is_file() else None

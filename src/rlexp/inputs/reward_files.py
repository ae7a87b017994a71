"""The reward files of a run, each from the first place that has it, held against the parameters that it is given."""

from __future__ import annotations

import functools

from rlexp.compose.places import Places
from rlexp.compose.run import Run
from rlexp.errors import RunError, all_of, nearest
from rlexp.inputs import reward_source
from rlexp.inputs.reward_source import RewardSource


def reward_sources(run: Run) -> dict[str, RewardSource]:
    """The source of every term of the run's reward, its composed parameters checked against ``score``.

    Raises:
        RunError: a file cannot be read as a reward, or a parameter is unknown or missing.
    """
    sources = read_rewards(run.places, {name: term.file for name, term in run.reward.terms.items()})
    for name, source in sources.items():
        given = run.reward.terms[name].params
        for key in given:
            if key not in source.params:
                guess = nearest(key, source.params)
                hint = f"did you mean reward.terms.{name}.params.{guess}?" if guess else f"leave {key} out"
                takes = ", ".join(source.params) or "no parameters"
                raise RunError(
                    f"the reward {name} takes {takes}, not {key}", where=f"reward.terms.{name}.params.{key}", hint=hint
                )
        for key in source.required_params:
            if key not in given:
                raise RunError(
                    f"the reward {name} needs {key}",
                    where=f"{source.file}: score()",
                    hint=f"type +reward.terms.{name}.params.{key}=VALUE",
                )
    return sources


def read_rewards(places: Places, files: dict[str, str]) -> dict[str, RewardSource]:
    """The sources of reward files, each from the first place that has it.

    Args:
        files: term -> its file.

    Raises:
        RunError: a file is missing or cannot be read as a reward; where several are, it names them all.
    """
    known = places.names("rewards/*.py")

    def read(name: str, file: str) -> RewardSource:
        return reward_source.read(places.holder(file), file, reward_source.stated(places, name, file), known)

    return dict(zip(files, all_of(*(functools.partial(read, *item) for item in files.items())), strict=True))

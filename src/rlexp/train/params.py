"""``replay --params``: trains the tree of DVC's ``params.yaml`` where it is another one than the lock's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rlexp.compare.differences import differences, lines
from rlexp.compose import typed
from rlexp.compose.points import points
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.inputs.prepare import prepare
from rlexp.project import CONF
from rlexp.record import locked_config
from rlexp.record.finished import FinishedRun
from rlexp.record.run_folder import read_manifest
from rlexp.record.stages import write_scores
from rlexp.train import forked, session
from rlexp.train.job import Job
from rlexp.train.replay import run_dir_of


def train_params(original: FinishedRun, file: str, directory: str | None) -> Path | None:
    """Trains the tree that DVC's params file holds as a new run, where it is another one than the lock's.

    Args:
        file: from the project folder.
        directory: as ``replay``.

    Returns:
        The folder of the new run; None where the file holds the locked one, and nothing was trained.

    Raises:
        RunError: the file holds no run of this version, or its inputs cannot be had.
    """
    root = original.root
    run = read(root, file, original.lock["config"])
    changed = lines(differences(original.run.config(), run.config()))
    if not changed:
        return None
    print(f"{file} asks for another run than the lock: it is trained as a new one")
    for line in changed:
        print(f"  {line}")
    run_dir = run_dir_of(original, directory)
    run = locked_config.on_this_machine(run, root)
    try:
        inputs = prepare(run, root, original.begun(run))
    except RunError as error:
        raise _in_a_queue(error, root) from error
    session.train(Job(run, root, run_dir, changed, fork=forked.checkpoint_of(run, root)), inputs)
    left = read_manifest(run_dir) or {}
    write_scores(run_dir, left.get("held_out", {}), left["identity"])
    return run_dir


def read(root: Path, file: str, locked: dict[str, Any]) -> Run:
    """The run of a params file. A group may hold the name of an option instead of its tree (``dvc exp run -S
    reward=format+length``): that is composed, the rest stays the pinned run's.

    Raises:
        RunError: the file holds no run of this version, or an option is none.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.serialize import load_yaml

    try:  # as DVC writes it: in YAML 1.2 an unquoted no is a text
        tree = load_yaml(str(root / file))
    except (DvcException, OSError) as error:
        raise RunError(f"the file cannot be read: {error}", where=file, hint=f"git checkout -- {file}") from error
    if not isinstance(tree, dict):
        raise RunError("the file holds no run", where=file, hint=f"git checkout -- {file}, or pin a run again")
    named = {str(group): option for group, option in tree.items() if isinstance(option, str)}
    try:
        if named:
            overrides = [f"{group}={option}" for group, option in named.items()]
            composed = points(root / CONF, overrides, multirun=False)[0].run.config()
            tree |= {group: composed[group] for group in named if group in composed}
        return locked_config.run_of(settled(tree, locked), root, file)
    except RunError as error:
        raise _in_a_queue(error, root) from error


def settled(tree: dict[str, Any], locked: dict[str, Any]) -> dict[str, Any]:
    """The tree with what was changed in it as if it were typed (``compose.typed``).

    Args:
        locked: the config of the run that is varied.
    """
    method, before = tree.get("method"), locked["method"]
    if not isinstance(method, dict):
        return tree
    made = OmegaConf.create(tree)
    typed.settle(made, {f"method.{key}" for key, value in method.items() if value != before.get(key)})
    return dict(OmegaConf.to_container(made, resolve=False))  # type: ignore[arg-type]


def _in_a_queue(error: RunError, root: Path) -> RunError:
    """The error, with what DVC's queue may lack: it runs a copy of what git tracks."""
    if not {".dvc", "exps"} <= set(root.resolve().parts):
        return error
    hint = "git add it: dvc's queue sees tracked files only"
    return RunError(error.what, error.where, f"{hint}; {error.hint}" if error.hint else hint)

"""Makes the inputs that are missing: a data snapshot or a base model, by the project's own data_prep/ scripts."""

from __future__ import annotations

import ast
import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from rlexp.compose import hub
from rlexp.compose.environment import resolved
from rlexp.compose.run import Run
from rlexp.errors import RunError, printable
from rlexp.files import whole_folder
from rlexp.inputs import mixture, script_params, snapshot, snapshots, trust
from rlexp.inputs.contract import check_rows
from rlexp.inputs.digest import file_md5, folder_files
from rlexp.inputs.find import Inputs, find_inputs
from rlexp.inputs.script import load_script, refuse_project_imports, run_script
from rlexp.inputs.start import Begun
from rlexp.inputs.trust import Code
from rlexp.project import shipped


def prepare(run: Run, root: Path, begun: Begun | None = None, model: bool = True) -> Inputs:
    """Checks the inputs of ``run``, makes the missing ones (says which) and checks the rows of the data.

    Each script runs in a process of its own. Two that make the same at once do so apart: the first to end leaves what
    both take.

    Args:
        begun, model: as ``find_inputs``.

    Raises:
        RunError: an input is missing and cannot be made, its script refused, rows break the method's contract, or code
            that came by a path is not trusted.
    """
    run = run.at(root)
    inputs = find_inputs(run, root, begun, model)
    scripts = [script for script in (inputs.data_prepare, *inputs.parts.values(), inputs.model_prepare) if script]
    trust.require([Code(path) for path in [*(s.path for s in inputs.rewards.values()), *scripts]], run.places)
    if model:
        hub.require(run)
    parts = snapshots.parts(run)
    for name, script in inputs.parts.items():
        _make(parts[name].rows.path, script, write_snapshot, root / parts[name].rows.path, parts[name].params)
    mixed = bool(parts) and inputs.description is None
    if mixed:
        _mix(run, root, model)
    if inputs.data_prepare:
        _make(run.dataset.path, inputs.data_prepare, write_snapshot, inputs.data, run.config()["dataset"]["params"])
    if inputs.model_prepare and inputs.model:
        _make(str(run.model.path), inputs.model_prepare, build_model, inputs.model, run.config()["model"]["params"])
    path = str(run.model.path)
    shipped_only = inputs.start is None and inputs.model == (shipped() / path).resolve() and not (root / path).exists()
    if shipped_only:
        _copy(shipped() / path, root / path)
    made = inputs.start.make(root) if inputs.start else False
    if inputs.data_prepare or inputs.model_prepare or shipped_only or mixed or made:
        inputs = find_inputs(run, root, begun, model)
    check_rows(inputs.data, run.dataset.type)
    return inputs


def _mix(run: Run, root: Path, model: bool) -> None:
    find_inputs(run, root, model=model)  # whether the parts that were just made fit together
    parts = {name: part.path for name, part in run.dataset.parts.items()}
    print(f"making {run.dataset.path} of {', '.join(parts.values())}", flush=True)
    made = {name: (root / path, snapshot.digest(path, root / path)) for name, path in parts.items()}
    mixture.write(made, root / run.dataset.path)


def _copy(shipped_model: Path, folder: Path) -> None:
    """Puts a model of rlexp's own into the project, where its adapters name it."""
    print(f"copying {folder.name} to {folder.parent.name}/{folder.name}", flush=True)
    with whole_folder(folder, first_wins=True) as partial:
        shutil.copytree(shipped_model, partial, dirs_exist_ok=True)


def _make(named: str, script: Path, function: Callable[..., Any], folder: Path, params: dict[str, Any]) -> None:
    file = f"data_prep/{script.name}"
    print(f"making {named} with {file}", flush=True)
    for note in run_script(script, file, function, folder, params) or ():
        print(f"  recognised: {printable(note)}", flush=True)


def write_snapshot(script: Path, snapshot_dir: Path, params: dict[str, Any]) -> list[str]:
    """Calls the script's ``rows(**params)`` and writes what it answers as a snapshot, unless another process did.

    Returns:
        What the script recognised in the rows, where it says so (``recognised``).

    Raises:
        RunError: the parameters do not fit ``rows``, or the script refused.
    """
    module = _load(script)
    rows = _function(module, "rows", script, params)
    files = {
        value: file_md5(Path(value)) for value in params.values() if isinstance(value, str) and Path(value).is_file()
    }
    source: dict[str, Any] = {
        "script": f"data_prep/{script.name}",
        "script_md5": file_md5(script),
        "params": params,
        "files": files,
    }
    description = (module.__doc__ or script.stem).strip().split("\n")[0]
    made = rows(**resolved(params))
    if read := getattr(module, "files_read", None):  # of elsewhere, such as the hub
        source["files_read"] = dict(read)
    recognised = [str(note) for note in getattr(module, "recognised", [])]
    if recognised:
        source["recognised"] = recognised
    try:
        snapshot.write(made, snapshot_dir, description, source)
    except RunError:
        if not (snapshot_dir / snapshot.DESCRIPTION).is_file():  # nor did another process write it meanwhile
            raise
    return recognised


def build_model(script: Path, model_dir: Path, params: dict[str, Any]) -> None:
    """Calls the script's ``build(folder, **params)``; the folder appears whole or not at all.

    Raises:
        RunError: the parameters do not fit ``build``, or the script refused.
    """
    build = _function(_load(script), "build", script, {"folder": None, **params})
    with whole_folder(model_dir, first_wins=True) as partial:
        build(partial, **resolved(params))
        for path in folder_files(partial):
            path.chmod(0o644)  # safetensors writes files that only their owner may read


def _load(script: Path) -> ModuleType:
    file = f"data_prep/{script.name}"
    tree = ast.parse(script.read_bytes(), filename=str(script))
    refuse_project_imports(tree, script.parent.parent, file, "script")
    return load_script(script)


def _function(module: ModuleType, name: str, script: Path, params: dict[str, Any]) -> Any:
    function = getattr(module, name, None)
    if function is None:
        raise RunError(
            f"the script has no function {name}",
            where=f"data_prep/{script.name}",
            hint=f"write def {name}(...): as the other scripts of data_prep/ do",
        )
    known, where = inspect.signature(function).parameters, f"{'dataset' if name == 'rows' else 'model'}.params"
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        script_params.require_names(params, known, script, name, where)
    for key, parameter in known.items():
        named = parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if named and parameter.default is parameter.empty and key not in params:
            raise RunError(
                f"{name}() of data_prep/{script.name} needs {key}",
                where=f"{where}.{key}",
                hint=f"type +{where}.{key}=VALUE",
            )
    return function

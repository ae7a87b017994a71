"""Makes the inputs that are missing: a data snapshot or a base model, by the project's own data_prep/ scripts."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from rlexp.compose.run import Run
from rlexp.errors import RunError, nearest
from rlexp.files import whole_folder
from rlexp.inputs import snapshot
from rlexp.inputs.contract import check_rows
from rlexp.inputs.digest import file_md5, folder_files
from rlexp.inputs.find import Inputs, find_inputs
from rlexp.inputs.script import load_script, run_in_subprocess


def prepare(run: Run, root: Path) -> Inputs:
    """Checks the inputs of ``run``, makes the missing ones (says which) and checks the rows of the data.

    Each script runs in a process of its own: it may import torch or transformers, which must not happen here before
    Unsloth is imported.

    Raises:
        RunError: an input is missing and cannot be made, its script refused, or rows break the method's contract.
    """
    inputs = find_inputs(run, root)
    if inputs.data_prepare:
        print(f"making {run.dataset.path} with data_prep/{inputs.data_prepare.name}", flush=True)
        run_in_subprocess(write_snapshot, inputs.data_prepare, inputs.data, run.config()["dataset"]["params"])
    if inputs.model_prepare and inputs.model:
        print(f"making {run.model.path} with data_prep/{inputs.model_prepare.name}", flush=True)
        run_in_subprocess(build_model, inputs.model_prepare, inputs.model, run.config()["model"]["params"])
    check_rows(inputs.data, run.dataset.type)
    return find_inputs(run, root) if inputs.data_prepare or inputs.model_prepare else inputs


def write_snapshot(script: Path, snapshot_dir: Path, params: dict[str, Any]) -> None:
    """Calls the script's ``rows(**params)`` and writes what it answers as a snapshot.

    Raises:
        RunError: the parameters do not fit ``rows``, or the script refused.
    """
    module = load_script(script)
    rows = _function(module, "rows", script, params)
    files = {
        value: file_md5(Path(value)) for value in params.values() if isinstance(value, str) and Path(value).is_file()
    }
    source = {"script": f"data_prep/{script.name}", "script_md5": file_md5(script), "params": params, "files": files}
    description = (module.__doc__ or script.stem).strip().split("\n")[0]
    snapshot.write(rows(**params), snapshot_dir, description, source)


def build_model(script: Path, model_dir: Path, params: dict[str, Any]) -> None:
    """Calls the script's ``build(folder, **params)``; the folder appears whole or not at all.

    Raises:
        RunError: the parameters do not fit ``build``, or the script refused.
    """
    build = _function(load_script(script), "build", script, {"folder": None, **params})
    with whole_folder(model_dir) as partial:
        build(partial, **params)
        for path in folder_files(partial):
            path.chmod(0o644)  # safetensors writes files that only their owner may read


def _function(module: ModuleType, name: str, script: Path, params: dict[str, Any]) -> Any:
    function = getattr(module, name, None)
    if function is None:
        raise RunError(
            f"the script has no function {name}",
            where=f"data_prep/{script.name}",
            hint=f"write def {name}(...): as the other scripts of data_prep/ do",
        )
    known = list(inspect.signature(function).parameters)
    for key in params:
        if key not in known:
            guess = nearest(key, known)
            raise RunError(
                f"{name}() of data_prep/{script.name} takes {', '.join(known)}, not {key}",
                where=f"params.{key}",
                hint=f"did you mean params.{guess}?" if guess else f"leave out params.{key}",
            )
    return function

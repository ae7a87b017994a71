"""A reward file read as source: what its ``score`` wants, without importing it.

A reward may import anything (sympy, a model); ``plan`` must not pay for that, so the signature is read from the
syntax tree.
"""

from __future__ import annotations

import ast
import contextlib
import os
import posixpath
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlexp.compose.places import Places
from rlexp.errors import RunError, nearest
from rlexp.files import lies_inside
from rlexp.inputs.digest import file_md5
from rlexp.inputs.reward_code import EXPLAINS, assigned, scoring_md5
from rlexp.inputs.script import refuse_project_imports
from rlexp.inputs.trl_form import DECLARED, form_of
from rlexp.inputs.trl_signature import columns_of, functions_of, line_for, named, require_ours

PREFILLS = "prefills"
"""What the chat template's generation prompt wrote of an answer already, as a text each; it is optional."""
PROVIDED = ("completions", "prompts", "completion_ids", PREFILLS)
"""The arguments that the trainer hands to every reward; any other positional name is a column of the data set."""

SCORES = ("score", "score_group")
"""Names of the function that scores."""


@dataclass(frozen=True)
class RewardSource:
    """The identity and signature of a reward file."""

    file: str
    """The Python file, from the project folder."""
    path: Path
    """The file that was read: the project's own, or the copy that a lock keeps."""
    md5: str
    """The hash of the whole file."""
    code_md5: str
    """The hash of what counts for a version (``scoring_md5``)."""
    version: int
    reads: tuple[str, ...]
    """The positional parameters of ``score``: what the trainer provides, and data-set columns."""
    optional: tuple[str, ...]
    """Columns with a default: that it can do without."""
    params: tuple[str, ...]
    """Its keyword-only parameters, set by reward.terms.<name>.params."""
    required_params: tuple[str, ...]
    """Parameters without a default."""

    whole_groups: bool
    """The function is ``score_group``: it sees all completions of one prompt at a time."""
    whole_batches: bool
    """It is asynchronous, or says ``batched = True``: it sees everything at once."""
    bounds: tuple[float, float] | None
    """The declared range of the scores."""
    ignores: frozenset[str]
    """It says ``ignores = ("case", "place")``: an answer in other capitals, or outside of the tags, is as good."""
    explains: tuple[str, ...] | None
    """The parameters of its function ``explain``; None where it has none."""
    trl: str | None = None
    """The name of the function, where it is one in TRL's form."""
    turns: bool | None = False
    """Completions and prompts are conversations to it, only of a function in TRL's form; None where it follows the
    rows (``reward_rows.met``)."""
    turns_why: str = ""
    """Why, as the rest of a sentence."""
    everything: bool = False
    """It gets every column of the rows: a function in TRL's form that hands its ``**kwargs`` on."""
    has_cases: bool = True
    """It says what some completions score (``cases``)."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The data-set columns that the function needs."""
        return tuple(name for name in self.reads if name not in PROVIDED and name not in self.optional)

    @property
    def wanted_columns(self) -> tuple[str, ...]:
        """Those, and the ones that it takes where they are."""
        return tuple(name for name in self.reads if name not in PROVIDED)


def read(root: Path, file: str, named_by: str | None = None, known: Sequence[str] = ()) -> RewardSource:
    """Reads the signature of ``score`` and the version of the reward at ``root/file``.

    Args:
        named_by: the place that names the file, for the message.
        known: the reward files there are, for the message.

    Raises:
        RunError: the file is missing, lies outside of ``root``, is not Python, has no ``version`` or ``score``, or
            imports another file of the project.
    """
    # One name a file: versions and locks are kept by it.
    file = posixpath.normpath(file)
    path = root / file
    present = ", ".join(known or sorted(p.relative_to(root).as_posix() for p in (root / "rewards").glob("*.py")))
    if file.startswith(("/", "../")):
        raise RunError(
            f"the reward file {file} lies outside of the project",
            where=named_by,
            hint=f"put it into rewards/, beside {present}",
        )
    if not path.is_file():
        guess = nearest(posixpath.basename(file), [posixpath.basename(name) for name in present.split(", ")])
        hint = f"did you mean rewards/{guess}? (one of: {present})" if guess else f"write it, or one of: {present}"
        raise RunError(f"there is no reward file {file}", where=named_by, hint=hint)
    try:
        with tokenize.open(path) as stream:
            text = stream.read()
        tree = ast.parse(text, filename=file)
    except SyntaxError as error:
        raise RunError(
            f"the reward is not valid Python: {error.msg}",
            where=f"{file}:{error.lineno or 1}",
            hint="mend it, then: python -m rlexp score",
        ) from error
    except ValueError as error:  # bytes that are no text
        raise RunError(
            f"the reward is not valid Python: {error}", where=file, hint="mend it, then: python -m rlexp score"
        ) from error
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name in SCORES]
    trl = _constant(tree, "trl")
    if not functions and not isinstance(trl, str):
        pasted = f"; a function of TRL's? add the line {line_for(tree)}" if functions_of(tree) else ""
        hint = f"def score(completions, ...): ...{pasted}"
        raise RunError("the reward has no function named score", where=file, hint=hint)
    score = named(tree, trl, file) if isinstance(trl, str) else functions[0]
    # A function of TRL's is pasted as it is: its first version needs no line of its own.
    version = _constant(tree, "version") if not isinstance(trl, str) else _constant(tree, "version") or 1
    if not isinstance(trl, str):
        require_ours(score, file, "" if type(version) is int else ", and add a line version = 1")
    if type(version) is not int:
        raise RunError("the reward says no version", where=file, hint="add a line: version = 1")
    refuse_project_imports(tree, root, file, "reward")
    turns: bool | None = False
    why, everything = "", False
    if isinstance(trl, str):
        positional, free, everything = columns_of(score, file)
        turns, why = form_of(tree, score, _constant(tree, DECLARED), file)
        keyword, required = [], []
    else:
        positional = [arg.arg for arg in (*score.args.posonlyargs, *score.args.args)]
        free = positional[len(positional) - len(score.args.defaults) :]
        keyword = [arg.arg for arg in score.args.kwonlyargs]
        required = [name for name, default in zip(keyword, score.args.kw_defaults, strict=True) if default is None]
    ignored = _constant(tree, "ignores")
    words = next((n.args for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == EXPLAINS), None)
    return RewardSource(
        file=file,
        path=path,
        md5=file_md5(path),
        code_md5=scoring_md5(text),
        version=version,
        reads=tuple(positional),
        optional=tuple(free),
        params=tuple(keyword),
        required_params=tuple(required),
        whole_groups=score.name == "score_group",
        whole_batches=isinstance(score, ast.AsyncFunctionDef) or _constant(tree, "batched") is True,
        bounds=_bounds(tree, file),
        ignores=frozenset(map(str, ignored)) if isinstance(ignored, list | tuple) else frozenset(),
        has_cases=any(assigned(node) == ["cases"] for node in tree.body) and _constant(tree, "cases") not in ([], ()),
        trl=trl if isinstance(trl, str) else None,
        turns=turns,
        turns_why=why,
        everything=everything,
        explains=tuple(a.arg for a in (*words.posonlyargs, *words.args, *words.kwonlyargs)) if words else None,
    )


def read_copy(folder: Path, file: str) -> RewardSource:
    """The same of the copy that a run folder keeps in its ``sources/``.

    Raises:
        RunError: as ``read``, or the copy is a link that leads out of the run folder.
    """
    require_inside(folder / file, folder.parent)
    return read(folder, file)


def require_inside(path: Path, run_dir: Path) -> None:
    """Checks that a file of a run folder lies in it: a link of a stranger's would have any file read as a run's.

    Raises:
        RunError: it is a link that leads out of it.
    """
    if not lies_inside(path, run_dir):
        raise RunError(
            f"{path.name} leads out of the run folder, to {path.resolve()}; it was not read",
            where=str(path),
            hint="take the run from where it came from: what it keeps are files of its own",
        )


def stated(places: Places, name: str, file: str) -> str:
    """The place where the file of a term is named: the option's line, or else the key."""
    own = places.option_file(f"reward/{name}")
    for option in (own, *(path for conf in places.confs for path in sorted(conf.glob("*/*.yaml")))):
        with contextlib.suppress(OSError, UnicodeError):
            for number, line in enumerate(option.read_text(encoding="utf-8").splitlines(), start=1):
                if re.search(rf"\bfile: *['\"]?{re.escape(file)}\b", line):
                    return f"{os.path.relpath(option, places.root)}:{number}"
    return f"reward.terms.{name}.file"


def _constant(tree: ast.Module, name: str) -> object:
    """The literal that the module assigns to ``name``, the last one; None where there is none."""
    for node in reversed(tree.body):
        if assigned(node) != [name]:
            continue
        if isinstance(node, ast.AugAssign) or getattr(node, "value", None) is None:
            return None
        try:
            return ast.literal_eval(node.value)  # type: ignore[attr-defined]
        except ValueError:
            return None
    return None


def _bounds(tree: ast.Module, file: str) -> tuple[float, float] | None:
    """The declared range.

    Raises:
        RunError: it is no pair of numbers, the lower one first.
    """
    found = _constant(tree, "bounds")
    if found is None:
        return None
    ends = [float(end) for end in found if isinstance(end, int | float)] if isinstance(found, list | tuple) else []
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise RunError(f"bounds is {found!r}", where=file, hint="the range of the scores: bounds = (0.0, 1.0)")
    return ends[0], ends[1]

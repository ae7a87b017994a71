"""Cases of the fuzzer: command lines, files of conf/, locks and manifests, drawn over the schemas and mutated."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from rlexp.compose.methods import METHODS
from rlexp.compose.schema import RunSchema

ROOT = Path(__file__).parents[2]
GROUPS = {
    folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
    for folder in sorted((ROOT / "conf").iterdir())
    if folder.is_dir()
}
RUNS = ("outputs/one", "outputs/two")
"""The run folders of the scratch project; mutated files go into the second one."""
FITTING = {"dpo": "arithmetic_preferences", "orpo": "arithmetic_preferences", "kto": "arithmetic_judged"}
FITTING |= {"sft": "arithmetic_demonstrations", "grpo": "arithmetic", "rloo": "chain_sum"}
"""Method -> a data set of its type."""


@dataclass(frozen=True)
class Case:
    """One command line, and a file that is put into the project before it is typed."""

    arguments: tuple[str, ...]
    file: str | None = None
    content: bytes = b""

    @property
    def kind(self) -> str:
        """What is varied."""
        if self.file is None:
            return "command line"
        return "conf" if self.file.startswith("conf") else "record"


def keys() -> Iterator[tuple[str, Any]]:
    """Every dotted key of the tree with its type, those of every method too."""

    def walk(kind: Any, before: str) -> Iterator[tuple[str, Any]]:
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            of = hints[field.name]
            inner = next((t for t in (of, *typing.get_args(of)) if dataclasses.is_dataclass(t)), None)
            yield f"{before}{field.name}", of
            if inner and typing.get_origin(of) is not dict:
                yield from walk(inner, f"{before}{field.name}.")

    yield from walk(RunSchema, "")
    for method in METHODS.values():
        for name, entry in method.all_arguments.items():
            yield f"method.{name}", entry
    for name in ("run.dir", "sweep.dir", "sweep.subdir", "mode", "searchpath", "job.name", "verbose", "sweeper.params"):
        yield f"hydra.{name}", str


def texts() -> st.SearchStrategy[str]:
    """Values of no type in particular, as people and accidents type them."""
    strange = ["", "null", "true", "off", "nan", "-inf", "1e309", "[]", "{}", "[1,2]", "{a:1}", "a,b", "${seed}"]
    strange += ["${x}", "${", "'", '"a b"', "\\", "a=b", "日本", "~/x", "run#1", "range(1,3)", "glob(*)", "choice(1,2)"]
    strange += ["???", "interval(0,1)", "-1", "0", "9" * 20, "1_000", "0x10", "1e-5", "../x", "/etc", "\x00", "\n"]
    return st.sampled_from(strange) | st.text(max_size=8) | st.integers().map(str) | st.floats().map(str)


def values(kind: Any) -> st.SearchStrategy[str]:
    """Values of a type of the schemas, or of an entry of TRL's table."""
    if isinstance(kind, dict):
        if kind.get("choices"):
            return st.sampled_from([str(choice) for choice in kind["choices"]])
        kind = {"bool": bool, "int": int, "float": float}.get(kind["type"], str)
    of = next((t for t in typing.get_args(kind) if t is not type(None)), kind)
    if isinstance(of, type) and issubclass(of, Enum):
        return st.sampled_from([choice.name for choice in of])
    if of is bool:
        return st.sampled_from(["true", "false"])
    if of is int:
        return st.integers(0, 64).map(str)
    if of is float:
        return st.floats(0, 1, allow_nan=False, width=16).map(str)
    return st.sampled_from(["a", "tiny", "models/tiny", "constant", "linear", "format", "correct"])


@st.composite
def misspelt(draw: Callable[..., Any], names: st.SearchStrategy[str]) -> str:
    """A name with one letter gone, twice, or another."""
    name = draw(names)
    if not name:
        return name
    at = draw(st.integers(0, len(name) - 1))
    return name[:at] + draw(st.sampled_from(["", name[at] * 2, "x", "_", ".", "-"])) + name[at + 1 :]


KEYS = sorted(dict(keys()).items(), key=lambda item: item[0])


@st.composite
def override(draw: Callable[..., Any]) -> str:
    """An override: of a group, or of a key with a value of its type; now and then neither."""
    how = draw(st.sampled_from(["option", "option", "sum", "key", "key", "key", "strange", "typo", "prefix", "word"]))
    if how in ("option", "sum"):
        group = "reward" if how == "sum" else draw(st.sampled_from(sorted(GROUPS)))
        option = st.sampled_from(GROUPS[group])
        if how == "sum":
            return "reward=" + "+".join(draw(st.lists(option | misspelt(option), min_size=1, max_size=3)))
        return f"{group}={draw(st.one_of(option, option, option, misspelt(option), texts()))}"
    if how == "word":
        return draw(texts() | misspelt(st.sampled_from(sorted(GROUPS))) | st.sampled_from(sorted(GROUPS)))
    name, kind = draw(st.sampled_from(KEYS))
    if how == "typo":
        return f"{draw(misspelt(st.just(name)))}={draw(values(kind))}"
    mark = draw(st.sampled_from(["+", "++", "~"])) if how == "prefix" else ""
    return f"{mark}{name}={draw(texts() if how == 'strange' else values(kind))}"


FLAGS = ["-m", "-m", "--multirun", "--all", "--cfg", "--resolve", "--nosuch", "-x", "--info", "--run", "--json"]
FLAGS += [*(f"--config-{name}" for name in ("name=x", "name=config", "dir=conf", "path=conf")), "--package=method"]


@st.composite
def planned(draw: Callable[..., Any]) -> Case:
    """``plan`` of overrides; half of the time of a method with data that fit it."""
    words = draw(st.lists(override(), max_size=4))
    if draw(st.booleans()):
        method = draw(st.sampled_from(sorted(FITTING)))
        words = [f"method={method}", f"dataset={FITTING[method]}", *words]
    flags = draw(st.lists(st.sampled_from(FLAGS), max_size=1)) if draw(st.integers(0, 3)) == 0 else []
    return Case(("plan", *draw(st.permutations([*words, *flags]))))


@st.composite
def other_verb(draw: Callable[..., Any]) -> Case:
    """A verb that reads: runs, diff, inspect of stored steps, replay --check; or none that there is."""
    run = st.sampled_from([*RUNS, *RUNS, "pinned", "conf", "nowhere", "outputs", "", "src/..", "/", "."])
    columns = st.sampled_from([*(name for name, _ in KEYS), "status", "metric", "duration", "started", "tokens"])
    sign = st.sampled_from(["=", "==", "!=", ">", "<=", ""])
    condition = st.builds("{}{}{}".format, columns, sign, texts())
    own = st.builds("{}={}".format, st.sampled_from(["where", "sort", "term", "rows", "split"]), condition)
    step = st.sampled_from(["1", "last", "1-2"]) | texts()
    verb = draw(st.sampled_from(["runs", "diff", "replay", "inspect", "score", "none"]))
    if verb == "runs":
        return Case((verb, *draw(st.lists(condition | st.sampled_from(["--json", "--limit=x"]), max_size=2))))
    if verb == "diff":
        return Case((verb, *draw(st.lists(run, max_size=3))))
    if verb == "replay":
        return Case((verb, draw(run), "--check", *draw(st.lists(texts(), max_size=1))))
    if verb == "inspect":
        return Case((verb, draw(run), f"step={draw(step)}", *draw(st.lists(own, max_size=2))))
    if verb == "score":
        return Case((verb, f"completions={draw(run)}", *draw(st.lists(override(), min_size=1, max_size=2))))
    none = misspelt(st.sampled_from(["plan", "pin", "doctor"]))
    return Case((draw(none), *draw(st.lists(texts(), max_size=2))))


@st.composite
def broken(draw: Callable[..., Any], content: bytes) -> bytes:
    """A text file with a line or a few bytes changed."""
    lines = content.splitlines(keepends=True) or [b""]
    at = draw(st.integers(0, len(lines) - 1))
    how = draw(st.sampled_from(["drop", "twice", "tab", "byte", "cut", "value", "key", "swap"]))
    line = lines[at]
    if how == "drop":
        lines[at] = b""
    elif how == "twice":
        lines.insert(at, line)
    elif how == "tab":
        lines[at] = b"\t" + line
    elif how == "byte":
        place = draw(st.integers(0, len(line)))
        lines[at] = line[:place] + draw(st.binary(min_size=1, max_size=2)) + line[place:]
    elif how == "cut":
        return content[: draw(st.integers(0, len(content)))]
    elif how == "value":
        head, colon, _ = line.partition(b":")
        lines[at] = head + (colon or b":") + b" " + draw(texts()).encode("utf-8", "replace") + b"\n"
    elif how == "key":
        lines[at] = draw(misspelt(st.just(line.decode("utf-8", "replace").rstrip("\n")))).encode() + b"\n"
    else:
        other = draw(st.integers(0, len(lines) - 1))
        lines[at], lines[other] = lines[other], lines[at]
    return b"".join(lines)


@functools.cache
def conf_files() -> list[str]:
    """The option files of the project."""
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "conf").rglob("*.yaml"))


@st.composite
def conf_case(draw: Callable[..., Any]) -> Case:
    """``plan`` of an option whose file is broken."""
    file = draw(st.sampled_from(conf_files()))
    content = draw(broken((ROOT / file).read_bytes()))
    _, *inner = file.removesuffix(".yaml").split("/")
    words = [f"{inner[0]}={inner[1]}"] if len(inner) == 2 else []
    return Case(("plan", *words), file, content)


@st.composite
def record_case(draw: Callable[..., Any]) -> Case:
    """A verb over a run whose lock, manifest or metrics are broken."""
    name = draw(st.sampled_from(["run.lock.yaml", "run.lock.yaml", "manifest.json", "metrics.jsonl"]))
    content = draw(broken((ROOT / "tests/record/run_of_1dbe9d9" / name).read_bytes()))
    verb = draw(
        st.sampled_from([("replay", RUNS[1], "--check"), ("diff", *RUNS), ("inspect", RUNS[1], "step=1"), ("runs",)])
    )
    return Case(verb, f"{RUNS[1]}/{name}", content)


CASES = st.one_of(planned(), planned(), other_verb(), conf_case(), conf_case(), record_case())

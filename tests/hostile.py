"""Data from strangers, leaf by leaf in every wrong way: what was tried, what happened, what was lost (nothing).

``make hostile`` prints the table. Every leaf of each kind of file goes through the validators in this process, and a
hundred drawn by seed through the real command line. Whoever adds a file that is handed on adds a Kind to KINDS.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import random
import shutil
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rlexp import chosen
from rlexp.chosen import SELECTION
from rlexp.compare.changes import changes
from rlexp.console import show_table
from rlexp.errors import RunError
from rlexp.inputs import difficulty, snapshot
from rlexp.inputs.digest import file_md5
from rlexp.record import (
    benchmarks,
    checkpoints,
    evaluation,
    events,
    exports,
    finished,
    gates,
    held_out,
    notes,
    pack,
    packed,
    sweeps,
    unpack,
)
from rlexp.record.checkpoints import Checkpoint
from rlexp.record.lock import checksum, identity_of
from rlexp.record.run_folder import HEALTH, LOCK, MANIFEST, METRICS, read_manifest
from rlexp.report.page import MARK
from rlexp.shapes import read_json
from rlexp.whole import DIGEST
from tests import pass_rates
from tests.conftest import copy_project, files, rlexp

RATES = "data/arithmetic.difficulty"
CHECKPOINT, SO_FAR = "outputs/run/checkpoints/checkpoint-2", "outputs/run/run_so_far.json"
EVALUATED = f"outputs/run/{evaluation.FOLDER}/{'0' * 16}/{evaluation.FILE}"
EXPORTED, SWEPT = "exports/run", "multirun/s"
PLANNED = {
    **{"format": 1, "launcher": "workers", "typed": ["seed=0,1", "method.beta=0,0.04"]},
    "points": [{"folder": "0", "overrides": ["seed=0", "method.beta=0"], "identity": "0" * 16, "seed": 0}],
    "impossible": [{"overrides": ["method.beta=-1"], "reason": "below 0"}],
}
"""What a sweep was to be."""
NOTES = f"{EXPORTED}/card/notes.md"
HANDED, PACKED = "handed/pack.json", "handed/run.zip"
NOTED = {"format": 1, "tags": ["baseline"], "note": "the one in the table", "owner": "ada"}
"""What people say of a run."""
RUN = Path(__file__).parent / "record/run_of_1dbe9d9"
ORIGINAL = yaml.safe_load((RUN / LOCK).read_text())
SEED, DRAWN, WORKERS, PATIENCE_S = 20261129, 100, 2, 30
WRONG: dict[str, Any] = {
    "missing": None,
    "a number": 7,
    "a list": ["x"],
    "a mapping": {"x": "y"},
    "a folder above": "../../outside",
    "absolute": "/etc",
    "a link": "link/outside",
    "NUL": "a\0b",
    "huge": "x" * 200_000,
    "newline": "0" * 32 + "\n",
}
"""The ways in which a leaf is wrong -> what stands there instead."""
REPORT = "report.html"
VERBS = (
    ("replay", "outputs/run", "--check", "--level", "inputs"),
    ("inspect", "outputs/run", "step=1"),
    ("diff", "outputs/run", "outputs/run"),
    ("score", "completions=outputs/run"),
    ("runs",),
    ("sweep", "multirun/s"),
    ("report", "outputs/run", "--out", REPORT),
    ("report", "multirun/s", "--out", REPORT),
)
BEGUN = {"run": "outputs/sft", "step": 4, "identity": "0" * 16, "sha256": "0" * 64, "full": False, "merged": False}
WENT_ON = {
    "steps": {"done": 2, "asked": 8},
    "attempts": [{"started": "2026-11-29T15:56:11+00:00", "status": "interrupted", "from_step": 0, "host": "here"}],
    "fork": {"run": "outputs/other", "step": 4, "identity": "0" * 16},
    "start": {**BEGUN, "before": [BEGUN]},
    "selection": {
        **{"metric": "reward", "task": "held_out", "rows": 2, "began": 0, "step": 2, "best": 2, "candidates": [2]},
        **{"measured": [{"step": 2, "mean": 0.5, "standard_error": 0.5}], "optimism": 0.1, "why": "it is the highest"},
        **{"cost": {"seconds": 1.5, "share": 0.1}, "disagreement": "they disagree"},
    },
}
"""The keys that a manifest has of a run that went on, branched off, began with another's weights or chose its own."""
MEASURED = {
    **{"step": 2, "began": 0, "metric": "reward", "task": "held_out", "values": [0.0, 1.0], "kept": [2], "chosen": 2},
    "timing": {"seconds": 0.5},
}
"""A line of what was measured to choose by."""
INTERVAL = {"mean": 0.5, "low": 0.4, "high": 0.6, "error": 0.05, "method": "Wilson", "prompts": 4}
CLAIM = {**INTERVAL, "metric": "accuracy", "one": "base", "other": "outputs/run", "p": 0.04, "p_holm": 0.04}
FOUND_OUT = {
    **{"format": 1, "key": "0" * 16, "seed": 0, "engine": "transformers"},
    "tasks": {"sums": {"version": 1, "kind": "completions"}},
    "subjects": {"base": {"digest": {"model": "0" * 32}}},
    "samples": {"sums": {"base": {"file": "samples/sums-0.parquet", "sha256": "0" * 64}}},
    "results": {"sums": {"base": {"accuracy": {**INTERVAL, "samples": 4, "unscored": 0}}}},
    "differences": {"sums": [{**CLAIM, "claimed": True}]},
    "detectable": {"sums": 0.1},
    "contamination": {"sums": {"outputs/run": {"rows": 4, "exact": [1], "near": [2]}}},
}
"""What an evaluation found."""
FIGURE = {"value": 0.1, "error": 0.01}
STATISTICS = dict.fromkeys(("mean_kld", "p99.9_kld", "same_top_p", "adapter_share"), FIGURE)
LIKE = {"name": "odd text", "reference": "a", "artifact": None}
HELD = {
    **{"loaded": "transformers 5", "load_s": 1.0, "tokens_per_s": 9.0, "peak_gib": 0.5, "divergence": STATISTICS},
    "prompts": {
        **{"compared": 2, "refused": {"a system turn": "no"}, "texts_differ": ["odd text"], "ids_differ": []},
        **{"tokenized_differ": ["prompt 0"], "shown": [LIKE], "shown_ids": [{**LIKE, "reference": [1]}]},
    },
    "ends": {"reference": [2], "artifact": [2], "missing": [], "cutting": [7]},
    "greedy": {"rows": 2, "same": 0.5, "first_divergence": None},
    **{"first": "4", "prompt": {"text": "2 + 2"}, "stopped": {"reference": 1.0, "artifact": 0.5}},
    "baselines": {"q8_0": STATISTICS, "q4_0": STATISTICS},
}
"""What the gate found of an artifact."""
ARTIFACT = {
    **{"format": 1, "name": "merged", "kind": "merged", "type": "16bit", "runtime": "transformers", "path": "."},
    "of": {"run": "outputs/run", "step": None, "identity": "0" * 16, "subject": {"weights": "0" * 64}},
    **{"files": {"config.json": {"sha256": "0" * 64, "size": 2}}, "seconds": 1.5, "tools": {"transformers": "5"}},
    **{"mix": {"float16": 1.0}, "note": "it is", "template_kwargs": {"enable_thinking": False}},
}
"""How an artifact describes itself."""
JUDGED = {
    **{name: ARTIFACT[name] for name in (*exports.TOLD, "files")},
    **{"bytes": 2, "verdict": "broken", "gate": HELD, "modelfile": "FROM ./model.gguf"},
    "reasons": [{"name": "prompt.ids", "level": "broken", "why": "other ids"}],
    "task": {"metric": "accuracy", "mean": 0.1, "low": 0.0, "high": 0.2, "margin": 0.03},
    "snippet": {"program": "print(4)", "same": True, "said": "4"},
}
EXPORT = {
    **{"format": 1, "of": ARTIFACT["of"], "prompt": {"text": "2 + 2"}, "artifacts": {"merged": JUDGED}},
    "ship": {"name": "merged", "why": "it is small"},
}
"""The manifest of an export."""
SPREAD = dict.fromkeys(("p50", "p95", "p99"), 0.1)
ROW = {
    **{name: ARTIFACT[name] for name in ("kind", "type", "runtime", "tools")},
    **{"bytes": 2, "score": None, "died": {"part": "loading", "why": "it was ended"}},
    "levels": [
        {
            **{"together": 1, "requests": 8, "tokens": 80, "tokens_per_s": 9.0, "answers_per_s": 1.0},
            **dict.fromkeys(("first_token_s", "token_s", "answer_s"), SPREAD),
        }
    ],
}
SPEED = {
    **{"format": 1, "of": ARTIFACT["of"], "machine": {"processor": "AMD", "cpus": 2}, "slow": ["merged is slow"]},
    "settings": {"requests": 8, "seconds": 10.0, "p99": None, "max_new_tokens": 64},
    "artifacts": {"merged": ROW},
}
"""A benchmark."""
SAID = {"license": "mit", "license_name": "MIT", "use": "sums", "tags": ["sums"]}
"""What a person's notes say."""
SAMPLED = {
    **{"groups": 2, "low": 0.0, "high": 1.0, "equal": 0.5, "empty": 0.0, "copied": 0.0, "looping": 0.0},
    **{"variances": {"correct": 0.25}, "ranges": {"correct": 1.0}},
}
STEP = {"number": 2, "logs": {"loss": 0.1}, "sampled": SAMPLED, "moved": 0.1, "seconds": 0.5, "memory": None}
FOUND = {"rule": "kl", "level": "warn", "step": 2, "value": 1.0, "said": "it is high", "hint": "lower it"}
LEFT = {
    "lengths": {"metrics.jsonl": 100},
    "sha256": {"metrics.jsonl": "0" * 64},
    "scores": {"asked": 64, "failed": 0},
    "seconds": 3.5,
    "timings_s": {"locked": 1.0},
    "memory": {"reserved": 100},
    "watch": {
        "window": {"steps": [STEP], "first": [STEP], "held_out": [[2, {"reward": 0.5}]], "highest": 1.0},
        **{"found": [FOUND], "low": 0.0, "high": 1.0},
    },
}
"""What a checkpoint keeps of its run."""
EXIT_CODES = (0, 2, 3)
"""Done; one message; a replay that does not agree."""

Path_ = tuple[Any, ...]
Case = tuple[Path_, str]


def leaves(tree: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The path of every leaf of a tree, and of every inner node."""
    if path:
        yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from leaves(value, (*path, key))


def changed(tree: dict[str, Any], path: Path_, wrong: str) -> dict[str, Any]:
    """The tree with one leaf of a wrong kind, or left out."""
    return replaced(tree, path, None if wrong == "missing" else WRONG[wrong], gone=wrong == "missing")


def replaced(tree: dict[str, Any], path: Path_, value: Any, gone: bool = False) -> dict[str, Any]:
    """A copy of the tree with one leaf replaced, or gone."""
    tree = copy.deepcopy(tree)
    node: Any = tree
    for key in path[:-1]:
        node = node[key]
    if gone:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return tree


def sealed(content: dict[str, Any]) -> str:
    """A lock as one writes it who knows how locks are made: its identity and checksum belong to it."""
    if content.get("identity") == ORIGINAL["identity"]:
        with contextlib.suppress(TypeError, KeyError, AttributeError, ValueError):  # the config is no config
            content = {**content, "identity": identity_of(content["config"])}
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump({**content, "checksum": checksum(content)}, Dumper=dumper)


def open_everything(place: Path) -> None:
    """All that is read of a run before something is done with it."""
    original = finished.open("outputs/run", place, place)
    original.inputs(original.run, make=False)
    changes(original, original)
    original.reward_sources()


def read_rates(folder: Path) -> None:
    """All that is read of the pass rates of a data set."""
    if described := difficulty.describe(folder):
        difficulty.read(folder, described)


def read_so_far(file: Path) -> None:
    """The record that a checkpoint keeps of its run."""
    from rlexp.train.so_far import SCHEMA

    read_json(file, SCHEMA, "checkpoint")


def read_selection(place: Path) -> None:
    """What a run measured to choose by."""
    chosen.lines(place / "outputs/run")
    chosen.best(place / "outputs/run", "it", "RUN")


def read_evaluation(place: Path) -> None:
    """An evaluation, as it is read and as a report shows it."""
    from rlexp.report import measured

    evaluation.read(place / EVALUATED)
    run = finished.FinishedRun(place / "outputs/run", {}, {}, place)
    for number, task in enumerate(measured.tasks(run)):
        measured.charts(task, number)


def read_sweep(place: Path) -> None:
    """A sweep whose only point is the run, and the table that is written of it."""
    from rlexp.evaluate.sweeps import reading, table

    table.frame(reading.read(place / SWEPT, place))


def read_pack(place: Path) -> None:
    """The pack with another index, put into a project of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "run.zip"
        with zipfile.ZipFile(place / PACKED) as one, zipfile.ZipFile(made, "w") as other:
            for entry in one.infolist():
                other.writestr(
                    entry, one.read(entry) if entry.filename != packed.INDEX else (place / HANDED).read_bytes()
                )
        (Path(scratch) / "project").mkdir()
        unpack.unpack(made, Path(scratch) / "project")
        assert {path.name for path in Path(scratch).iterdir()} == {"run.zip", "project"}


def read_notes(file: Path) -> None:
    """What a card takes of a person's notes."""
    from rlexp.card import write

    write._notes(file)


def shown(folder: Path) -> None:
    """What a card shows of an export."""
    from rlexp.card import sections

    sections.artifacts(gates.manifest(folder))


def judged(folder: Path) -> None:
    """The verdict on what the gate kept."""
    from rlexp.export.gate import verdict

    if found := gates.kept(folder, "merged", "0" * 64):
        verdict.judge(found, found["baselines"])


def whole(folder: Path) -> None:
    """An artifact, held against its files."""
    exports.require_whole(exports.artifacts(folder)[0])


@dataclass(frozen=True)
class Kind:
    """A kind of file that is handed on."""

    name: str
    file: str
    """Its place in the project."""
    write: Callable[[dict[str, Any]], str]
    read: Callable[[Path], Any]
    """Validates it as the verbs do; takes the project folder."""
    sealed_by: tuple[str, ...] = ()
    """Keys that ``write`` mends, so that there is nothing to change in them."""

    def load(self, place: Path) -> dict[str, Any]:
        return next(yaml.safe_load_all((place / self.file).read_text()))

    def cases(self, content: dict[str, Any]) -> list[Case]:
        """Every leaf in every wrong way."""
        paths = [path for path in leaves(content) if path[0] not in self.sealed_by]
        return [(path, wrong) for path in paths for wrong in WRONG]


KINDS = (
    Kind("lock", f"outputs/run/{LOCK}", sealed, open_everything, ("checksum",)),
    Kind("manifest", f"outputs/run/{MANIFEST}", json.dumps, lambda place: read_manifest(place / "outputs/run")),
    Kind(
        "snapshot.json",
        f"data/arithmetic/{snapshot.DESCRIPTION}",
        json.dumps,
        lambda place: snapshot.describe(place / "data/arithmetic"),
    ),
    Kind(
        "difficulty.json",
        f"{RATES}/{difficulty.DESCRIPTION}",
        json.dumps,
        lambda place: read_rates(place / RATES),
    ),
    Kind(
        DIGEST,
        f"{CHECKPOINT}/{DIGEST}",
        json.dumps,
        lambda place: checkpoints.require(Checkpoint(2, place / CHECKPOINT)),
    ),
    Kind("run_so_far.json", SO_FAR, json.dumps, lambda place: read_so_far(place / SO_FAR)),
    Kind(evaluation.FILE, EVALUATED, json.dumps, read_evaluation),
    Kind(
        HEALTH,
        f"outputs/run/{HEALTH}",
        lambda line: json.dumps(line) + "\n",
        lambda place: events.read(place / "outputs/run"),
    ),
    Kind(
        held_out.FILE,
        f"outputs/run/{held_out.FILE}",
        json.dumps,
        lambda place: held_out.read(place / "outputs/run"),
    ),
    Kind(
        f"{exports.ARTIFACT} of an export",
        f"{EXPORTED}/merged/{exports.ARTIFACT}",
        json.dumps,
        lambda place: whole(place / EXPORTED),
    ),
    Kind(
        f"{exports.MANIFEST} of an export",
        f"{EXPORTED}/{exports.MANIFEST}",
        json.dumps,
        lambda place: shown(place / EXPORTED),
    ),
    Kind(benchmarks.FILE, f"{EXPORTED}/{benchmarks.FILE}", json.dumps, lambda place: benchmarks.read(place / EXPORTED)),
    Kind(
        "what the gate kept",
        f"{EXPORTED}/{gates.FOLDER}/merged.json",
        json.dumps,
        lambda place: judged(place / EXPORTED),
    ),
    Kind(
        "notes.md",
        NOTES,
        lambda said: f"---\n{yaml.safe_dump(said)}---\nSeen.\n",
        lambda place: read_notes(place / NOTES),
    ),
    Kind(SELECTION, f"outputs/run/{SELECTION}", lambda line: json.dumps(line) + "\n", read_selection),
    Kind(sweeps.FILE, f"{SWEPT}/{sweeps.FILE}", json.dumps, read_sweep),
    Kind(
        notes.FILE, f"outputs/run/{notes.FILE}", json.dumps, lambda place: notes.read(place / "outputs/run"), ("note",)
    ),
    Kind(packed.INDEX, HANDED, json.dumps, read_pack),
)


@dataclass
class Tally:
    """The outcome of the cases of one kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """Cases that ended otherwise than well or in one message."""
    lost: list[str] = field(default_factory=list)
    """Files that were written, changed or deleted."""
    seconds: float = 0.0


def make_place(top: Path) -> Path:
    """A project that has the run's inputs, a run folder to write crafted files to, and a folder that must stay."""
    project = copy_project(top / "project")
    done = rlexp(project, "prepare")
    assert done.returncode == 0, done.stderr
    pass_rates.write(project, [number % 5 for number in range(2000)])
    shutil.copytree(RUN, project / "outputs/run")
    shutil.copytree(RUN / "sources/rewards", project / "rewards", dirs_exist_ok=True)  # they are its own, as they were
    manifest = project / "outputs/run" / MANIFEST
    left = json.loads(manifest.read_text())
    left["outputs"][METRICS] = file_md5(project / "outputs/run" / METRICS)  # its lines are fewer than the run's
    manifest.write_text(json.dumps({**left, **WENT_ON}))
    (project / SO_FAR).write_text(json.dumps(LEFT))
    (project / "outputs/run" / SELECTION).write_text(json.dumps(MEASURED) + "\n")
    (project / EVALUATED).parent.mkdir(parents=True)
    (project / EVALUATED).write_text(json.dumps(FOUND_OUT))
    (project / "outputs/run" / HEALTH).write_text(json.dumps(FOUND) + "\n")
    (project / REPORT).write_text(MARK)  # the next one takes its place
    make_export(project / EXPORTED)
    (project / SWEPT / "0").mkdir(parents=True)
    (project / SWEPT / "0" / MANIFEST).write_text(json.dumps({"status": "finished", "held_out": {}}))
    (project / SWEPT / sweeps.FILE).write_text(json.dumps(PLANNED))
    (project / CHECKPOINT).mkdir(parents=True)
    for name in ("trainer_state.json", "optimizer.pt", "adapter_model.safetensors"):
        (project / CHECKPOINT / name).write_bytes(b"{}")
    checkpoints.seal(project / CHECKPOINT, 2)
    (project / "outputs/run" / notes.FILE).write_text(json.dumps(NOTED))
    (project / HANDED).parent.mkdir()
    made = pack.pack(finished.open("outputs/run", project, project), project / PACKED, "none")
    (project / HANDED).write_text(json.dumps(made.index))
    (top / "outside").mkdir()
    (top / "outside/kept.txt").write_text("kept")
    (project / "link").symlink_to(top)
    return project


def make_export(folder: Path) -> None:
    """An export with its records."""
    for name in ("merged", gates.FOLDER, "card"):
        (folder / name).mkdir(parents=True)
    (folder / "merged/config.json").write_text("{}")
    described = {**ARTIFACT, "files": exports.hashed(folder / "merged")}
    records = {f"merged/{exports.ARTIFACT}": described, exports.MANIFEST: EXPORT, benchmarks.FILE: SPEED}
    for name, content in {**records, f"{gates.FOLDER}/merged.json": {"key": "0" * 64, "found": HELD}}.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "card/notes.md").write_text(f"---\n{yaml.safe_dump(SAID)}---\nSeen.\n")


def state(place: Path) -> set[str]:
    """Every file of the project and of the folder around it."""
    return files(place) | files(place.parent)


def in_process(name: str, place: Path, cases: list[Case]) -> Tally:
    """Holds cases of the kind of that name against the validators; the file is as before when it is done."""
    kind = next(kind for kind in KINDS if kind.name == name)
    tally, content, file = Tally(), kind.load(place), place / kind.file
    original, before, began = file.read_bytes(), state(place), time.monotonic()
    for path, wrong in cases:
        try:
            file.write_text(kind.write(changed(content, path, wrong)))
            kind.read(place)
            tally.outcomes["accepted"] += 1
        except RunError:
            tally.outcomes["refused"] += 1
        except Exception as error:
            tally.faults.append(f"{kind.name} {'.'.join(map(str, path))}, {wrong}: {type(error).__name__}: {error}")
    file.write_bytes(original)
    tally.lost = sorted(before ^ state(place))
    tally.seconds = time.monotonic() - began
    return tally


def every_leaf(kind: Kind, places: list[Path]) -> Tally:
    """Every leaf of one kind in every wrong way, in one process for each place."""
    cases = kind.cases(kind.load(places[0]))
    parts = [cases[number :: len(places)] for number in range(len(places))]
    with ProcessPoolExecutor(len(places)) as pool:
        tallies = list(pool.map(in_process, [kind.name] * len(places), places, parts))
    merged = Tally(seconds=max(tally.seconds for tally in tallies))
    for tally in tallies:
        merged.outcomes += tally.outcomes
        merged.faults += tally.faults
        merged.lost += tally.lost
    return merged


def typed(kind: Kind, place: Path, case: Case, verb: tuple[str, ...]) -> tuple[str, str, list[str]]:
    """One case through the real command line: (what happened, a fault or "", the files lost)."""
    (path, wrong), content, file = case, kind.load(place), place / kind.file
    original = file.read_bytes()
    file.write_text(kind.write(changed(content, path, wrong)))
    before, began = state(place), time.monotonic()
    done = rlexp(place, *verb, timeout=10 * PATIENCE_S)
    took, lost = time.monotonic() - began, sorted(before ^ state(place))
    file.write_bytes(original)
    fault = ""
    if (
        done.returncode not in EXIT_CODES
        or "Traceback" in done.stderr
        or (done.returncode == 2) != (done.stderr.count("error: ") == 1)
    ):
        fault = f"{kind.name} {'.'.join(map(str, path))}, {wrong}: {' '.join(verb)} ended with {done.returncode}"
        fault += f": {done.stderr.strip().splitlines()[-1:]}"
    elif took > PATIENCE_S:
        fault = f"{' '.join(verb)} took {took:.0f} s"
    return {0: "done", 2: "one message", 3: "does not agree"}.get(done.returncode, "?"), fault, lost


def draw(places: list[Path], seed: int, count: int) -> list[tuple[Kind, Case, tuple[str, ...]]]:
    """So many cases of all kinds, each with a verb."""
    drawn = random.Random(seed)
    every = [(kind, case) for kind in KINDS for case in kind.cases(kind.load(places[0]))]
    by_kind = [drawn.choice([one for one in every if one[0] is drawn_kind]) for drawn_kind in KINDS for _ in range(5)]
    rest = drawn.sample(every, max(0, count - len(by_kind)))
    return [(kind, case, drawn.choice(VERBS)) for kind, case in [*by_kind, *rest][:count]]


def command_line(places: list[Path], seed: int, count: int) -> dict[str, Tally]:
    """Drawn cases through the real command line, one worker in each place."""
    tallies, began = {kind.name: Tally() for kind in KINDS}, time.monotonic()

    def work(number: int) -> list[tuple[Kind, tuple[str, str, list[str]]]]:
        mine = draw(places, seed, count)[number :: len(places)]
        return [(kind, typed(kind, places[number], case, verb)) for kind, case, verb in mine]

    with ThreadPoolExecutor(len(places)) as pool:
        for answers in pool.map(work, range(len(places))):
            for kind, (outcome, fault, lost) in answers:
                tally = tallies[kind.name]
                tally.outcomes[outcome] += 1
                tally.faults += [fault] if fault else []
                tally.lost += lost
    for tally in tallies.values():
        tally.seconds = time.monotonic() - began
    return tallies


def main() -> int:
    """Prints the table; 1 where something was lost, or a case ended otherwise than well or in one message."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=DRAWN, help="cases through the real command line")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        places = [make_place(Path(scratch) / str(number)) for number in range(WORKERS)]
        tallies = {f"{kind.name}, every leaf": every_leaf(kind, places) for kind in KINDS}
        by_hand = command_line(places, options.seed, options.count)
    tallies |= {f"{name}, by the command line": tally for name, tally in by_hand.items()}
    rows = [
        (
            name,
            str(tally.outcomes.total() + len(tally.faults)),
            ", ".join(f"{count} {outcome}" for outcome, count in tally.outcomes.most_common()),
            str(len(tally.faults)),
            ", ".join(tally.lost) or "nothing",
            f"{tally.seconds:.0f} s",
        )
        for name, tally in tallies.items()
    ]
    show_table(("tried", "cases", "what happened", "faults", "lost", "took"), rows)
    faults = [fault for tally in tallies.values() for fault in tally.faults]
    print("\n".join(faults[:20]))
    return int(bool(faults) or any(tally.lost for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())

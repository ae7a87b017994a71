"""A lock, a manifest and a snapshot's description are data from a stranger: their leaves in turn, in every wrong way,
are read or refused in one message, and nothing outside of the project is touched."""

import copy
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlexp.compare.changes import changes
from rlexp.errors import RunError
from rlexp.inputs import snapshot
from rlexp.record import finished, listed
from rlexp.record.lock import checksum
from rlexp.record.run_folder import LOCK, MANIFEST
from tests.conftest import copy_project, files, rlexp

RUN = Path(__file__).parent / "run_of_1dbe9d9"
SEED = 20261129
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


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every leaf of a tree, and of every inner node."""
    if path:
        yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from leaves(value, (*path, key))


def changed(tree: dict[str, Any], path: tuple[Any, ...], wrong: str) -> dict[str, Any]:
    """The tree with one leaf replaced, or left out."""
    tree = copy.deepcopy(tree)
    node: Any = tree
    for key in path[:-1]:
        node = node[key]
    if wrong == "missing":
        del node[path[-1]]
    else:
        node[path[-1]] = WRONG[wrong]
    return tree


LOCKED = yaml.safe_load((RUN / LOCK).read_text())
MANIFESTED = json.loads((RUN / MANIFEST).read_text())
CASES = [(path, wrong) for path in leaves(LOCKED) if path != ("checksum",) for wrong in WRONG]
OUTSIDE_CONFIG = [(path, wrong) for path, wrong in CASES if path[0] != "config"]
IN_CONFIG = [(path, wrong) for path, wrong in CASES if path[0] == "config"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A project that has the run's inputs, a run folder to write crafted locks to, and a folder that must stay."""
    top = tmp_path_factory.mktemp("hostile")
    project = copy_project(top / "project")
    assert rlexp(project, "prepare").returncode == 0
    shutil.copytree(RUN, project / "outputs/run")
    (top / "outside").mkdir()
    (top / "outside/kept.txt").write_text("kept")
    (project / "link").symlink_to(top)
    return project


def crafted(place: Path, content: dict[str, Any]) -> None:
    """Writes a lock whose checksum was mended."""
    (place / "outputs/run" / LOCK).write_text(yaml.safe_dump({**content, "checksum": checksum(content)}))


def read_everything(place: Path) -> bool:
    """Whether a run is accepted, with the run and the inputs that follow from it; whatever else than a RunError it
    raises fails the test."""
    try:
        original = finished.open("outputs/run", place, place)
        original.inputs(original.run, make=False)
        changes(original, original)
        original.reward_sources()
    except RunError:
        return False
    return True


def judged(place: Path, cases: list[tuple[tuple[Any, ...], str]]) -> int:
    """How many of the cases were accepted; none may write or delete anything."""
    before, above, accepted = files(place), files(place.parent), 0
    for path, wrong in cases:
        try:
            crafted(place, changed(LOCKED, path, wrong))
            accepted += read_everything(place)
        except Exception as error:
            raise AssertionError(f"{'.'.join(map(str, path))}, {wrong}") from error
    assert files(place) == before and files(place.parent) == above
    return accepted


def test_the_run_itself_is_accepted(place):
    crafted(place, LOCKED)
    assert read_everything(place)


@pytest.mark.parametrize("cases", [OUTSIDE_CONFIG, IN_CONFIG], ids=["outside of the config", "of the config"])
def test_some_leaves_in_some_wrong_ways(place, cases):
    assert len(cases) > 500
    assert judged(place, random.Random(SEED).sample(cases, 60)) < 60


@pytest.mark.long
def test_every_leaf_outside_of_the_config_in_every_wrong_way_and_a_third_of_the_config(place):
    assert judged(place, OUTSIDE_CONFIG) < len(OUTSIDE_CONFIG) / 2
    some = random.Random(SEED).sample(IN_CONFIG, len(IN_CONFIG) // 3)
    assert judged(place, some) < len(some)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("inputs", "data", "md5"), "../../../outside"),
        (("inputs", "model", "md5"), "/etc"),
        (("inputs", "data", "source", "script"), "../evil.py"),
        (("inputs", "data", "source", "script"), "data_prep/../../evil.py"),
        (("inputs", "model", "source", "script"), "/tmp/evil.py"),
        (("config", "model", "name"), "../../../x"),
        (("config", "dataset", "name"), "../evil"),
        (("config", "reward", "terms", "correct", "file"), "../correct.py"),
        (("inputs", "rewards", "correct", "file"), "/etc/passwd"),
        (("format",), 99),
        (("inputs", "model", "files"), {"../x": "0" * 32}),
    ],
)
def test_what_leads_out_of_the_project_is_refused_by_name(place, path, value):
    content = copy.deepcopy(LOCKED)
    node = content
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    crafted(place, content)
    with pytest.raises(RunError) as caught:
        finished.open("outputs/run", place, place)
    assert ".".join(path[:1]) in str(caught.value) and "it was not used" in str(caught.value)


def test_a_folder_behind_a_link_is_neither_deleted_nor_made(place):
    content = copy.deepcopy(LOCKED)
    content["inputs"]["data"] |= {"path": "link/outside", "md5": "0" * 32 + ".dir"}
    crafted(place, content)
    original = finished.open("outputs/run", place, place)
    with pytest.raises(RunError, match="link/outside"):
        original.inputs()
    assert (place.parent / "outside/kept.txt").read_text() == "kept"


def test_check_runs_no_script_and_restores_nothing(place, tmp_path):
    bare = copy_project(tmp_path / "bare")
    shutil.copytree(RUN, bare / "outputs/run")
    before = files(bare)
    done = rlexp(bare, "replay", "outputs/run", "--level", "inputs", "--check")
    assert done.returncode == 2 and "data/arithmetic" in done.stderr and "--check, which runs nothing" in done.stderr
    assert "Traceback" not in done.stderr and files(bare) == before


def test_a_manifest_of_another_shape_is_unreadable_and_no_traceback(place):
    folder = place / "outputs/run"
    for path in leaves(MANIFESTED):
        for wrong in WRONG:
            (folder / MANIFEST).write_text(json.dumps(changed(MANIFESTED, path, wrong)))
            row = listed.read(folder, place)
            assert row.status in ("unreadable", "finished", "x", "../../outside") or isinstance(row.status, str)
    shutil.copyfile(RUN / MANIFEST, folder / MANIFEST)


def test_a_snapshot_of_another_shape_is_refused(place, tmp_path):
    description = json.loads((place / "data/arithmetic/snapshot.json").read_text())
    refused = 0
    for path in leaves(description):
        for wrong in WRONG:
            (tmp_path / snapshot.DESCRIPTION).write_text(json.dumps(changed(description, path, wrong)))
            try:
                snapshot.describe(tmp_path)
            except RunError as error:
                refused += "it was not used" in str(error)
    assert refused > 50

"""A lock, a manifest and a snapshot's description are data from a stranger: their leaves in turn, in every wrong way,
are read or refused in one message, and nothing outside of the project is touched."""

import copy
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlexp.errors import RunError
from rlexp.inputs import digest, trust
from rlexp.record import finished, listed
from rlexp.record.lock import checksum
from rlexp.record.run_folder import LOCK, MANIFEST
from rlexp.shapes import steers
from tests import hostile
from tests.conftest import copy_project, files, rlexp
from tests.hostile import RUN, SEED, Case, Kind

LOCK_KIND, MANIFEST_KIND, SNAPSHOT_KIND, RATES_KIND, *OTHER_KINDS = hostile.KINDS
LOCKED = hostile.ORIGINAL
CASES = LOCK_KIND.cases(LOCKED)
OUTSIDE_CONFIG = [(path, wrong) for path, wrong in CASES if path[0] != "config"]
IN_CONFIG = [(path, wrong) for path, wrong in CASES if path[0] == "config"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return hostile.make_place(tmp_path_factory.mktemp("hostile"))


def crafted(place: Path, content: dict[str, Any]) -> None:
    """Writes a lock whose identity and checksum were mended."""
    (place / "outputs/run" / LOCK).write_text(hostile.sealed(content))


def accepted(kind: Kind, place: Path, cases: list[Case]) -> int:
    """How many of the cases were accepted; none may write or delete anything, or be anything but one message."""
    tally = hostile.in_process(kind.name, place, cases)
    assert tally.faults == [] and tally.lost == []
    return tally.outcomes["accepted"]


def test_the_run_itself_is_accepted(place):
    crafted(place, LOCKED)
    hostile.open_everything(place)


@pytest.mark.parametrize("cases", [OUTSIDE_CONFIG, IN_CONFIG], ids=["outside of the config", "of the config"])
def test_some_leaves_in_some_wrong_ways(place, cases):
    assert len(cases) > 500
    assert accepted(LOCK_KIND, place, random.Random(SEED).sample(cases, 60)) < 60


@pytest.mark.long
def test_every_leaf_outside_of_the_config_in_every_wrong_way_and_a_third_of_the_config(place):
    assert accepted(LOCK_KIND, place, OUTSIDE_CONFIG) < len(OUTSIDE_CONFIG) / 2
    some = random.Random(SEED).sample(IN_CONFIG, len(IN_CONFIG) // 3)
    assert accepted(LOCK_KIND, place, some) < len(some)


@pytest.mark.long
def test_a_hundred_drawn_by_seed_through_the_real_command_line(place, tmp_path):
    places = [place, hostile.make_place(tmp_path)]
    for tally in hostile.command_line(places, SEED, hostile.DRAWN).values():
        assert tally.faults == [] and tally.lost == [] and tally.outcomes.total() >= 5


def test_some_through_the_real_command_line(place):
    tallies = hostile.command_line([place], SEED, 6)
    assert sum(tally.outcomes.total() for tally in tallies.values()) == 6
    for tally in tallies.values():
        assert tally.faults == [] and tally.lost == []


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
    crafted(place, hostile.replaced(LOCKED, path, value))
    with pytest.raises(RunError) as caught:
        finished.open("outputs/run", place, place)
    assert ".".join(path[:1]) in str(caught.value) and "it was not used" in str(caught.value)


@pytest.mark.parametrize("kind", OTHER_KINDS, ids=lambda kind: kind.name)
def test_leaves_of_other_records_in_wrong_ways(place, kind):
    kind.read(place)
    cases = kind.cases(kind.load(place))
    cases = random.Random(SEED).sample(cases, min(200, len(cases)))
    assert accepted(kind, place, cases) < len(cases) / 2


def test_some_leaves_of_the_lock_of_a_chain_in_some_wrong_ways(place):
    content = copy.deepcopy(LOCKED)
    content["config"]["model"] |= {"start": "outputs/sft", "start_sha256": "0" * 64, "start_merged": False}
    base = {"path": "models/tiny", "md5": "0" * 32, "files": {"config.json": "0" * 32}}
    first = {**hostile.BEGUN, "files": {"adapter_model.safetensors": "0" * 32}, "base": base}
    content["inputs"]["start"] = {**first, "source": first}
    cases = [case for case in LOCK_KIND.cases(content) if case[0][:2] == ("inputs", "start")]
    assert len(cases) > 200
    file = place / "outputs/run" / LOCK
    before = file.read_bytes()
    file.write_text(hostile.sealed(content))
    try:
        assert accepted(LOCK_KIND, place, random.Random(SEED).sample(cases, 60)) <= 1  # its start is not there
        for path, value in ((("run",), "a\0b"), (("files",), {"../x": "0" * 32}), (("source", "sha256"), "x")):
            crafted(place, hostile.replaced(content, ("inputs", "start", *path), value))
            with pytest.raises(RunError, match="it was not used"):
                finished.open("outputs/run", place, place)
    finally:
        file.write_bytes(before)


def of_a_mixture() -> dict[str, Any]:
    """The lock as that of a run on a mixture, whose snapshot and parts are the ones of the lock."""
    content = copy.deepcopy(LOCKED)
    data, option = content["inputs"]["data"], content["config"]["dataset"]
    asked = {"name": "mixed", "path": "data/mixed", "prepare": None, "params": {}}
    content["config"]["dataset"] = {**option, **asked, "parts": {"sums": {**option, "weight": 2.0}}}
    content["inputs"]["data"] = {**data, "source": {"parts": {"sums": data}}}
    return content


MIXED = of_a_mixture()
PART = ("inputs", "data", "source", "parts", "sums")
OF_PARTS = [
    (path, wrong)
    for path, wrong in LOCK_KIND.cases(MIXED)
    if path[:4] == PART[:4] or path[:3] == ("config", "dataset", "parts")
]


def opened_wrong(place: Path, path: tuple[Any, ...], wrong: str) -> bool:
    """Says whether such a lock is read; every refusal is one message, before and while inputs are looked for."""
    crafted(place, hostile.changed(MIXED, path, wrong))
    try:
        original = finished.open("outputs/run", place, place)
        original.inputs(original.run, make=False)
    except RunError:
        return False
    return True


def test_a_lock_of_a_mixture_is_accepted(place, monkeypatch):
    monkeypatch.setattr(trust, "_trusted", lambda *_: True)  # of the run's rewards, which are not what this is about
    crafted(place, MIXED)
    hostile.open_everything(place)


def refused(place: Path, cases: list[Case]) -> int:
    """How many of the cases of a mixture's lock are refused; nothing is written or deleted by any."""
    before = hostile.state(place)
    found = sum(not opened_wrong(place, path, wrong) for path, wrong in cases)
    assert hostile.state(place) == before
    return found


def test_some_leaves_of_a_mixtures_parts_in_some_wrong_ways(place):
    assert refused(place, random.Random(SEED).sample(OF_PARTS, 40)) > 5


@pytest.mark.long
def test_every_leaf_of_a_mixtures_parts_in_every_wrong_way(place):
    assert len(OF_PARTS) > 300 and refused(place, OF_PARTS) > len(OF_PARTS) / 4


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("md5",), "../../../outside"),
        (("source", "script"), "../evil.py"),
        (("source", "script"), "/tmp/evil.py"),
        (("source", "script_md5"), "/etc"),
        (("rows",), {"train": -1}),
    ],
)
def test_what_leads_out_of_the_project_in_a_part_is_refused_by_name(place, path, value):
    crafted(place, hostile.replaced(MIXED, (*PART, *path), value))
    with pytest.raises(RunError, match=r"inputs.data.source.parts.sums") as caught:
        finished.open("outputs/run", place, place)
    assert "it was not used" in str(caught.value)


def test_a_part_behind_a_link_is_neither_deleted_nor_made(place, monkeypatch):
    monkeypatch.setattr(trust, "_trusted", lambda *_: True)
    content = hostile.replaced(MIXED, (*PART, "path"), "link/outside")
    content["inputs"]["data"] |= {"path": "data/mixed", "md5": "0" * 32 + ".dir"}
    content["inputs"]["data"]["source"]["parts"]["sums"]["md5"] = "0" * 32 + ".dir"
    crafted(place, content)
    original = finished.open("outputs/run", place, place)
    with pytest.raises(RunError, match="link/outside"):
        original.inputs()
    assert (place.parent / "outside/kept.txt").read_text() == "kept" and not (place / "data/mixed").exists()


def test_a_folder_behind_a_link_is_neither_deleted_nor_made(place):
    content = copy.deepcopy(LOCKED)
    content["inputs"]["data"] |= {"path": "link/outside", "md5": "0" * 32 + ".dir"}
    crafted(place, content)
    original = finished.open("outputs/run", place, place)
    with pytest.raises(RunError, match="link/outside"):
        original.inputs()
    assert (place.parent / "outside/kept.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("overrides",), ["seed=1\x1b[2J"]),
        (("config", "method", "loss_type"), "\x1b]0;title\x07"),
        (("versions",), {"torch\x9b31m": "1"}),
        (("inputs", "model", "path"), "models/\x1b[31mtiny"),
    ],
)
def test_a_lock_that_would_steer_the_terminal_is_refused_in_plain_words(place, path, value):
    crafted(place, hostile.replaced(LOCKED, path, value))
    with pytest.raises(RunError, match=r"control characters|which is not a path") as caught:
        finished.open("outputs/run", place, place)
    assert not steers(str(caught.value))
    crafted(place, LOCKED)


def test_a_manifest_steers_no_terminal(place):
    file = place / "outputs/run" / MANIFEST
    before = file.read_text()
    file.write_text(json.dumps({**json.loads(before), "status": "failed", "reason": "a\x1b[2J\x9bb\nc"}))
    row = listed.read(place / "outputs/run", place)
    file.write_text(before)
    assert (row.status, row.reason) == ("failed", "a[2Jb\nc")


def test_of_a_folder_that_a_lock_names_only_the_locks_files_are_read(place, tmp_path, monkeypatch):
    for number in range(20):
        (tmp_path / f"{number:02}.key").write_text(str(number))
    (tmp_path / "config.json").write_text("{}")
    read = []
    monkeypatch.setattr(digest, "file_md5", lambda path: read.append(path.name) or "0" * 32)
    content = copy.deepcopy(LOCKED)
    content["inputs"]["model"] |= {"path": str(tmp_path)}
    content["inputs"]["data"] |= {"path": str(tmp_path)}
    content["inputs"]["model"]["files"] |= {f"{number}.safetensors": "0" * 32 for number in range(30)}
    crafted(place, content)
    with pytest.raises(RunError, match="no snapshot") as caught:
        finished.open("outputs/run", place, place).inputs(make=False)
    assert {*read} <= content["inputs"]["model"]["files"].keys()
    assert str(caught.value).count("  expected ") == 10 and "more" in str(caught.value)
    crafted(place, LOCKED)


def test_check_runs_no_script_and_restores_nothing(place, tmp_path):
    bare = copy_project(tmp_path / "bare")
    shutil.copytree(RUN, bare / "outputs/run")
    before = files(bare)
    done = rlexp(bare, "replay", "outputs/run", "--level", "inputs", "--check")
    assert done.returncode == 2 and "data/arithmetic" in done.stderr and "--check, which runs nothing" in done.stderr
    assert "Traceback" not in done.stderr and files(bare) == before


def test_a_manifest_of_another_shape_is_unreadable_and_no_traceback(place):
    cases = MANIFEST_KIND.cases(MANIFEST_KIND.load(place))
    assert accepted(MANIFEST_KIND, place, cases) < len(cases)
    original = MANIFEST_KIND.load(place)
    for path, wrong in random.Random(SEED).sample(cases, 200):
        (place / "outputs/run" / MANIFEST).write_text(json.dumps(hostile.changed(original, path, wrong)))
        assert isinstance(listed.read(place / "outputs/run", place).status, str)
    (place / "outputs/run" / MANIFEST).write_text(json.dumps(original))


def test_a_snapshot_of_another_shape_is_refused(place):
    cases = SNAPSHOT_KIND.cases(SNAPSHOT_KIND.load(place))
    assert accepted(SNAPSHOT_KIND, place, cases) < len(cases) - 50


def test_pass_rates_of_another_shape_are_refused(place):
    cases = RATES_KIND.cases(RATES_KIND.load(place))
    assert accepted(RATES_KIND, place, cases) < len(cases) / 3


def test_an_identity_that_does_not_belong_to_its_config_is_refused(place):
    content = copy.deepcopy(LOCKED)
    content["config"]["method"]["beta"] = 0.5
    (place / "outputs/run" / LOCK).write_text(yaml.safe_dump({**content, "checksum": checksum(content)}))
    with pytest.raises(RunError) as caught:
        finished.open("outputs/run", place, place)
    assert f"states the identity {content['identity']}" in str(caught.value) and "it was not used" in str(caught.value)


@pytest.mark.parametrize(
    "bomb",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{n}: &{n} [{', '.join([f'*{m}'] * 9)}]\n" for m, n in zip("abcdefghij", "bcdefghijk", strict=True)),
        "a: &a [*a]\n",
        "a: " + "[" * 5000 + "\n",
    ],
    ids=["a billion laughs", "a list that holds itself", "too deep"],
)
def test_yaml_that_grows_or_never_ends_is_refused_at_once(place, bomb):
    (place / "outputs/run" / LOCK).write_text(f"checksum: {'0' * 64}\n{bomb}")
    with pytest.raises(RunError):
        finished.open("outputs/run", place, place)

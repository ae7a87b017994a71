"""The pass rates beside a snapshot, and the rows that dataset.difficulty keeps by them."""

import json
import shutil
from typing import Any

import pytest

from rlexp.backend import dataset
from rlexp.errors import RunError
from rlexp.inputs import difficulty
from rlexp.inputs.digest import file_md5
from rlexp.inputs.find import find_inputs
from rlexp.inputs.hashes import inputs_digest
from rlexp.inputs.prepare import prepare
from rlexp.preflight.difficulty import described, verdict
from rlexp.record import lock
from rlexp.shapes import require
from rlexp.verdict import Level
from tests import pass_rates

SMALL = ("dataset.name=small", "dataset.params.train=16", "dataset.params.test=4", "held_out.rows=4")
PASSED = [0, 1, 2, 3, 4, None, 0, 1, 2, 3, 4, None, 2, 2, 2, 2]


@pytest.fixture(scope="module")
def small(composed, tmp_path_factory):
    """A project with a snapshot of 16 training rows and their rates."""
    from tests.conftest import copy_project

    project = copy_project(tmp_path_factory.mktemp("rates") / "project")
    prepare(composed(*SMALL), project)
    pass_rates.write(project, PASSED, "small")
    return project


@pytest.fixture
def spoiled(small, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(small, tmp_path / "project")


def filtered(composed, bounds, *more):
    return composed(*SMALL, f"dataset.difficulty={bounds}", "method.prompts_per_step=4", *more)


@pytest.mark.parametrize(
    ("bounds", "more", "kept"),
    [
        ("[0.25,0.75]", (), (1, 2, 3, 7, 8, 9, 12, 13, 14, 15)),
        ("[0.5,0.5]", (), (2, 8, 12, 13, 14, 15)),
        ("[0,1]", (), tuple(row for row, passed in enumerate(PASSED) if passed is not None)),
        ("[0.25,0.75]", ("dataset.train_rows=8",), (1, 2, 3, 7)),
    ],
)
def test_the_rows_between_the_bounds_are_trained_on_and_held_out_ones_stay(composed, small, bounds, more, kept):
    run = filtered(composed, bounds, *more)
    inputs = find_inputs(run, small)
    assert inputs.filtered.kept == kept
    every = dataset.load(run, inputs.data, "train", None, ("answer",))
    rows = dataset.load(run, inputs.data, "train", run.dataset.train_rows, ("answer",), inputs.filtered)
    assert rows.to_list() == [every[row] for row in kept]
    assert len(dataset.load(run, inputs.data, "test")) == 4


def test_what_is_kept_is_said_and_that_the_rates_are_of_another_model(composed, small):
    run = filtered(composed, "[0.25,0.75]")
    inputs = find_inputs(run, small)
    assert described(run, inputs) == "10 of 16 train rows: pass rate 0.25 to 0.75 (other, n=4), 2 have none"
    seen = verdict(run, inputs)
    assert seen.level is Level.warning and "not of the model that is trained, tiny" in seen.message
    own = inputs_digest(run, inputs)["model"]["md5"]
    inputs.filtered.description["model"]["md5"] = own
    assert verdict(run, inputs).level is Level.passed
    assert verdict(composed(*SMALL), find_inputs(composed(*SMALL), small)).level is Level.skipped


def test_the_lock_holds_them_by_hash_in_a_shape_that_is_verified(composed, small):
    run = filtered(composed, "[0.25,0.75]")
    digest = inputs_digest(run, find_inputs(run, small))["difficulty"]
    assert digest["path"] == "data/small.difficulty" and (digest["kept"], digest["rows"]) == (10, 16)
    require(digest, difficulty.LOCKED, "lock", small)
    assert "difficulty" not in inputs_digest(composed(*SMALL), find_inputs(composed(*SMALL), small))
    shape = lock.SCHEMA["properties"]["inputs"]
    assert shape["properties"]["difficulty"] is difficulty.LOCKED and "difficulty" not in shape["required"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("path", path) for path in ("/etc", "data/../x.difficulty", "rewards", "data/.x.difficulty", "data/x", 7)),
        *(("md5", value) for value in ("0", "../x", None)),
        *(("files", value) for value in ({"../x": "0" * 32}, {"rates.parquet": "x"}, None)),
        *(("n", value) for value in (0, "8", -1)),
        ("model", "a/b"),
    ],
)
def test_a_lock_of_another_shape_is_refused(composed, small, key, value: Any):
    run = filtered(composed, "[0.25,0.75]")
    digest = inputs_digest(run, find_inputs(run, small))["difficulty"]
    with pytest.raises(RunError, match="it was not used"):
        require({**digest, key: value}, difficulty.LOCKED, "lock", small)


def test_rates_that_are_not_there_are_named_with_what_to_type(composed, spoiled):
    shutil.rmtree(spoiled / "data/small.difficulty")
    with pytest.raises(RunError, match="no pass rates of small") as caught:
        find_inputs(filtered(composed, "[0.25,0.75]"), spoiled)
    assert "python -m rlexp difficulty dataset=small" in caught.value.hint
    shutil.rmtree(spoiled / "data/small")
    with pytest.raises(RunError, match="no pass rates of small"):
        find_inputs(filtered(composed, "[0.25,0.75]"), spoiled)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"snapshot": "1" * 32 + ".dir"}, "another snapshot"),
        ({"rates": {"rows": 17}}, "another snapshot"),
        ({"reward": {"md5": "1" * 32}}, "another version of the reward correct"),
        ({"reward": {"params": {"limit": 3}}}, "another version of the reward correct, or other parameters"),
        ({"reward": {"term": "length"}}, "the reward length, and this run has correct, format"),
    ],
)
def test_rates_of_something_else_are_refused(composed, spoiled, other, what):
    file = spoiled / "data/small.difficulty/difficulty.json"
    content = json.loads(file.read_text())
    for key, value in other.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
    file.write_text(json.dumps(content))
    with pytest.raises(RunError, match=what) as caught:
        find_inputs(filtered(composed, "[0.25,0.75]"), spoiled)
    assert "mv data/small.difficulty data/small.difficulty_old" in caught.value.hint


def test_a_filter_that_leaves_less_than_a_step_is_refused_with_the_histogram(composed, small):
    with pytest.raises(RunError, match=r"none of 16 rows of data/small have a pass rate from 0\.8 to 0\.9") as caught:
        find_inputs(filtered(composed, "[0.8,0.9]"), small)
    assert "0: 2, (0.2, 0.3]: 2, (0.4, 0.5]: 6, (0.7, 0.8]: 2, 1: 2" in caught.value.hint
    with pytest.raises(RunError, match=r"2 of 16 rows .* a step takes 4 different prompts"):
        find_inputs(filtered(composed, "[1,1]"), small)


def test_an_edited_file_and_a_folder_of_something_else_are_no_rates(composed, spoiled):
    folder = spoiled / "data/small.difficulty"
    with (folder / "rates.parquet").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(RunError, match="edited by hand, or damaged"):
        find_inputs(filtered(composed, "[0,1]"), spoiled)
    shutil.rmtree(folder)
    pass_rates.write(spoiled, PASSED, "small")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"none of its own: notes\.txt") as caught:
        find_inputs(filtered(composed, "[0,1]"), spoiled)
    assert "rm data/small.difficulty/notes.txt" in caught.value.hint
    (folder / "notes.txt").unlink()
    (folder / "difficulty.json").unlink()
    with pytest.raises(RunError, match="holds no pass rates"):
        find_inputs(filtered(composed, "[0,1]"), spoiled)


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": ["a"] * 16, "rate": [2.0] * 16, "known": [4] * 16},
        {"prompt": ["a"] * 16, "rate": [float("nan")] * 16, "known": [4] * 16},
        {"prompt": ["a"] * 16, "rate": ["1"] * 16, "known": [4] * 16},
        {"prompt": ["a"] * 3, "rate": [0.5] * 3, "known": [4] * 3},
        {"rate": [0.5] * 16},
    ],
)
def test_what_is_no_rate_is_refused(composed, spoiled, columns):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = spoiled / "data/small.difficulty"
    pq.write_table(pa.table(columns), folder / "rates.parquet")
    content = json.loads((folder / "difficulty.json").read_text())
    content["rates"]["md5"] = file_md5(folder / "rates.parquet")
    (folder / "difficulty.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match="does not hold a pass rate from 0 to 1"):
        find_inputs(filtered(composed, "[0,1]"), spoiled)


def test_the_same_rates_are_the_same_bytes_and_are_never_written_over(small, spoiled):
    folder = spoiled / "data/small.difficulty"
    before = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]
    pass_rates.write(spoiled, [0] * 16, "small")
    assert [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())] == before
    shutil.rmtree(folder)
    pass_rates.write(spoiled, PASSED, "small")
    assert [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())] == before

"""A mixture as a snapshot: what is in it, what is refused, and how often each row is trained on."""

import json
import shutil

import pytest

from rlexp.backend import dataset
from rlexp.cli.plan_data import parts, rows
from rlexp.compose.places import Places
from rlexp.compose.points import points
from rlexp.compose.schema import Dataset, DatasetType, Part
from rlexp.errors import RunError
from rlexp.inputs import mixture, snapshot
from rlexp.inputs.difficulty import Filter
from rlexp.inputs.find import find_inputs
from rlexp.inputs.hashes import files_of, inputs_digest
from rlexp.inputs.prepare import prepare
from rlexp.inputs.requests import _params, _sources
from rlexp.reward import gold
from rlexp.reward.trial import data_rows
from tests.conftest import copy_project

BOTH = "dataset=arithmetic+chain_sum"
SMALL = (
    *(BOTH, "dataset.parts.arithmetic.params.train=40", "dataset.parts.arithmetic.params.test=4"),
    *("dataset.parts.chain_sum.params.train=20", "dataset.parts.chain_sum.params.test=8"),
)


@pytest.fixture(scope="module")
def made(composed, tmp_path_factory):
    """A project in which the small mixture lies, for tests that leave it as it is."""
    project = copy_project(tmp_path_factory.mktemp("made") / "project")
    prepare(composed(*SMALL), project)
    return project


def written(folder, name, train, test=None):
    path = snapshot.write({"train": train, **({"test": test} if test else {})}, folder / name, name, {})
    return path, snapshot.digest(f"data/{name}", path)


def mixed(folder, **rows_of):
    mixture.write({name: written(folder, name, *splits) for name, splits in rows_of.items()}, folder / "mix")
    return folder / "mix"


def test_every_row_is_in_it_in_turn_with_its_source_and_null_where_a_part_has_no_such_column(tmp_path):
    place = mixed(
        tmp_path,
        b=([{"prompt": "b0", "level": 1}], [{"prompt": "b", "level": 2}]),
        a=([{"prompt": f"a{n}", "answer": "x"} for n in range(3)],),
    )
    assert snapshot.read(place / "train.parquet").to_pylist() == [
        {"prompt": "a0", "answer": "x", "level": None, "source": "a"},
        {"prompt": "b0", "answer": None, "level": 1, "source": "b"},
        {"prompt": "a1", "answer": "x", "level": None, "source": "a"},
        {"prompt": "a2", "answer": "x", "level": None, "source": "a"},
    ]
    found = snapshot.describe(place)
    assert {name: split["rows"] for name, split in found["splits"].items()} == {"train": 4, "test": 1}
    made = found["source"]["parts"]
    assert list(made) == ["a", "b"] and made["b"]["rows"] == {"train": 1, "test": 1}
    assert made["a"] == snapshot.digest("data/a", tmp_path / "a")


def test_messages_with_and_without_more_keys_are_one_type(tmp_path):
    def turn(**more):
        return [{"role": "user", "content": "2 + 2?", **more}]

    place = mixed(tmp_path, a=([{"prompt": turn()}],), b=([{"prompt": turn(name="ann")}],))
    read = [row["prompt"][0] for row in snapshot.read(place / "train.parquet").to_pylist()]
    assert [message["name"] for message in read] == [None, "ann"]


@pytest.mark.parametrize(
    ("one", "two", "what"),
    [
        ({"answer": "4"}, {"answer": 4}, "the column answer is of several types: a: text; b: whole numbers"),
        ({"answer": 4}, {"answer": 4.5}, "the column answer is of several types: a: whole numbers; b: numbers"),
        (
            {"prompt": [{"role": "user", "content": "x"}]},
            {},
            "the column prompt is of several types: a: messages; b: text",
        ),
        ({"source": "book"}, {}, "a has a column source"),
    ],
)
def test_columns_that_cannot_stand_in_one_are_refused_by_name(tmp_path, one, two, what):
    with pytest.raises(RunError) as caught:
        mixed(tmp_path, a=([{"prompt": "p", **one}],), b=([{"prompt": "p", **two}],))
    assert what in caught.value.what and caught.value.hint
    assert not (tmp_path / "mix").exists()


def test_a_column_without_a_value_goes_with_any_other(tmp_path):
    place = mixed(tmp_path, a=([{"prompt": "p", "answer": None}],), b=([{"prompt": "p", "answer": 4}],))
    assert [row["answer"] for row in snapshot.read(place / "train.parquet").to_pylist()] == [None, 4]


@pytest.mark.parametrize(
    ("weight", "train_rows", "times"),
    [(1.0, None, [1] * 8), (2.0, None, [2] * 8), (1.0, 3, [1, 1, 1]), (2.0, 3, [2, 2, 2])],
)
def test_a_whole_weight_takes_every_row_so_often(weight, train_rows, times):
    data = Dataset(parts={"a": Part(weight=weight, train_rows=train_rows), "b": Part()})
    numbers = mixture.trained(data, ["a", "b"] * 8, seed=0)
    counted = [numbers.count(number) for number in range(0, 16, 2)]
    assert counted == times + [0] * (8 - len(times))
    assert [numbers.count(number) for number in range(1, 16, 2)] == [1] * 8


@pytest.mark.parametrize(("weight", "once_more"), [(0.5, 4), (0.25, 2), (2.5, 4), (0.01, 1), (1.01, 0)])
def test_a_fraction_takes_as_many_rows_drawn_by_the_seed(weight, once_more):
    data = Dataset(parts={"a": Part(weight=weight)})
    counted = [mixture.trained(data, ["a"] * 8, seed=3).count(number) for number in range(8)]
    assert sorted(counted) == [int(weight)] * (8 - once_more) + [int(weight) + 1] * once_more
    assert mixture.trained(data, ["a"] * 8, seed=3) == mixture.trained(data, ["a"] * 8, seed=3)
    description = {"source": {"parts": {"a": {"rows": {"train": 8}}}}, "splits": {"train": {"rows": 8}}}
    assert mixture.train_rows(data, description) == sum(counted)


def test_weights_count_the_rows_that_the_pass_rates_left(tmp_path):
    data = Dataset(parts={"a": Part(weight=2), "b": Part(weight=0.5)})
    description = {
        "source": {"parts": {name: {"rows": {"train": 8}} for name in "ab"}},
        "splits": {"train": {"rows": 16}},
    }
    kept = Filter(tmp_path, {}, 16, tuple(range(7)), 0, {"a": 3, "b": 4})
    assert mixture.rows_by_source(data, description, kept) == {"a": 6, "b": 2}
    assert mixture.train_rows(data, description, kept) == 8 == len(mixture.trained(data, ["a"] * 3 + ["b"] * 4, 0))
    assert mixture.train_rows(Dataset(), description, kept) == 7


def test_a_mixture_is_no_part_of_another(made):
    option = "defaults: [arithmetic@parts.arithmetic, _self_]\nname: mine\ntype: prompt_only\n"
    (made / "conf/dataset/mine.yaml").write_text(option)
    assert points(made / "conf", ["dataset=mine"], multirun=False)[0].run.dataset.parts.keys() == {"arithmetic"}
    with pytest.raises(RunError, match="mine is a mixture itself") as caught:
        points(made / "conf", ["dataset=mine+gcd"], multirun=False)
    assert "name the parts of mine in its place" in caught.value.hint


def test_another_seed_draws_other_rows():
    data = Dataset(parts={"a": Part(weight=0.5)})
    assert mixture.trained(data, ["a"] * 40, seed=3) != mixture.trained(data, ["a"] * 40, seed=4)


def test_all_rows_come_once_before_one_comes_twice():
    data = Dataset(parts={"a": Part(weight=2), "b": Part(weight=0.5)})
    assert mixture.trained(data, ["a", "b", "a", "b"], seed=0) in ([0, 1, 2, 0, 2], [0, 2, 3, 0, 2])


def test_a_run_on_a_mixture_finds_makes_plans_locks_and_loads_it(composed, project):
    run = composed(*SMALL, "dataset.parts.chain_sum.weight=0.5").at(project)
    missing = find_inputs(run, project)
    assert missing.description is None and {name: path.stem for name, path in missing.parts.items()} == {
        "arithmetic": "arithmetic",
        "chain_sum": "reasoning_gym_task",
    }
    assert "it is made of data/arithmetic, data/chain_sum first" in dict(rows(run, missing))["dataset"]
    inputs = prepare(run, project)
    assert inputs.parts == {} and inputs.data == project / "data/arithmetic+chain_sum"
    assert dict(rows(run, inputs))["trained on"] == "40 arithmetic, 10 chain_sum (weight 0.5): 50 rows"
    assert parts(run, inputs)["chain_sum"]["train_rows"] == 10
    train, test = (dataset.load(run, inputs.data, split, 12, ("answer",)) for split in ("train", "test"))
    assert len(train) == 12 and {"source", "answer"} <= set(train.column_names)
    assert list(test["source"]) == ["arithmetic", "chain_sum"] * 4 + ["chain_sum"] * 4
    assert list(dataset.load(run, inputs.data, "train")["source"]).count("chain_sum") == 10
    found = inputs_digest(run, inputs)
    scripts = {"data_prep/arithmetic.py", "data_prep/reasoning_gym_task.py"}
    assert scripts <= files_of(run, inputs, found).keys()
    locked = found["data"]["source"]["parts"]
    assert locked["arithmetic"] == snapshot.digest("data/arithmetic", project / "data/arithmetic")
    # Without the parts' folders it is still known of what it is made.
    shutil.rmtree(project / "data/arithmetic")
    assert inputs_digest(run, find_inputs(run, project)) == found
    with pytest.raises(RunError, match=r"arithmetic: it was made with train=40, asked is 41"):
        find_inputs(composed(*SMALL, "dataset.parts.arithmetic.params.train=41"), project)


@pytest.mark.parametrize(
    ("overrides", "what", "hint"),
    [
        (["dataset.parts.chain_sum.params.train=21"], "made with train=20, asked is 21", "chain_sum.name=chain_sum_2"),
        (["dataset.parts.chain_sum.name=other"], "those of data/chain_sum, asked is data/other", "dataset.name=arithm"),
        (["dataset=arithmetic+gcd", "dataset.name=arithmetic+chain_sum"], "asked is arithmetic and gcd", "_2 as well"),
        (
            ["dataset.parts.chain_sum.train_rows=99"],
            "train_rows is 99, and data/chain_sum has 20",
            "leave dataset.parts",
        ),
        (["dataset.train_rows=61"], "train_rows is 61, and data/arithmetic+chain_sum has 60", "leave dataset.train"),
        (["dataset.parts.chain_sum.params.train=x"], "reasoning_gym_task.py takes int", "chain_sum.params.train=10"),
        (["dataset.parts.arithmetic.params.foo=1"], "not foo", "leave dataset.parts.arithmetic.params.foo out"),
    ],
)
def test_a_mixture_of_other_parts_is_refused(composed, made, overrides, what, hint):
    base = [one for one in SMALL if "dataset=arithmetic+gcd" not in overrides or "chain_sum" not in one]
    with pytest.raises(RunError) as caught:
        find_inputs(composed(*base, *overrides), made)
    assert what in caught.value.what and hint in caught.value.hint


def test_a_part_or_a_mixture_that_was_edited_is_named(composed, project):
    run = composed(*SMALL)
    prepare(run, project)
    for name in ("chain_sum", "arithmetic+chain_sum"):
        file = project / "data" / name / "train.parquet"
        kept = file.read_bytes()
        file.write_bytes(kept + b" ")
        with pytest.raises(RunError, match="is not the file that was written") as caught:
            find_inputs(run, project)
        assert f"mv data/{name} data/{name}_edited" in caught.value.hint
        file.write_bytes(kept)
    shutil.rmtree(project / "data/chain_sum")
    rows_of = [{"prompt": [{"role": "user", "content": "x"}]}]
    snapshot.write(
        {"train": rows_of},
        project / "data/chain_sum",
        "other rows",
        {"params": run.config()["dataset"]["parts"]["chain_sum"]["params"]},
    )
    with pytest.raises(RunError, match="data/chain_sum is another snapshot than the one that it was made of"):
        find_inputs(run, project)


def test_gold_completions_are_those_of_a_rows_part(composed, made):
    run = composed(*SMALL, 'dataset.gold="#### {answer}"')
    found = data_rows(prepare(run, made).data, 2)
    texts = gold.completions(found, gold.templates(run.dataset, found))
    assert texts[0].startswith("<think>") and texts[1] == f"#### {found[1]['answer']}"


def test_rows_without_a_template_and_without_an_answer_are_not_judged():
    data = Dataset(parts={"a": Part(gold="yes"), "b": Part()})
    three = [{"source": "a", "answer": None}, {"source": "b", "answer": None}, {"source": "b", "answer": "4"}]
    assert gold.judged(data, three) == [three[0], three[2]]
    assert gold.judged(Dataset(gold="{x}"), three) == three and gold.judged(Dataset(), [{"prompt": "p"}]) == []


def test_a_method_that_does_not_sample_is_given_no_column_source_to_train_on(composed):
    run = composed("method=dpo", "dataset=arithmetic_preferences")
    several = Dataset(type=DatasetType.preference, parts={"a": Part()})
    online = composed(BOTH)
    assert dataset.source_column(run, "test") == []  # a column of that name in one data set is nobody's business
    assert dataset.source_column(online, "train") == dataset.source_column(online, "test") == ["source"]
    object.__setattr__(run := composed("method=dpo", "dataset=arithmetic_preferences", "seed=5"), "dataset", several)
    assert dataset.source_column(run, "train") == [] and dataset.source_column(run, "test") == ["source"]


def test_parameters_in_the_parts_of_a_strangers_lock_are_requests(composed, root):
    run = composed(BOTH, "dataset.parts.chain_sum.params.task=/etc/passwd")
    source = {
        "parts": {
            "x": {
                "path": "data/x",
                "md5": "0" * 32,
                "source": {"script": "data_prep/local.py", "params": {"file": "/etc/passwd"}},
            }
        }
    }
    asks = list(_params(run.config(), _sources(source), Places.of(root)))
    assert "dataset.parts.chain_sum.params.task" in asks and "inputs.data.source.parts.x.source.params.file" in asks
    assert json.dumps(list(_params(composed(BOTH).config(), _sources({}), Places.of(root)))) == "[]"

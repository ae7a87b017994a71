"""``dataset=a+b`` as it is composed: each part in its own package, what is refused, what its identity is of."""

import pytest

from rlexp.compose.identity import experiment
from rlexp.compose.points import points
from rlexp.errors import RunError
from rlexp.record.lock import identity

BOTH = "dataset=arithmetic+chain_sum"
FIRST = "dataset.parts.arithmetic"


def test_the_parts_stay_apart_in_whatever_order_they_are_typed(composed):
    run = composed("dataset=chain_sum+arithmetic", f"{FIRST}.params.train=100", f"{FIRST}.weight=2")
    assert run == composed(BOTH, f"{FIRST}.params.train=100", f"{FIRST}.weight=2")
    data = run.dataset
    assert (data.name, data.path, data.type.name) == (
        "arithmetic+chain_sum",
        "data/arithmetic+chain_sum",
        "prompt_only",
    )
    assert [(part.path, part.prepare, part.weight) for part in data.parts.values()] == [
        ("data/arithmetic", "arithmetic", 2.0),
        ("data/chain_sum", "reasoning_gym_task", 1.0),
    ]
    assert data.parts["arithmetic"].params["train"] == 100 and data.parts["chain_sum"].params["train"] == 1000
    assert data.params == {} and data.golds == [composed().dataset.gold]


def test_a_sweep_takes_one_data_set_and_several(root):
    made = points(root / "conf", ["dataset=arithmetic,arithmetic+gcd,chain_sum+gcd"], multirun=True)
    assert [point.run.dataset.name for point in made] == ["arithmetic", "arithmetic+gcd", "chain_sum+gcd"]


@pytest.mark.parametrize(
    ("overrides", "what", "hint"),
    [
        (["dataset=gcd+gcd"], "dataset=gcd+gcd names gcd twice", "dataset=gcd"),
        (["dataset=gcd+chain_sums"], "no dataset named 'chain_sums'", "did you mean dataset=gcd+chain_sum?"),
        (
            ["dataset=gcd+arithmetic_judged"],
            "arithmetic_judged is unpaired_preference data, gcd is prompt_only",
            "leave out",
        ),
        ([BOTH, "dataset.type=preference"], "and dataset.type is preference", "leave dataset.type out"),
        ([BOTH, "dataset.params.train=9"], "dataset.params.train is of one data set", f"{FIRST}.params.train=VALUE"),
        ([BOTH, "dataset.prepare=gcd"], "dataset.prepare is of one data set", f"{FIRST}.prepare=VALUE"),
        ([BOTH, "dataset.parts.chain_sum.name=arithmetic"], "the same folder, data/arithmetic", "chain_sum_2"),
        ([BOTH, "dataset.name=arithmetic"], "the mixture and arithmetic have the same folder", "arithmetic_2"),
        ([BOTH, f"{FIRST}.weight=0"], "weight is 0.0", "from 0.001 to 1000"),
        ([BOTH, f"{FIRST}.weight=-1"], "weight is -1.0", "from 0.001 to 1000"),
        ([BOTH, f"{FIRST}.wight=2"], f"no key {FIRST}.wight", f"did you mean {FIRST}.weight?"),
        (["dataset=gcd+hub:org/sums@main"], "hub:org/sums@main is an id or a file", "--save-as=conf/dataset/sums.yaml"),
        (["dataset=hub:org/sums+gcd"], "hub:org/sums is an id or a file", "then type dataset=sums+gcd"),
        (["dataset=gcd+./sums.csv"], "./sums.csv is an id or a file", "plan dataset=./sums.csv --save-as="),
    ],
)
def test_a_mistake_is_one_message_with_what_to_type(root, overrides, what, hint):
    with pytest.raises(RunError) as caught:
        points(root / "conf", overrides, multirun=False)
    assert what in caught.value.what and hint in caught.value.hint


def test_a_parameter_that_an_option_does_not_state_can_be_typed_as_for_one_data_set(composed):
    run = composed("dataset=gcd+chain_sum", "dataset.parts.gcd.params.max_value=9")
    assert run.dataset.parts["gcd"].params["max_value"] == 9


def test_the_identity_is_of_parts_and_weights_and_not_of_gold_completions(composed):
    assert "parts" not in experiment(composed().config())["dataset"]
    both = identity(composed(BOTH))
    assert both != identity(composed())
    assert both != identity(composed(BOTH, f"{FIRST}.weight=2"))
    assert both == identity(composed("dataset=chain_sum+arithmetic", f"{FIRST}.gold=x", "dataset.gold=y"))
    assert "gold" in composed(BOTH).config()["dataset"]["parts"]["arithmetic"]

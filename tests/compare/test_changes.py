"""What changed between two runs, on locks made by hand."""

import functools
import json
import subprocess

import pytest

from rlexp.cli.diff import big_variables, changes, held_out, verdict
from rlexp.compare.same_code import same_code
from rlexp.record.finished import FinishedRun
from tests.conftest import rlexp
from tests.record.made import locked, manifest, md5, write

GRPO, DPO = (), ("method=dpo", "dataset=arithmetic_preferences")


@pytest.fixture(scope="module")
def composed(composed):
    """Composes each run once: that is what takes long here."""
    return functools.cache(composed)


@pytest.fixture
def pair(composed, tmp_path):
    """Two runs of the given overrides, the second one's lock and manifest edited."""

    def make(a, b, edit=lambda lock, facts: None):
        runs = []
        for name, overrides in (("a", a), ("b", b)):
            lock, facts = locked(composed(*overrides), *overrides), manifest()
            if name == "b":
                edit(lock, facts)
            (tmp_path / name).mkdir()
            runs.append(FinishedRun(tmp_path / name, lock, facts, tmp_path))
        return runs

    return make


def put(path, value):
    """An edit of one value of the lock: ``inputs/rewards/correct/md5``."""

    def edit(lock, facts):
        *parents, name = path.split("/")
        for parent in parents:
            lock = lock[parent]
        lock[name] = value

    return edit


def keys(found):
    return [change.key for change in found]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (["method.beta=0"], ["method.beta=0.04"], ["method.beta"]),
        (["seed=0"], ["seed=1"], []),
        ([], ["reward=format+correct+length"], ["reward.length"]),
        ([], ["reward.terms.correct.weight=2"], ["reward.correct"]),
        ([], ["dataset.train_rows=100"], ["data"]),
        ([], ["model.lora.r=8", "model.full_finetuning=true"], ["model"]),
        ([], ["model=smollm2_135m"], ["model"]),
        ([], ["model=smollm2_135m", "method.learning_rate=1e-5"], ["model", "method.learning_rate"]),
        ([], ["method=rloo"], ["method"]),
        ([], DPO, ["data", "method"]),
        ([], ["model.system_prompt=Think."], ["template"]),
        ([], ["model.max_completion_length=16"], ["model"]),
        ([], ["model.learning_rate.grpo=1e-5"], ["model"]),
        ([], ["model.learning_rate.dpo=1e-5"], []),
        ([], ["hardware.sequences_per_device=8", "held_out.rows=16", "tracking=tensorboard"], []),
        ([], ["method.logging_steps=5", "method.save_steps=9"], []),
        (DPO, [*DPO, "reward=format"], []),  # dpo trains on pairs, the reward only scores held-out rows
        ([], ["method.beta=0.04", "method.temperature=0.7"], ["method.beta", "method.temperature"]),
    ],
)
def test_only_what_could_change_what_is_learned_is_a_big_variable(pair, a, b, expected):
    assert big_variables(changes(*pair(a, b))) == expected


@pytest.mark.parametrize(
    ("edit", "key", "risk", "big"),
    [
        (put("inputs/rewards/correct/md5", md5("other")), "reward.terms.correct.code", "high", "reward.correct"),
        (put("inputs/data/md5", md5("other")), "dataset.snapshot", "high", "data"),
        (put("inputs/model/files/chat_template.jinja", md5("x")), "model.file.chat_template.jinja", "high", "model"),
        (put("inputs/model/files/tokenizer.json", md5("x")), "model.file.tokenizer.json", "high", "model"),
        (put("chat_template_sha256", md5("other")), "template", "high", "template"),
        (put("versions/trl", "1.16.0"), "software.trl", "medium", "software"),
        (put("versions/pyarrow", "27.0.0"), "software.pyarrow", "low", None),
        (put("machine/threads", 8), "machine.threads", "low", None),
        (put("config/model/path", "elsewhere/tiny"), "model.path", "low", None),  # the same files by hash
        (put("config/dataset/prepare", "other"), "dataset.prepare", "low", None),  # the same rows by hash
        (lambda lock, facts: facts.update(git={"sha": "0" * 40}), "code.commit", "medium", "code"),
        (lambda lock, facts: facts.update(git={}), "code.commit", "low", None),  # not known is not different
    ],
)
def test_a_difference_is_named_with_its_risk(pair, edit, key, risk, big):
    found = changes(*pair(GRPO, GRPO, edit))
    assert [(change.key, change.risk, change.variable or None) for change in found] == [(key, risk, big)]


def test_neither_overrides_nor_the_fresh_adapter_nor_timings_are_differences(pair):
    def edit(lock, facts):
        lock |= {"overrides": ["seed=0"], "fresh_adapter_sha256": md5("other"), "checksum": "other"}
        facts |= {"timings_s": {"total": 99.0}, "started": "2027-01-01T00:00:00+00:00"}

    assert changes(*pair(GRPO, GRPO, edit)) == []


def test_what_follows_the_model_is_shown_and_not_counted(pair):
    found = changes(*pair([], ["model=smollm2_135m"]))
    follows = {change.key: change.follows for change in found if change.follows}
    assert follows == {
        "method.learning_rate": "model",
        "method.max_completion_length": "model",
        "held_out.max_new_tokens": "model",
        "model.system_prompt": "model",
        "template": "model",
    }


def test_a_reward_parameter_that_follows_the_model_is_not_counted(pair):
    found = changes(*pair(["reward=length"], ["reward=length", "model=smollm2_135m"]))
    assert [(c.key, c.follows) for c in found if c.area == "reward"] == [("reward.terms.length.params.limit", "model")]


def test_another_method_is_one_line_for_the_arguments_that_only_one_has(pair):
    found = changes(*pair(GRPO, DPO))
    assert {"arguments of grpo only", "arguments of dpo only"} < set(keys(found))
    assert "method.num_generations" not in keys(found)
    assert next(change for change in found if change.key == "method.beta").follows == "method"


def test_an_argument_that_a_newer_trl_brought_follows_the_software(pair):
    def edit(lock, facts):
        lock["versions"]["trl"] = "1.16.0"
        lock["config"]["method"]["brand_new"] = None

    found = changes(*pair(GRPO, GRPO, edit))
    assert [(change.key, change.follows) for change in found] == [
        ("software.trl", ""),
        ("method.brand_new", "software"),
    ]


def test_other_code_under_the_same_version_is_said(pair):
    found = changes(*pair(GRPO, GRPO, put("inputs/rewards/correct/md5", md5("other"))))
    assert "same version" in found[0].note and found[0].a.startswith("v1 ")


@pytest.mark.parametrize(
    ("a", "b", "start", "words"),
    [
        ([], [], "nothing changed", ["same experiment"]),
        (["seed=0"], ["seed=1"], "no variable changed", ["only: seed", "another"]),
        ([], ["held_out.rows=4"], "no variable changed", ["only: other", "identity is the same"]),
        ([], ["method.beta=0.04"], "one variable changed: method.beta;", ["its doing, or the seed's"]),
        ([], ["method.beta=0.04", "seed=1"], "one variable changed: method.beta;", ["the seed differs too"]),
        ([], ["model.lora.r=8"], "one variable changed: model (lora.r);", []),
        ([], ["reward.terms.correct.weight=2"], "one variable changed: reward.correct (weight);", []),
        ([], ["reward=format"], "one variable changed: reward.correct (removed);", []),
        ([], ["method.beta=0.04", "model=smollm2_135m"], "warning: 2 variables", ["model, method.beta", "one a round"]),
    ],
)
def test_the_verdict_says_whether_it_was_one_thing(pair, a, b, start, words):
    one, two = pair(a, b)
    said = verdict(changes(one, two), one.lock["identity"] == two.lock["identity"])
    assert said.startswith(start), said
    assert all(word in said for word in words), said


def test_held_out_numbers_that_were_measured_differently_are_marked(pair):
    one, two = pair([], ["held_out.rows=4"])
    assert held_out(one, two, []) == "held-out reward  A 0.800 -> 1.600 ± 0.098  B 0.800 -> 1.600 ± 0.098"
    assert held_out(one, two, changes(one, two)).endswith("(measured differently: held_out.rows)")
    two.manifest["held_out"] = {"loss": {"before": 2.0, "after": 1.0}}
    assert held_out(one, two, []).endswith("(not comparable)")
    del two.manifest["held_out"]
    assert held_out(one, two, []) == ""


def test_the_code_is_the_same_before_and_after_the_commit_of_a_patch(tmp_path, pair):
    repository = tmp_path / "project"

    def git(*arguments):
        command = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def commit(name, text):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
        git("add", ".")
        git("commit", "-qm", name)
        return {"sha": git("rev-parse", "HEAD").strip()}

    repository.mkdir()
    git("init", "-q")
    first = commit("src/code.py", "one\n")
    (repository / "src/code.py").write_text("two\n")
    patch = git("diff", "HEAD", "--binary")
    second = commit("src/code.py", "two\n")
    third = commit("rewards/correct.py", "three\n")
    before = git("count-objects", "-v")
    a, b = pair(GRPO, GRPO)
    a.manifest["git"] = first
    for commit_of_b, same in ((first, True), (second, False), (third, False), ({"sha": "0" * 40}, None), ({}, None)):
        b.manifest["git"] = commit_of_b
        assert same_code(a, b, repository) is same
    (a.run_dir / "code.patch").write_text(patch)
    for commit_of_b, same in ((first, False), (second, True), (third, True)):
        b.manifest["git"] = commit_of_b
        assert same_code(a, b, repository) is same
    assert big_variables(changes(a, b, same_code=True)) == []
    assert big_variables(changes(a, b, same_code=None)) == ["code"]
    assert git("count-objects", "-v") == before


def test_the_command_line_prints_a_table_or_json(project, composed):
    for name, overrides in (
        ("a", ["method.beta=0"]),
        ("b", ["method.beta=0.04", "model.lora.target_modules=[q_proj]"]),
    ):
        write(project / "outputs" / name, locked(composed(*overrides), *overrides))
    done = rlexp(project, "diff", "outputs/a", "outputs/b/run.lock.yaml")
    assert done.returncode == 0, done.stderr
    assert "[q_proj]" in done.stdout and "medium  method.beta" in done.stdout and "warning: 2 variables" in done.stdout
    assert "held-out reward  A 0.800 -> 1.600" in done.stdout
    answer = json.loads(rlexp(project, "diff", "outputs/a", "outputs/b", "--json").stdout)
    assert (answer["a"], answer["b"], answer["same_identity"]) == ("outputs/a", "outputs/b", False)
    assert answer["big_variables"] == ["model", "method.beta"]
    beta = {"area": "method", "key": "method.beta", "a": 0.0, "b": 0.04, "risk": "medium", "big": True}
    assert beta.items() <= answer["changes"][1].items()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["outputs/a", "outputs/bb"], "did you mean outputs/b?"),
        (["outputs/a"], "required: B"),
        (["outputs/a", "broken"], "the manifest cannot be read"),
    ],
)
def test_a_mistake_is_one_message(project, composed, arguments, what):
    for name in ("outputs/a", "outputs/b", "broken"):
        write(project / name, locked(composed()))
    (project / "broken/manifest.json").write_text("{")
    done = rlexp(project, "diff", *arguments)
    assert done.returncode == 2 and what in done.stderr and "Traceback" not in done.stderr

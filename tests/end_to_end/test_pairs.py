"""Pairs, a judge and an endpoint through the real command line: a short DPO run against its base and against a URL."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from rlexp.inputs import snapshot
from tests.conftest import copy_project, rlexp
from tests.endpoints import serving

pytestmark = pytest.mark.end_to_end
SHORT = ("method.max_steps=8", "held_out.rows=8", "held_out.samples=0", "preflight.smoke=never")
ASKED = ("eval=sums_pairs", "eval.sums_pairs.judge=mine", "eval.rows=20", "eval.sums_pairs.max_new_tokens=24")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a short DPO run, outputs/dpo."""
    project = copy_project(tmp_path_factory.mktemp("pairs") / "project")
    trained = rlexp(project, "experiment=sums_dpo", *SHORT, "hydra.run.dir=outputs/dpo")
    assert trained.returncode == 0, trained.stderr
    return project


@pytest.fixture
def server(project, monkeypatch):
    """An endpoint that answers sums, and judges: the answer that begins with a tag is better."""
    with serving(monkeypatch) as server:

        def says(number, body):
            content = body["messages"][-1]["content"]
            if "<answer_a>" not in content:
                return {
                    "choices": [{"message": {"content": "<think>no idea</think>"}, "finish_reason": "stop"}],
                    "usage": {"completion_tokens": 5},
                }
            a, b = (re.search(rf"<answer_{x}>\n(.*?)\n</answer_{x}>", content, re.S)[1] for x in "ab")
            better = [name for name, text in (("A", a), ("B", b)) if text.startswith("<think>")]
            return f"Better: {better[0] if len(better) == 1 else 'tie'}"

        server.says = says
        params = {"base_url": server.url, "model": "m", "cache_folder": str(project / "replies")}
        option = {"defaults": ["preferred", "_self_"], "terms": {"preferred": {"params": params}}}
        (project / "conf/reward/mine.yaml").write_text(yaml.safe_dump(option, sort_keys=False))
        yield server


def test_a_dpo_run_prefers_the_right_answers_and_is_judged_against_its_base(project, server):
    words = ("evaluate", "outputs/dpo", server.url, *ASKED, "--json")
    done = rlexp(project, *words)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    found, url = answer["results"]["sums_pairs"], f"{server.url}#m"
    base, run, remote = found["base"], found["outputs/dpo"], found[url]
    assert run["accuracy"]["mean"] > base["accuracy"]["mean"] and run["margin"]["mean"] > base["margin"]["mean"]
    assert base["accuracy"]["prompts"] == 20 and "win_rate" not in base and "accuracy" not in remote
    assert {one["metric"] for one in answer["differences"]["sums_pairs"] if one["claimed"]} == {"accuracy"}
    # The judge is fair: both orders agree, and what it says follows from the stored answers.
    tables = {
        name: snapshot.read(project / "outputs/dpo/evaluation" / one["file"])
        for name, one in answer["samples"]["sums_pairs"].items()
    }
    tagged = {n: [t.startswith("<think>") for t in table["own.completion"].to_pylist()] for n, table in tables.items()}
    for name, of in ((url, remote), ("outputs/dpo", run)):
        wins = [(own - other + 1) / 2 for own, other in zip(tagged[name], tagged["base"], strict=True)]
        assert of["win_rate"]["mean"] == pytest.approx(sum(wins) / 20) and of["judge_agrees"]["mean"] == 1.0
    assert remote["win_rate"]["mean"] > 0.5 and remote["tokens"]["mean"] == 5

    folder = project / "outputs/dpo/evaluation"
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    record = (project / answer["file"]).read_bytes()
    again = rlexp(project, *words, "--again")
    assert again.returncode == 0, again.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} == before
    assert (project / answer["file"]).read_bytes() == record


def test_an_endpoint_alone_needs_no_model_here(project, server, tmp_path):
    bare = copy_project(tmp_path / "bare")
    for path in (bare / "models/tiny").iterdir():
        path.unlink()
    (bare / "models/tiny").rmdir()
    done = rlexp(bare, "evaluate", server.url, "eval=sums", "eval.rows=6", "eval.samples=1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"]["sums"][f"{server.url}#m"]["accuracy"]["mean"] == 0.0
    assert not (bare / "models/tiny").exists()
    refused = rlexp(bare, "evaluate", "http://127.0.0.1:9/v1", "eval=sums")
    assert refused.returncode == 2 and "the endpoint does not answer" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.long
def test_a_preference_run_is_measured_on_its_own_pairs_too_and_an_open_judge_is_one_message(project):
    done = rlexp(project, "evaluate", "outputs/dpo", "eval.rows=6", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["results"]) == {"held_out", "held_out_pairs"}
    refused = rlexp(project, "evaluate", "outputs/dpo", "eval=held_out_pairs", "eval.held_out_pairs.judge=preferred")
    assert refused.returncode == 2 and "leaves reward.terms.preferred.params.model open" in refused.stderr

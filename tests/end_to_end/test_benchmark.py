"""``benchmark`` through the command line: what it answers, what it keeps, and an artifact that dies."""

import json
import shutil

import pytest

from tests.conftest import copy_project, rlexp

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]
SHORT = ("method.max_steps=2", "held_out.rows=4", "held_out.samples=0", "preflight.smoke=never")
LINE = (
    "benchmark",
    "outputs/a",
    "eval.rows=2",
    "eval.held_out.max_new_tokens=8",
    "--requests",
    "2",
    "--seconds",
    "0.1",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a run and its merged model."""
    project = copy_project(tmp_path_factory.mktemp("benchmark") / "project")
    for line in (
        ("hydra.run.dir=outputs/a", *SHORT),
        ("export", "outputs/a", "export.gate.rows=2", "export.gate.tokens=8"),
    ):
        done = rlexp(project, *line, timeout=600)
        assert done.returncode == 0, done.stderr
    return project


def test_every_part_is_measured_and_kept_and_an_artifact_that_dies_is_a_row(project):
    done = rlexp(project, *LINE, "--json", timeout=600)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    one = said["artifacts"]["merged"]
    assert [level["together"] for level in one["levels"]] == [1, 4] and one["levels"][0]["requests"] == 2
    assert 0 < one["load"]["imports_s"] < one["load"]["seconds"] and one["peak_gib"] > 0.05
    assert one["repeated"]["alone"] == 1.0 and set(one["odd"]["empty"]) == {"outcome", "why"}
    assert one["rate"]["trials"] and one["score"]["samples"] == 4 and "4" in one["score"]["pass_hat"]
    assert one["died"] is None and said["settings"]["max_new_tokens"] == 8

    _broken(project / "exports/a")
    done = rlexp(project, *LINE, "--json", timeout=600)
    again = json.loads(done.stdout)["artifacts"]
    assert done.returncode == 1 and again["merged"] == one  # as it was kept
    assert again["onnx-int8"]["died"]["part"] == "loading" and "onnxruntime-genai" in again["onnx-int8"]["died"]["why"]
    done = rlexp(project, *LINE, "export=onnx", timeout=600)
    assert done.returncode == 1 and "onnx-int8 died at loading: " in done.stdout and "Traceback" not in done.stderr
    kept = json.loads((project / "exports/a/benchmark.json").read_text())["artifacts"]
    assert kept["merged"] == one, "what was not asked for stays in the record as it was measured"


def _broken(exports):
    """Puts an artifact there that its runtime cannot load."""
    shutil.copytree(exports / "merged", exports / "onnx-int8")
    file = exports / "onnx-int8/artifact.json"
    content = json.loads(file.read_text())
    content |= {"name": "onnx-int8", "kind": "onnx", "type": "int8", "runtime": "onnxruntime-genai"}
    file.write_text(json.dumps(content))

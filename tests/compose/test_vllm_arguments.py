"""The committed names of vLLM's arguments are those of the pinned version, and of the installed one."""

import pytest

from rlexp.backend import vllm_table
from rlexp.compose import vllm_arguments


def test_the_table_is_of_the_pinned_version(root):
    assert f"vllm=={vllm_arguments.names()['vllm']}\n" in (root / "constraints-gpu.txt").read_text()


def test_arguments_of_the_engine_are_recorded_and_change_no_identity(composed):
    plain = composed("hardware=h100", "rollout=colocate")
    run = composed("hardware=h100", "rollout=colocate", "rollout.engine.compilation_config.cudagraph_mode=FULL")
    assert run.config()["rollout"]["engine"] == {"compilation_config": {"cudagraph_mode": "FULL"}}
    assert run.experiment() == plain.experiment()


def test_the_names_that_are_said_elsewhere_are_names_of_vllm():
    assert {*vllm_arguments.SAID, *vllm_arguments.SET} <= {*vllm_arguments.names()["engine"]}


def test_the_table_is_what_the_installed_vllm_says():
    folder = vllm_table.installed()
    if folder is None:
        pytest.skip("vLLM is not installed")
    assert vllm_table.text(vllm_table.table(folder)) == vllm_table.TABLE.read_text()


def test_the_names_are_read_from_the_sources(tmp_path):
    (tmp_path / "engine").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "_version.py").write_text("__version__: str\n\n__version__ = version = '1.2.3+cu130'\n")
    (tmp_path / "engine/arg_utils.py").write_text("class EngineArgs:\n    b: int = 1\n    a: str\n    _own: int = 0\n")
    fields = "    mode: int = None\n    made: int = field(default=0, init=False)\n    def f(self): ...\n"
    (tmp_path / "config/compilation.py").write_text(f"class Other:\n    x: int\nclass CompilationConfig:\n{fields}")
    assert vllm_table.table(tmp_path) == {"vllm": "1.2.3", "engine": ["a", "b"], "compilation_config": ["mode"]}

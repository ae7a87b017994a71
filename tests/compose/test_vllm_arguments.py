"""The committed names of vLLM's arguments are those of the pinned version, and of the installed one."""

import dataclasses

import pytest

from rlexp.backend import vllm_table
from rlexp.compose import vllm_arguments
from rlexp.compose.schema import Rollout, VllmMode
from rlexp.errors import RunError


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
    (tmp_path / "sampling_params.py").write_text("class SamplingParams:\n    n: int = 1\n    _real_n: int = 0\n")
    names = {"engine": ["a", "b"], "compilation_config": ["mode"], "sampling_params": ["n"]}
    assert vllm_table.table(tmp_path) == {"vllm": "1.2.3", **names}


COLOCATE = Rollout(name="colocate", vllm_mode=VllmMode.colocate)
SIZES = {"cudagraph_capture_sizes": [8]}


@pytest.mark.parametrize(
    ("rollout", "engine", "what", "where", "hint"),
    [
        (Rollout(name="generate"), {"max_num_seqs": 8}, "rollout=generate starts no vLLM", "", "rollout=unsloth"),
        (
            Rollout(name="server", vllm_mode=VllmMode.server, server_url="http://a"),
            {"max_num_seqs": 8},
            "the server runs already",
            "",
            "give it to the server",
        ),
        (COLOCATE, {"max_num_seq": 8}, "takes no max_num_seq", ".max_num_seq", "engine.max_num_seqs=..."),
        (COLOCATE, {"zzzzzzzz": 8}, "takes no zzzzzzzz", ".zzzzzzzz", "the names are those of vllm.LLM"),
        (COLOCATE, {"dtype": "auto"}, "dtype is not said here", ".dtype", "type hardware.dtype=..."),
        (COLOCATE, {"quantization": "fp8"}, "quantization is not said here", ".quantization", "leave it out"),
        (
            COLOCATE,
            {"compilation_config": {"cudagraph_mod": 1}},
            "takes no cudagraph_mod",
            ".compilation_config.cudagraph_mod",
            "compilation_config.cudagraph_mode=...",
        ),
        (COLOCATE, {**SIZES, "compilation_config": SIZES}, "cudagraph_capture_sizes is said twice", "", "leave one"),
    ],
)
def test_an_argument_that_the_engine_does_not_take_here_is_refused(rollout, engine, what, where, hint):
    with pytest.raises(RunError) as caught:
        vllm_arguments.validate(dataclasses.replace(rollout, engine=engine))
    assert what in caught.value.what and caught.value.where == f"rollout.engine{where}"
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("rollout", "engine"),
    [
        (Rollout(name="generate"), {}),
        (COLOCATE, {"max_num_seqs": 8, **SIZES}),
        (COLOCATE, {"compilation_config": SIZES}),
        (COLOCATE, {"compilation_config": 3, **SIZES}),
        (COLOCATE, {**SIZES, "compilation_config": {"cudagraph_mode": "FULL"}}),
        (Rollout(name="unsloth", fast_inference=True), {"max_num_seqs": 8}),
        (Rollout(name="server", vllm_mode=VllmMode.server), {"max_num_seqs": 8}),
    ],
)
def test_an_argument_that_it_takes_is_none_to_refuse(rollout, engine):
    vllm_arguments.validate(dataclasses.replace(rollout, engine=engine))

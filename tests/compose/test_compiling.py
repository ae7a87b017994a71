"""Whether vLLM compiles the model before it samples."""

import pytest

from rlexp.backend.engine.arguments import UNCOMPILED, defaults
from rlexp.record.locked_config import run_of

GPU = ("hardware=h100", "model=qwen3_0_6b", "model.max_seq_length=4096")
LONG = ("method.max_steps=100", "method.max_completion_length=512")
SHORT = ("method.max_steps=50", "method.max_completion_length=512")


@pytest.mark.parametrize(
    ("overrides", "compiled"),
    [
        (("rollout=colocate", *LONG), True),
        (("rollout=colocate", *SHORT), False),
        (("rollout=unsloth", *SHORT), False),
        (("hardware=h100x2", "rollout=server", *SHORT), False),
        (("rollout=colocate", "method.max_steps=-1"), True),  # epochs: as many as there are
        (("rollout=colocate", *LONG, "method.num_iterations=2"), False),  # samples every other step
        # as the run says, in either's names; vLLM's go before
        (("rollout=colocate", *SHORT, "rollout.compiled=true"), True),
        (("rollout=colocate", *LONG, "rollout.compiled=false"), False),
        (("rollout=colocate", *SHORT, "rollout.engine.compilation_config.mode=3"), True),
        (("rollout=colocate", *LONG, "rollout.engine.compilation_config.mode=0"), False),
        (("rollout=colocate", *LONG, "rollout.engine.compilation_config=0"), False),
        (("rollout=colocate", *SHORT, "rollout.engine.optimization_level=1"), True),
        (("rollout=colocate", *SHORT, "rollout.engine.compilation_config.cudagraph_mode=FULL"), True),
        (("rollout=colocate", *SHORT, "rollout.engine.compilation_config.cudagraph_capture_sizes=[1]"), False),
        (("rollout=colocate", *LONG, "rollout.enforce_eager=true"), False),
        (("rollout=colocate", "rollout.compiled=false", "rollout.engine.compilation_config.mode=3"), True),
        (("rollout=colocate", "rollout.patches=off", "preflight.smoke=never", *SHORT), True),  # it cannot be told
        # no vLLM starts
        (("rollout=generate", "rollout.compiled=true"), None),
        (("hardware=h100x2", "rollout=server", "rollout.server_url=http://a:1"), None),
        (("method=dpo", "dataset=arithmetic_preferences"), None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_vllm_compiles_where_the_run_is_long_enough_or_says_so(composed, overrides, compiled):
    assert composed(*GPU, *overrides).rollout.compiled is compiled


def test_whether_it_compiles_is_no_part_of_the_problem(composed):
    one, other = (composed(*GPU, "rollout=colocate", f"rollout.compiled={said}") for said in ("true", "false"))
    assert one.rollout != other.rollout and one.experiment() == other.experiment()


def test_vllm_is_told_to_compile_nothing_and_has_its_own_graphs_where_it_compiles(composed):
    assert defaults(composed(*GPU, "rollout=colocate", *SHORT)) == {"compilation_config": UNCOMPILED}
    compiles = composed(*GPU, "rollout=colocate", *SHORT, "rollout.engine.compilation_config.mode=3")
    assert not {"mode", "cudagraph_mode"} & defaults(compiles)["compilation_config"].keys()
    assert defaults(composed(*GPU, "rollout=colocate", *SHORT, "rollout.enforce_eager=true")) == {}


def test_a_lock_that_does_not_say_so_is_of_a_vllm_that_compiled(composed, tmp_path):
    config = composed(*GPU, "rollout=colocate", *SHORT).config()
    assert run_of(config, tmp_path, "lock").rollout.compiled is False
    del config["rollout"]["compiled"]
    assert run_of(config, tmp_path, "lock").rollout.compiled is True

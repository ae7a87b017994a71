"""Start-up: which runs there are, and what is read of their imports."""

import argparse

import startup_gpu


def test_a_setting_is_started_once_before_it_counts_as_warm():
    options = argparse.Namespace(kernels=True, warm=1, engine=["eager", "sync"], imports=True, cold_again=False)
    assert startup_gpu.planned(options) == [
        *[("first", []), ("warm", [])],
        *[("eager, first", ["rollout.enforce_eager=true"]), ("eager", ["rollout.enforce_eager=true"])],
        *[(name, ["rollout.engine.async_scheduling=false"]) for name in ("sync, first", "sync")],
        ("imports", []),
    ]


def test_the_longest_imports_are_found_in_what_python_says():
    said = "import time: self [us] | cumulative | imported package\n"
    said += "import time:      5000 |    1500000 | torch\nimport time:   100 |     100 |   torch.nn\nother\n"
    assert startup_gpu.imports(said) == {"torch": 1.5, "torch.nn": 0.0001}

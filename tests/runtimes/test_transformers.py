"""transformers as a runtime: sequences that begin alike are read from there on, and say the same."""

from __future__ import annotations

import numpy

from rlexp.runtimes.host import Host
from rlexp.runtimes.protocol import Spec
from tests.export.made import TINY

DIALOGUES = [
    [{"role": "system", "content": "You add numbers and say the sum."}, {"role": "user", "content": text}]
    for text in ("What is 2 + 3?", "What is 12 + 30?", "7 + 1")
]


def test_log_probabilities_do_not_depend_on_what_was_read_before():
    with Host(Spec("transformers", TINY, dtype="float32", context=256)) as host:
        prompts = host.encode(host.render(DIALOGUES))
        asked = [(ids + ids[:9], len(ids)) for ids in prompts]
        apart = []
        for ids, begin in asked:
            host.logprobs(prompts[0][::-1], 1)
            apart.append(host.logprobs(ids, begin))
        behind = [host.logprobs(ids, begin) for ids, begin in [*asked, asked[0], asked[0]]]
    for one, other in zip([*apart, apart[0], apart[0]], behind, strict=True):
        assert one.shape == other.shape
        numpy.testing.assert_allclose(one, other, atol=1e-4)

"""The shape of what answers say of the weights that a run chose."""

from __future__ import annotations

from rlexp.cli.schema import Fields, number

BEST: Fields = {
    "best": number("with the chosen weights, where they are not those at the end"),
    "best_standard_error": number("its standard error, where it is known"),
}

"""The flag ``--trust=HASH`` of the verbs that may run code that came from elsewhere."""

from __future__ import annotations

import sys

from rlexp.errors import RunError
from rlexp.inputs import trust

HELP = (
    f"{trust.FLAG}=HASH[,HASH] says yes to code that came from elsewhere, by the hash of each file; so does the "
    f"environment variable {trust.VARIABLE}. Both are remembered."
)


def take(arguments: list[str]) -> list[str]:
    """The command line without ``--trust=HASH``, wherever it stands; the hashes are taken for this process.

    Raises:
        RunError: it has no value, or one that is no hash.
    """
    typed = [one for one in arguments if one == trust.FLAG or one.startswith(f"{trust.FLAG}=")]
    for one in typed:
        hashes = one.partition("=")[2]
        if not hashes:
            raise RunError(
                "a yes needs the hash of what it is for",
                where=trust.FLAG,
                hint=f"leave {trust.FLAG} out: the message that follows says what to type",
            )
        trust.accept(hashes.split(","), trust.FLAG)
    sys.argv[1:] = [one for one in sys.argv[1:] if one not in typed]  # Hydra reads it there
    return [one for one in arguments if one not in typed]

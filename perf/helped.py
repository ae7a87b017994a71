"""Answers ``--help`` of the script that imports it with the script's docstring, before anything heavy is imported."""

import sys

if {"-h", "--help"} & set(sys.argv[1:]) and (text := sys.modules["__main__"].__doc__):
    print(text.strip())
    sys.exit(0)

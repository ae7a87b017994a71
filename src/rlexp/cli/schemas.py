"""x"""

SCHEMAS = {}
EXIT_CODES = {}

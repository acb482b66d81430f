"""The verbs of `pigtail`: one module per verb, each defining `command`; argument handling only."""

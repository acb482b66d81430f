"""The bench: every figure that README or docs quote, measured anew. `python -m host_tools.bench` prints and writes them all."""

"""How good point tracks are, by the protocols of published benchmarks: one module per protocol."""

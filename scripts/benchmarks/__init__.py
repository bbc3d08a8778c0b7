"""What ``scripts/benchmark.py`` is made of: problems, one file a family of peers, measuring, tables and the plot."""

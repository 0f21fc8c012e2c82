"""What the mirror costs: requests, time, memory and pace, each beside what is possible.

`python -m benchmarks` measures, from a checkout with the `test` extra. Figures of one run can be compared with each
other; those of two machines, or of a busy and an idle one, only as ratios.
"""

"""What `tools/benchmark.py` is made of.

scene      ground truth and proposals like those of COCO training
models     the three heads and models, with the same weights
hosts      the RoI heads of every host, with mask scoring and without
suites     what is timed: sections of cases
rankings   the result set and the cases of the suite of that name
measuring  interleaved rounds, peak memory, medians and ratios
goals      what is to be reached, against what was
tables     the same for people
"""

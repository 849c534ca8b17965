"""One thread per process, as a trial has: the tests share the machine with the trials they start."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)

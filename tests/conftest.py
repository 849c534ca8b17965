"""One thread per process, as a trial has: tests share the machine with trials they start."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)

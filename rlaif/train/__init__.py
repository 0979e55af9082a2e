"""Train a model with TRL on a run or a dataset: choose examples, plan the training, watch it, and save the result.

`training.py` runs a training from start to end. Only modules that say so import torch and TRL; reading and checking a
configuration needs neither.
"""

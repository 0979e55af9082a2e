"""From a run or a dataset to a trained model: TRL trains, this package chooses the examples, the plan and when to stop.

`training.py` runs a training from top to bottom. Only modules that say so import torch and TRL; reading and checking a
configuration needs neither.
"""

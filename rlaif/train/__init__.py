"""From a run or a dataset to a model: TRL trains, this package says on what, how, and when to stop.

`job.py` is the whole way from top to bottom. Only modules that say so import torch and TRL; reading a configuration and
refusing a bad one takes neither.
"""

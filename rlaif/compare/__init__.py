"""Compare rule sets: several constitutions over the same responses of the policy, all judging one common pool."""

"""Compare rule sets: several constitutions revise the same responses and judge one common pool of matchups."""

"""What does swapping the rules change? Several rule sets over the same answers of the policy, all judging one pool."""

"""What training made of a policy: what was gained under the rules, and what it cost."""

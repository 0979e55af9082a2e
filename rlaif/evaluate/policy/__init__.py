"""What training changed in a policy: gains under the rules, and what they cost."""

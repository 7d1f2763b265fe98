"""Several processes on one job: who they are, what they agree on, and who works on which shard."""

"""From shards to a checkpoint. Imports `mixing` and `manifests`; torch only inside functions."""

"""Which documents say the same: ids, exact text, MinHash, clusters. Imports only `manifests`."""

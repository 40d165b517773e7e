"""Tokens, weights, packing, order, shards: what training reads. Imports only `manifests`."""

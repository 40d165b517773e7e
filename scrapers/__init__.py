"""Bytes in, raw documents out: polite fetchers, bulk loaders, one reader per format. Imports only `manifests`."""

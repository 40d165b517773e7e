"""Pure functions of one document: clean, judge, redact. Imports only `manifests`."""

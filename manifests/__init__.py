"""The record of truth: what a document is, why it was dropped, where a build lies. Imports nothing of ours."""

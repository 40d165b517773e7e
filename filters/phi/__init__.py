"""The check for personal identifiers: detectors, policies, and the rule that applies one to a document."""

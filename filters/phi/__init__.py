"""The PHI check: placeholders, structured identifiers, names, and a policy for each source."""

"""One reader for each format: bytes to text and fields, never losing a number."""

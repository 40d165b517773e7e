"""Our datatrove blocks, one a file."""

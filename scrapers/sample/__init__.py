"""The sample world: synthetic text, and a loopback server that behaves like each real publisher."""

"""One file for each publisher of guidelines; its card is `manifests/sources/<id>.toml`."""

"""What runs, in which order, on which executor, and the command line. The only room that knows datatrove."""

"""The simulation: a virtual board, a virtual car, and the network between them and a reader."""

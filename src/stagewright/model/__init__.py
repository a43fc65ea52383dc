"""The bottom layer: plain records and the pure state machine. Imports no third party and nothing of ours."""

"""The paper's experiments once more, and what they cost: learning is simulated, gas and time are the real chain's."""

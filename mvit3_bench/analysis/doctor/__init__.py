"""What is wrong before a run starts: examinations that yield findings, each with its remedy."""

"""From a tier to an answer: providers behind one seam, fail-over along the tier's chain, and the record of it all."""

"""The study of the paper's claims on small real data: records of each image, statistics, and the report."""

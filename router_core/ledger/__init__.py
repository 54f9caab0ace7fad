"""Where decisions are kept, summed and asked about; the only package that knows the database."""

"""Named what-ifs: several changes combined into one projection, with what each of them assumes."""

"""Choose a recipe from calibration samples (section 2.2): scales, widths, exponents, tiles and the size of chunks."""

"""Every text of the page, in each language; one module for each part of the page."""
